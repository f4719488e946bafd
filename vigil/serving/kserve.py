"""Requests and answers of KServe v2 over HTTP as a front sees them: bytes, and what they tell.

A body is JSON, or JSON and binary tensors behind it (Triton's binary extension); the header
`Inference-Header-Content-Length` says where the JSON ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from vigil.errors import ServerError
from vigil.serving.client.stream import ranked

TRIAL_PATH = "/vigil/trial"  # where the front opens one
OUTPUT = "probabilities"
LENGTH = "Inference-Header-Content-Length"


def can_compare(body: bytes, headers: Mapping[str, str]) -> bool:
    """Tell whether both models may be asked a request, and their answers compared.

    They may not where it asks for no probabilities, belongs to a stream, is compressed, or lets the
    server write into shared memory, where a silent copy would overwrite the caller's answer.
    """
    if headers.get("Content-Encoding", "identity") != "identity":
        return False
    try:
        asked = json.loads(_split(body, headers)[0])
        outputs = asked.get("outputs") or [{"name": OUTPUT}]
        tensors = [*asked["inputs"], *outputs]
        parameters = [asked.get("parameters") or {}, *(t.get("parameters") or {} for t in tensors)]
        names = {output["name"] for output in outputs}
    except (ValueError, KeyError, TypeError, AttributeError):
        return False  # the served model says what is wrong with it
    told = {key for one in parameters for key in one}
    return OUTPUT in names and told.isdisjoint({"shared_memory_region", "sequence_id"})


def classes_of(body: bytes, headers: Mapping[str, str]) -> list[int]:
    """Return the most probable class of each row of an answer.

    Raises:
        ServerError: it holds no probabilities, or what is no number.
    """
    from tritonclient.http import InferenceServerClient

    length = headers.get(LENGTH)
    try:
        result = InferenceServerClient.parse_response_body(
            body, header_length=None if length is None else int(length)
        )
    except Exception as error:  # whatever a candidate answers, the caller gets a good answer
        raise ServerError(f"{OUTPUT}: expected them in the answer: {error}") from error
    return most_probable(result)


def most_probable(result: Any) -> list[int]:
    """Return the most probable class of each row of an answer, an `InferResult` of tritonclient.

    Raises:
        ServerError: see `classes_of`.
    """
    try:
        rows = np.asarray(result.as_numpy(OUTPUT))
        if rows.dtype.kind in "OS":  # the classification extension: score:index:label, best first
            return [row[0].index for row in ranked(rows)]
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise ValueError(f"expected rows of numbers, got {rows.shape}")
    except Exception as error:  # whatever a candidate answers, the caller gets a good answer
        raise ServerError(f"{OUTPUT}: expected them in the answer: {error}") from error
    return [int(best) for best in rows.argmax(1)]


def renamed(body: bytes, headers: Mapping[str, str], model: str) -> tuple[bytes, dict[str, str]]:
    """Return an answer and its headers under the name of the model that the caller asked."""
    text, rest = _split(body, headers)
    told: dict[str, Any] = json.loads(text) | {"model_name": model}
    packed = json.dumps(told, separators=(",", ":")).encode()
    changed = {key: value for key, value in headers.items() if key.lower() != "content-length"}
    if LENGTH in headers:
        changed = {k: v for k, v in changed.items() if k.lower() != LENGTH.lower()}
        changed[LENGTH] = str(len(packed))
    return packed + rest, changed


def _split(body: bytes, headers: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Return the JSON of a body and what comes behind it."""
    end = int(headers.get(LENGTH, len(body)))
    return body[:end], body[end:]
