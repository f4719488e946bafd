"""Requests and answers as tritonclient wants them, whatever the protocol, asyncio or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vigil.errors import InputError
from vigil.feeds import Array
from vigil.triton import TransportName


@dataclass(frozen=True)
class Place:
    """Where a request stands in a stream.

    Attributes:
        stream: number of the stream, above 0.
        start: it is the first.
        end: it is the last.
    """

    stream: int
    start: bool
    end: bool


@dataclass(frozen=True)
class Call:
    """One inference.

    Attributes:
        model: the served model.
        feeds: arrays by input name.
        outputs: names of the outputs wanted; all of them where empty.
        classes: outputs that are wanted as the most probable classes, and how many.
        version: of the model; the server's choice where empty.
        place: in a stream, or None.
    """

    model: str
    feeds: Mapping[str, Array]
    outputs: Sequence[str] = ()
    classes: Mapping[str, int] = field(default_factory=dict)
    version: str = ""
    place: Place | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of tritonclient's `infer` beside inputs and outputs."""
        options: dict[str, Any] = {"model_version": self.version}
        if self.place is not None:
            options |= {
                "sequence_id": self.place.stream,
                "sequence_start": self.place.start,
                "sequence_end": self.place.end,
            }
        return options


def inputs_of(module: Any, call: Call) -> list[Any]:
    """Return tritonclient's inputs that carry the arrays of `call`."""
    tensors = []
    for name, array in call.feeds.items():
        tensor = declare(module, name, array)
        tensor.set_data_from_numpy(np.ascontiguousarray(array))
        tensors.append(tensor)
    return tensors


def declare(module: Any, name: str, array: Array) -> Any:
    """Return a tritonclient input without data for an array.

    Raises:
        InputError: no array, or of a type that Triton does not have.
    """
    from tritonclient.utils import np_to_triton_dtype

    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: expected an array, got {type(array).__name__}")
    kind = np_to_triton_dtype(array.dtype)
    if kind is None:
        raise InputError(f"{name}: expected a type that Triton has, got {array.dtype}")
    return module.InferInput(name, list(array.shape), kind)


def outputs_of(module: Any, call: Call) -> list[Any] | None:
    """Return tritonclient's requested outputs, or None for all."""
    names = [*call.outputs, *(name for name in call.classes if name not in call.outputs)]
    found = [
        module.InferRequestedOutput(name, class_count=call.classes.get(name, 0)) for name in names
    ]
    return found or None


class Answer(dict[str, Array]):
    """Outputs by name, and which version of the model gave them.

    Attributes:
        version: as the server says.
    """

    version: str = ""


def version_of(answer: Mapping[str, Array]) -> str:
    """Return the version of the model that answered; empty where it is not known."""
    return answer.version if isinstance(answer, Answer) else ""


def answer_of(result: Any, arrays: Mapping[str, Array]) -> Answer:
    """Return arrays as the answer that tritonclient's result carries."""
    response = result.get_response()
    answer = Answer(arrays)
    told = response.get("model_version") if isinstance(response, dict) else response.model_version
    answer.version = str(told or "")
    return answer


def arrays_of(result: Any) -> Answer:
    """Return the outputs of tritonclient's result by name."""
    response = result.get_response()
    listed = response["outputs"] if isinstance(response, dict) else response.outputs
    names = [one["name"] if isinstance(one, dict) else one.name for one in listed]
    return answer_of(result, {name: result.as_numpy(name) for name in names})


def client_module(protocol: TransportName, aio: bool) -> Any:
    """Return tritonclient's module of a protocol."""
    from importlib import import_module

    return import_module(f"tritonclient.{protocol}{'.aio' if aio else ''}")


def security(protocol: TransportName, tls: bool | str | Path, aio: bool) -> dict[str, Any]:
    """Return the arguments with which tritonclient speaks TLS, none where `tls` is False.

    Args:
        protocol: `http` or `grpc`.
        tls: True trusts the public authorities; a path trusts the certificates in that PEM file.
        aio: the client is one for asyncio.

    Raises:
        InputError: no such file.
    """
    if tls is False:
        return {}
    authorities = None if tls is True else Path(tls)
    if authorities is not None and not authorities.is_file():
        raise InputError(f"{authorities}: expected a PEM file of certificates, got none")
    file = None if authorities is None else str(authorities)
    if protocol == "grpc":
        return {"ssl": True, "root_certificates": file}
    if aio:
        import ssl

        return {"ssl": True, "ssl_context": ssl.create_default_context(cafile=file)}
    return {"ssl": True, "ssl_options": {"ca_certs": file} if file else {}}
