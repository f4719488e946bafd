"""Bodies of KServe v2 as a front reads them: what may be compared, which class, whose name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from vigil.errors import ServerError
from vigil.serving.kserve import LENGTH, can_compare, classes_of, renamed

INPUT = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0.0]}


def asked(**changes: Any) -> bytes:
    return json.dumps({"inputs": [INPUT], **changes}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "compared"),
    [
        pytest.param(asked(), {}, True, id="all outputs"),
        pytest.param(asked(outputs=[{"name": "probabilities"}]), {}, True, id="probabilities"),
        pytest.param(asked(outputs=[{"name": "logits"}]), {}, False, id="others"),
        pytest.param(asked(parameters={"sequence_id": 3}), {}, False, id="a stream"),
        pytest.param(
            asked(outputs=[{"name": "probabilities", "parameters": {"shared_memory_region": "r"}}]),
            {}, False, id="into shared memory",
        ),
        pytest.param(
            asked(inputs=[INPUT | {"parameters": {"shared_memory_region": "r"}}]), {}, False,
            id="out of shared memory",
        ),
        pytest.param(asked(), {"Content-Encoding": "gzip"}, False, id="compressed"),
        pytest.param(asked() + b"\x00\x01", {LENGTH: str(len(asked()))}, True, id="binary"),
        pytest.param(asked(), {LENGTH: "x"}, False, id="no length"),
        pytest.param(b"{", {}, False, id="no JSON"),
        pytest.param(b"[1]", {}, False, id="no object"),
        pytest.param(json.dumps({"inputs": 3}).encode(), {}, False, id="no inputs"),
        pytest.param(b"", {}, False, id="nothing"),
    ],
)  # fmt: skip
def test_what_may_be_asked_twice(body: bytes, headers: dict[str, str], compared: bool) -> None:
    assert can_compare(body, headers) is compared


def answer(data: list[float], shape: list[int], kind: str = "FP32") -> bytes:
    output = {"name": "probabilities", "datatype": kind, "shape": shape, "data": data}
    return json.dumps({"model_name": "a", "model_version": "2", "outputs": [output]}).encode()


def binary(rows: np.ndarray) -> tuple[bytes, dict[str, str]]:
    parameters = {"binary_data_size": rows.nbytes}
    output = {"name": "probabilities", "datatype": "FP32", "shape": list(rows.shape),
              "parameters": parameters}  # fmt: skip
    head = json.dumps({"model_name": "a_canary", "model_version": "2", "outputs": [output]})
    headers = {LENGTH: str(len(head)), "Content-Length": str(len(head) + rows.nbytes)}
    return head.encode() + rows.tobytes(), headers


def test_the_class_of_each_row_whatever_the_answers_form() -> None:
    rows = np.array([[0.2, 0.8, 0.0], [0.9, 0.1, 0.0]], np.float32)
    assert classes_of(*binary(rows)) == [1, 0]
    assert classes_of(answer(rows.ravel().tolist(), [2, 3]), {}) == [1, 0]
    ranked = ["0.8:1:assault", "0.2:0:normal", "0.9:0:normal", "0.1:1:assault"]
    texts = json.dumps({"outputs": [{"name": "probabilities", "datatype": "BYTES", "shape": [2, 2],
                                     "data": ranked}]}).encode()  # fmt: skip
    assert classes_of(texts, {}) == [1, 0]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\xff", answer([float("nan"), 0.0], [1, 2]), answer([1.0, 0.0], [2])],
    ids=["nothing", "no outputs", "no text", "no number", "no rows"],
)
def test_an_answer_that_tells_no_class_is_one_error(body: bytes) -> None:
    with pytest.raises(ServerError, match="probabilities: expected them in the answer"):
        classes_of(body, {})


def test_an_answer_gets_another_name_and_keeps_its_numbers_and_version() -> None:
    rows = np.array([[0.25, 0.75]], np.float32)
    body, headers = renamed(*binary(rows), "a_model_of_a_longer_name")
    told = json.loads(body[: int(headers[LENGTH])])
    assert (told["model_name"], told["model_version"]) == ("a_model_of_a_longer_name", "2")
    assert body[int(headers[LENGTH]) :] == rows.tobytes()
    assert "Content-Length" not in headers
    assert classes_of(body, headers) == [1]
