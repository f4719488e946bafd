"""What a tensor needs beyond NumPy: bfloat16, which NumPy lacks, and the sizes `reshape` promises.

In this process a bfloat16 array is an array of its bits, uint16: they are joined, divided and
copied like any other numbers, and not one of them is rounded. Triton's core applies `reshape` by
itself: an input arrives in the model's shape, and an output's leaves in the client's, whatever it
really holds. So what the model gave is compared first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from onnxruntime import OrtValue

Array = np.ndarray[Any, Any]
_BFLOAT16 = 16  # ONNX's number for the type


def model_shape(tensor: dict[str, Any]) -> list[int]:
    """Return the sizes that the model sees of a configured tensor, without the batch axis."""
    reshape = tensor.get("reshape")
    return [int(size) for size in (reshape["shape"] if reshape else tensor.get("dims") or ())]


def readers(config: dict[str, Any]) -> dict[str, Callable[[Any], Array]]:
    """Return how to read the inputs, by name, for which `as_numpy` is not enough."""
    by_type = {"TYPE_STRING": _texts, "TYPE_BF16": _received_bits}
    return {
        tensor["name"]: by_type[tensor["data_type"]]
        for tensor in config["input"]
        if tensor["data_type"] in by_type
    }


def writer(config: dict[str, Any]) -> Callable[[str, Array], Any]:
    """Return what makes Triton's tensor of an output's name and array."""
    names, plain = _bfloat16(config["output"]), pb_utils.Tensor

    def write(name: str, array: Array) -> Any:
        return _sent_bits(name, array) if name in names else plain(name, array)

    return write if names else plain


def runner(session: Any, config: dict[str, Any], batched: bool) -> Any:
    """Return what runs the graph as `session.run` does, bfloat16 as bits, and checks what it gave.

    Args:
        session: ONNX Runtime's; returned itself where there is nothing to convert or to check.
        config: the model configuration.
        batched: whether Triton prepends a batch axis to the configured dims.
    """
    inputs, outputs = (_bfloat16(config[kind]) for kind in ("input", "output"))
    reshaped = {t["name"]: model_shape(t) for t in config["output"] if t.get("reshape")}
    if inputs or outputs:
        session = _BitsSession(session, inputs, outputs)
    return _ReshapedSession(session, reshaped, int(batched)) if reshaped else session


def _bfloat16(tensors: list[dict[str, Any]]) -> set[str]:
    return {tensor["name"] for tensor in tensors if tensor["data_type"] == "TYPE_BF16"}


class _BitsSession:
    """A session whose bfloat16 inputs and outputs are arrays of their bits."""

    def __init__(self, session: Any, inputs: set[str], outputs: set[str]) -> None:
        self._session, self._inputs, self._outputs = session, inputs, outputs

    def run(self, wanted: list[str], feed: dict[str, Array], options: Any) -> list[Array]:
        values: dict[str, Any] = {
            name: OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BFLOAT16)
            if name in self._inputs
            else array
            for name, array in feed.items()
        }
        if self._outputs.isdisjoint(wanted):
            plain: list[Array] = self._session.run(wanted, values, options)
            return plain
        for name in feed.keys() - self._inputs:
            values[name] = OrtValue.ortvalue_from_numpy(values[name])
        answers = self._session.run_with_ort_values(wanted, values, options)
        return [
            _bits(answer) if name in self._outputs else answer.numpy()
            for name, answer in zip(wanted, answers, strict=True)
        ]


class _ReshapedSession:
    """A session whose outputs must have the sizes that the configuration reshapes them from."""

    def __init__(self, session: Any, shapes: dict[str, list[int]], lead: int) -> None:
        self._session, self._shapes, self._lead = session, shapes, lead

    def run(self, wanted: list[str], feed: dict[str, Array], options: Any) -> list[Array]:
        values: list[Array] = self._session.run(wanted, feed, options)
        for name, value in zip(wanted, values, strict=True):
            shape, sizes = self._shapes.get(name), value.shape[self._lead :]
            if shape is not None and not _fits(shape, sizes):
                raise ValueError(f"output {name}: expected {shape} to reshape, got {list(sizes)}")
        return values


def _fits(shape: list[int], sizes: tuple[int, ...]) -> bool:
    return len(shape) == len(sizes) and all(
        want in (-1, size) for want, size in zip(shape, sizes, strict=True)
    )


class _Memory:
    """An OrtValue's memory in NumPy's terms; the array made from it keeps the value alive."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self.__array_interface__ = {
            "version": 3, "typestr": "<u2", "data": (value.data_ptr(), False),
            "shape": tuple(value.shape()),
        }  # fmt: skip


def _bits(value: Any) -> Array:
    """Return the bits of a bfloat16 OrtValue, uint16, in the memory that it has."""
    if not value.tensor_size_in_bytes():
        return np.empty(value.shape(), np.uint16)  # it has none
    return np.asarray(_Memory(value))


def _received_bits(tensor: Any) -> Array:
    return _bits(OrtValue.from_dlpack(tensor.to_dlpack()))


def _sent_bits(name: str, array: Array) -> Any:
    """Make Triton's bfloat16 tensor; it owns a copy, for it is read after `execute` is over."""
    value = OrtValue.ortvalue_from_shape_and_type(array.shape, _BFLOAT16)
    _bits(value)[...] = array
    return pb_utils.Tensor.from_dlpack(name, value)


def _texts(tensor: Any) -> Array:
    array = tensor.as_numpy()
    return np.array([item.decode() for item in array.flat], object).reshape(array.shape)
