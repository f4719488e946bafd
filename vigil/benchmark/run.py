"""The whole benchmark of one served recognizer, row by row."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vigil.benchmark.report import Report
from vigil.benchmark.statistics import Row, batch_gains, batch_sizes
from vigil.benchmark.systems import (
    Feeds,
    System,
    SystemName,
    check_agreement,
    in_process,
    measure,
    triton,
)
from vigil.config import BenchmarkSection
from vigil.environment import describe
from vigil.errors import InputError
from vigil.serving.repository import (
    check_model,
    stage_variant,
    versions,
    with_dynamic_batching,
    without_batching,
)
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession

_TOLERANCE = 1e-4  # between a served answer and the one in process, before anything is timed
_VARIANTS: tuple[SystemName, ...] = ("triton_no_batching", "triton_dynamic_batching")


def run(
    model: Path,
    rows: Sequence[Feeds],
    pytorch: Callable[[Feeds], Any] | None,
    params: BenchmarkSection,
    startup_timeout_s: float,
    on_row: Callable[[Row, int, str], None],
) -> Report:
    """Measure every system at every concurrency.

    The two Triton systems are variants of the model's own configuration that differ in dynamic
    batching alone; both are loaded in one embedded server. Systems take turns at each concurrency,
    so that a disturbance of the machine meets those that are compared alike.

    Args:
        model: the model's folder in the repository; the newest version is measured.
        rows: inputs to go round, each a batch of one.
        pytorch: the recognizer in PyTorch, called one at a time; None leaves that system out.
        params: concurrencies, protocols, seconds.
        startup_timeout_s: longest wait for the server, in seconds.
        on_row: called after each row with it, the number of rows still to come, and the message of
            the row's first failed request or "".

    Raises:
        InputError: `rows` is empty.
        ModelError: the configuration contradicts the ONNX file.
        ServerError: the server did not start, or answers otherwise than the network in process.
    """
    if not rows:
        raise InputError("benchmark: expected at least one clip to ask about, got none")
    config = check_model(model)
    path = versions(model)[-1] / (config.default_model_filename or "model.onnx")
    session = OnnxSession(path)
    gains = batch_gains(session, rows[0], batch_sizes(params.max_batch), params.seconds)
    with tempfile.TemporaryDirectory(prefix="vigil-benchmark-") as folder:
        repository = Path(folder)
        changes = (
            without_batching,
            with_dynamic_batching(params.max_batch, params.max_queue_delay_us),
        )
        for name, change in zip(_VARIANTS, changes, strict=True):
            stage_variant(model, repository, name, change)
        with EmbeddedTriton(repository, startup_timeout_s=startup_timeout_s) as server:
            systems = _systems(server, session, rows, pytorch, params)
            found = _measure_all(systems, params, on_row)
            providers = {"onnxruntime": session.provider, **server.providers}
    environment = describe() | {"providers": providers}
    return Report(model.name, environment, found, gains, params.max_batch)


def _systems(
    server: EmbeddedTriton,
    session: OnnxSession,
    rows: Sequence[Feeds],
    pytorch: Callable[[Feeds], Any] | None,
    params: BenchmarkSection,
) -> list[System]:
    """Return the systems to compare, each Triton one after it gave the right answer."""
    cores = len(os.sched_getaffinity(0))
    systems = [in_process("onnxruntime", session.run, rows, at_once=cores)]
    if pytorch is not None:
        systems.insert(0, in_process("pytorch", pytorch, rows, at_once=1))
    urls: Mapping[TransportName, str] = {"http": server.http_url, "grpc": server.grpc_url}
    for name in _VARIANTS:
        for protocol in params.protocols:
            served = TritonSession(urls[protocol], name, protocol)
            check_agreement(served, session, rows[0], _TOLERANCE)
            systems.append(triton(name, protocol, urls, name, rows))
    return systems


def _measure_all(
    systems: list[System], params: BenchmarkSection, on_row: Callable[[Row, int, str], None]
) -> list[Row]:
    found: list[Row] = []
    total = len(systems) * len(params.concurrencies)
    for concurrency in params.concurrencies:
        for system in systems:
            row, error = measure(system, concurrency, params.seconds, params.warmup_s)
            found.append(row)
            on_row(row, total - len(found), error)
    return found
