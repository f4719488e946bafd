"""ONNX Runtime as a Triton Python-based backend: what makes `backend: "onnxruntime"` load.

Triton's core queues and batches; each model instance is one process of this file, which joins the
requests it is handed, runs ONNX Runtime once and takes the answer apart. It imports nothing of
vigil but two files beside it, because it runs inside Triton's stub: `onnx_configuration.py`, which
tells what a configuration may say, and `onnx_tensors.py`, for tensors that NumPy cannot hold.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from onnx_configuration import (
    check_inputs_named,
    check_tensors,
    choose_providers,
    complete,
    first_line,
    load,
    model_file,
    parameter,
    refuse_unsupported,
    run_options,
    session_options,
)
from onnx_tensors import readers, runner, writer

# Whether its client still waits for a request is known to another process: asking costs 0.1 ms of
# processor time. Triton asks itself before it batches; from so many seconds a request it pays.
_SLOW_S = 0.01


class TritonPythonModel:
    """One instance of one model version; Triton calls the methods by these names."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Fill in what the configuration leaves out; Triton calls this before any instance.

        Args:
            config: the configuration so far, with `add_input` and the like.

        Returns:
            The same, completed.

        Raises:
            TritonModelException: the file is no valid model, or contradicts the configuration.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        complete(config, load(model_file(), options, ["CPUExecutionProvider"]))
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load and validate the model.

        Args:
            args: from Triton: `model_config` (JSON), `model_repository` (the model's folder),
                `model_version`, `model_name`, `model_instance_kind`, `model_instance_device_id`.

        Raises:
            TritonModelException: the configuration asks for what is not supported or contradicts
                the ONNX file.
        """
        config = json.loads(args["model_config"])
        self._name = args["model_name"]
        self._batched = int(config.get("max_batch_size", 0)) > 0
        refuse_unsupported(config)
        filename = config.get("default_model_filename") or "model.onnx"
        path = str(Path(args["model_repository"], args["model_version"], filename))
        self._session = load(path, session_options(config), choose_providers(config, args))
        self._run_options = run_options(config)
        defaults = self._session.get_overridable_initializers()
        check_inputs_named(config, self._session.get_inputs())
        inputs = [*self._session.get_inputs(), *defaults]
        check_tensors("input", config, inputs, self._batched, {node.name for node in defaults})
        check_tensors("output", config, self._session.get_outputs(), self._batched, set())
        self._whole = {node.name for node in defaults}
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._readers, self._writer = readers(config), writer(config)
        self._rows_per_run = parameter(config, "rows_per_run", 0)
        self._least_s = float("inf")
        self._buffers: dict[str, np.ndarray[Any, Any]] = {}
        active = self._session.get_providers()[0]
        self._session = runner(self._session, config, self._batched)
        pb_utils.Logger.log_info(f"vigil: {self._name}: provider {active}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests of one Triton batch, in their order.

        Requests whose arrays agree beyond the batch axis run as one batch, or `rows_per_run` rows
        at a time. When such a batch fails, its requests run one by one, so that only the one at
        fault gets the error.
        """
        if len(requests) == 1:
            return [self._answer(requests[0])]
        return self._answer_batch(requests)

    def _answer(self, request: Any) -> Any:
        """Answer a request that came without company."""
        if self._least_s > _SLOW_S and request.is_cancelled():
            return failure("request was cancelled", pb_utils.TritonError.CANCELLED)
        names = list(request.requested_output_names())
        try:
            values = self._run(names, self._read(request), 1)
        except Exception as error:
            return respond(error)
        tensors = [self._writer(name, value) for name, value in zip(names, values, strict=True)]
        return pb_utils.InferenceResponse(tensors)

    def _answer_batch(self, requests: list[Any]) -> list[Any]:
        responses: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = {}
        feeds: list[dict[str, np.ndarray[Any, Any]]] = [{}] * len(requests)
        for index, request in enumerate(requests):
            if self._least_s > _SLOW_S and request.is_cancelled():
                responses[index] = failure("request was cancelled", pb_utils.TritonError.CANCELLED)
                continue
            try:
                feed = feeds[index] = self._read(request)
            except Exception as error:
                responses[index] = respond(error)
                continue
            shapes = tuple((name, array.shape[1:]) for name, array in feed.items())
            alone = not self._batched or not self._whole.isdisjoint(feed)
            groups.setdefault(index if alone else shapes, []).append(index)
        asked = [request.requested_output_names() for request in requests]
        for members in groups.values():
            union = {name for index in members for name in asked[index]}
            wanted = [name for name in self._outputs if name in union]
            answers = self._run_group([feeds[index] for index in members], wanted)
            for index, answer in zip(members, answers, strict=True):
                responses[index] = respond(answer, asked[index], self._writer)
        return responses

    def _read(self, request: Any) -> dict[str, np.ndarray[Any, Any]]:
        feed = {}
        for name in self._inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            if tensor is None:  # the graph's default stands in
                continue
            read = self._readers.get(name)
            feed[name] = tensor.as_numpy() if read is None else read(tensor)
        return feed

    def _run(self, wanted: list[str], feed: dict[str, Any], requests: int) -> list[Any]:
        """Run once for so many requests, and note the least time that one has taken so far.

        A busy machine stretches a run, and what asking costs, alike: the least is what counts.
        """
        began = time.perf_counter()
        answers = [self._session.run(wanted, part, self._run_options) for part in self._parts(feed)]
        values: list[Any] = answers[0]
        if len(answers) > 1:
            values = [np.concatenate(pieces) for pieces in zip(*answers, strict=True)]
        self._least_s = min(self._least_s, (time.perf_counter() - began) / requests)
        return values

    def _parts(self, feed: dict[str, Any]) -> list[dict[str, Any]]:
        """Divide a batch into runs: a device may be faster with fewer rows than Triton joins."""
        size = self._rows_per_run
        rows = len(next(iter(feed.values()))) if size and self._batched and feed else 0
        if rows <= size or not self._whole.isdisjoint(feed):
            return [feed]
        return [
            {name: array[first : first + size] for name, array in feed.items()}
            for first in range(0, rows, size)
        ]

    def _run_group(self, feeds: list[dict[str, Any]], wanted: list[str]) -> list[Any]:
        """Return one answer per feed: arrays by output name, or the exception it caused."""
        if len(feeds) == 1:
            try:
                values = self._run(wanted, feeds[0], 1)
                return [dict(zip(wanted, values, strict=True))]
            except Exception as error:
                return [error]
        try:
            joined = {name: self._join(name, feeds) for name in feeds[0]}
            values = self._run(wanted, joined, len(feeds))
            bounds = np.cumsum([len(next(iter(feed.values()))) for feed in feeds])
            if any(len(value) != bounds[-1] for value in values):
                raise ValueError("an output does not keep the batch axis")
        except Exception:
            return [answer for feed in feeds for answer in self._run_group([feed], wanted)]
        pieces = [np.split(value, bounds[:-1]) for value in values]
        return [dict(zip(wanted, row, strict=True)) for row in zip(*pieces, strict=True)]

    def _join(self, name: str, feeds: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
        """Concatenate one input of all feeds into a buffer that is kept between calls."""
        arrays = [feed[name] for feed in feeds]
        rows = sum(len(array) for array in arrays)
        shape, dtype = arrays[0].shape[1:], arrays[0].dtype
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape[1:] != shape or len(buffer) < rows:
            buffer = self._buffers[name] = np.empty((rows, *shape), dtype)
        return np.concatenate(arrays, out=buffer[:rows])

    def finalize(self) -> None:
        """Release the session before the process ends."""
        del self._session


def respond(answer: Any, names: Any = (), make: Any = None) -> Any:
    """Build one response of what `make` makes of a name and an array, or from the exception."""
    if isinstance(answer, Exception):
        return failure(first_line(answer), pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse([make(name, answer[name]) for name in names])


def failure(message: str, code: Any) -> Any:
    """Build a response that carries nothing but an error."""
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(message, code))
