"""Requests and answers of KServe v2 over gRPC as a front sees them; over HTTP: `kserve`."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import InferResult
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse

from vigil.serving.kserve import OUTPUT, most_probable

SERVICE = "/inference.GRPCInferenceService/"
Message = Any  # protobuf's classes are made when the program runs


def read_request(data: bytes) -> Message:
    """Read a `ModelInferRequest`; what cannot be read is an empty one, for the server to refuse."""
    from google.protobuf.message import DecodeError

    try:
        return ModelInferRequest.FromString(data)
    except DecodeError:
        return ModelInferRequest()


def read_answer(data: bytes) -> Message:
    """Read a `ModelInferResponse`."""
    return ModelInferResponse.FromString(data)


def can_compare(asked: Message) -> bool:
    """Tell whether both models may be asked a request, see `vigil.serving.kserve.can_compare`."""
    tensors = [*asked.inputs, *asked.outputs]
    told = {key for one in [asked, *tensors] for key in one.parameters}
    names = {output.name for output in asked.outputs} or {OUTPUT}
    free = told.isdisjoint({"shared_memory_region", "sequence_id"})
    return OUTPUT in names and free and not asked.model_version


def classes_of(answer: Message) -> list[int]:
    """Return the most probable class of each row of an answer.

    Raises:
        ServerError: it holds no probabilities, or what is no number.
    """
    return most_probable(InferResult(answer))
