"""What a network declares that it takes and gives, and whether given arrays fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError

Array = NDArray[Any]

TRITON_TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "object": "TYPE_STRING",
}  # by NumPy dtype


@dataclass(frozen=True)
class TensorSpec:
    """Declared input or output of a model.

    Attributes:
        name: the tensor's name in the graph.
        dtype: NumPy dtype of its elements.
        shape: sizes, batch axis first where there is one; None accepts any size.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of `shape` fits, sizes of None matching anything."""
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        """Return e.g. `keypoints float32 (*, 2, 100, 17, 3)`."""
        sizes = ", ".join("*" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype} ({sizes})"


def check_feeds(model: str, specs: tuple[TensorSpec, ...], feeds: Mapping[str, Array]) -> None:
    """Compare arrays with the inputs a model declares.

    Args:
        model: the model's name, for the message.
        specs: declared inputs.
        feeds: arrays by input name.

    Raises:
        InputError: a missing or unknown name, another dtype or shape, or an empty batch.
    """
    wanted, given = {spec.name for spec in specs}, set(feeds)
    if wanted != given:
        raise InputError(f"{model}: expected inputs {sorted(wanted)}, got {sorted(given)}")
    for spec in specs:
        array = feeds[spec.name]
        if not isinstance(array, np.ndarray):
            raise InputError(f"{model}: expected {spec}, got {type(array).__name__}")
        if array.dtype != spec.dtype or not spec.accepts(array.shape):
            raise InputError(f"{model}: expected {spec}, got {array.dtype} {array.shape}")
        if array.ndim and array.shape[0] == 0:
            raise InputError(f"{model}: expected {spec} with at least one row, got {array.shape}")
