"""Inference requests as bytes, made before the clock runs, and answers read after it.

HTTP (KServe v2 with Triton's binary tensors) and gRPC; a tensor lies in the message, or in a
shared memory region that the server knows.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vigil.session import Array, TensorSpec

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Place:
    """Where in shared memory a tensor lies.

    Attributes:
        region: name under which the server knows the region.
        offset: bytes from its beginning.
        size: bytes.
    """

    region: str
    offset: int
    size: int


Places = Mapping[str, Place]


def http_request(
    url: str,
    model: str,
    outputs: Sequence[TensorSpec],
    feeds: Feeds,
    places: Places | None = None,
) -> bytes:
    """Return a whole HTTP request, head and body.

    Args:
        url: `host:port`, for the head.
        model: name of the served model.
        outputs: which to ask for.
        feeds: arrays by input name, with their batch axis.
        places: of inputs and outputs that lie in shared memory.
    """
    import tritonclient.http as client

    places = places or {}
    tensors = []
    for name, array in feeds.items():
        tensor = client.InferInput(name, list(array.shape), _datatype(array.dtype))
        if name in places:
            tensor.set_shared_memory(*_triple(places[name]))
        else:
            tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    wanted = []
    for spec in outputs:
        wanted.append(client.InferRequestedOutput(spec.name))
        if spec.name in places:
            wanted[-1].set_shared_memory(*_triple(places[spec.name]))
    body, json_size = client.InferenceServerClient.generate_request_body(tensors, outputs=wanted)
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: {url}\r\n"
    if json_size is not None:
        head += f"Inference-Header-Content-Length: {json_size}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + bytes(body)


def grpc_request(
    model: str, outputs: Sequence[TensorSpec], feeds: Feeds, places: Places | None = None
) -> bytes:
    """Return a serialized ModelInferRequest with raw tensors; arguments as for `http_request`."""
    from tritonclient.grpc import service_pb2

    places = places or {}
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, array in feeds.items():
        tensor = request.inputs.add(name=name, datatype=_datatype(array.dtype), shape=array.shape)
        if name in places:
            _point(tensor, places[name])
        else:
            request.raw_input_contents.append(_raw(array))
    for spec in outputs:
        tensor = request.outputs.add(name=spec.name)
        if spec.name in places:
            _point(tensor, places[spec.name])
    return bytes(request.SerializeToString())


def read_http(answer: bytes, elsewhere: Container[str] = ()) -> dict[str, Array]:
    """Return the tensors of a whole HTTP answer.

    Args:
        answer: head and body.
        elsewhere: outputs that lie in shared memory instead.
    """
    from tritonclient.http import InferResult

    head, _, body = answer.partition(b"\r\n\r\n")
    length = None
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"inference-header-content-length:"):
            length = int(line.split(b":", 1)[1])
    result = InferResult.from_response_body(body, header_length=length)
    names = [output["name"] for output in result.get_response()["outputs"]]
    return {name: result.as_numpy(name) for name in names if name not in elsewhere}


def read_grpc(answer: bytes, elsewhere: Container[str] = ()) -> dict[str, Array]:
    """Return the tensors of a serialized ModelInferResponse; arguments as for `read_http`."""
    from tritonclient.grpc import InferResult, service_pb2

    response = service_pb2.ModelInferResponse.FromString(answer)
    result = InferResult(response)
    names = [output.name for output in response.outputs if output.name not in elsewhere]
    return {name: result.as_numpy(name) for name in names}


def _raw(array: Array) -> bytes:
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    from tritonclient.utils import serialize_byte_tensor

    return bytes(serialize_byte_tensor(array).item())


def _datatype(dtype: np.dtype[Any]) -> str:
    from tritonclient.utils import np_to_triton_dtype

    return str(np_to_triton_dtype(dtype))


def _triple(place: Place) -> tuple[str, int, int]:
    return place.region, place.size, place.offset


def _point(tensor: Any, place: Place) -> None:
    tensor.parameters["shared_memory_region"].string_param = place.region
    tensor.parameters["shared_memory_byte_size"].int64_param = place.size
    tensor.parameters["shared_memory_offset"].int64_param = place.offset
