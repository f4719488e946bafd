"""The whole benchmark on a tiny recognizer, and the proof that dynamic batching works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.benchmark.run import run
from vigil.benchmark.statistics import Row, batch_gains
from vigil.benchmark.systems import Feeds, check_agreement, measure, triton
from vigil.config import BenchmarkSection
from vigil.errors import InputError, ServerError
from vigil.serving.repository import stage_variant, with_dynamic_batching
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession

PARAMS = BenchmarkSection(
    model="tiny", concurrencies=(1, 4), protocols=("http", "grpc"), seconds=0.2, warmup_s=0.05,
    max_batch=8, max_queue_delay_us=500,
)  # fmt: skip


def clips(count: int) -> list[Feeds]:
    return [networks.clips(1, seed=seed) for seed in range(count)]


@pytest.mark.slow
def test_every_system_is_measured_at_every_concurrency(tmp_path: Path) -> None:
    model = networks.recognizer_model(tmp_path)
    session = OnnxSession(model / "1" / "model.onnx")
    told: list[tuple[Row, int, str]] = []
    report = run(model, clips(5), session.run, PARAMS, 60, lambda *args: told.append(args))
    keys = {(row.system, row.protocol, row.concurrency) for row in report.rows}
    paths = [("pytorch", "in_process"), ("onnxruntime", "in_process")] + [
        (f"triton_{kind}_batching", protocol)
        for kind in ("no", "dynamic")
        for protocol in ("http", "grpc")
    ]
    assert keys == {(*path, concurrency) for path in paths for concurrency in (1, 4)}
    assert [left for _, left, _ in told] == list(range(len(report.rows)))[::-1]
    for row in report.rows:
        assert row.errors == 0
        assert row.n > 0
        served = row.system.startswith("triton")
        assert (row.queue_ms is not None) == served
        if row.system == "triton_no_batching":
            assert row.executed_batch_mean == 1
    assert [gain.batch for gain in report.gains] == [1, 4, 8]
    assert report.environment["providers"]["triton_no_batching"] == "CPUExecutionProvider"


def test_nothing_to_ask_about_is_refused(tmp_path: Path) -> None:
    model = networks.recognizer_model(tmp_path)
    with pytest.raises(InputError, match="at least one clip"):
        run(model, [], None, PARAMS, 60, lambda *_: None)


def test_a_system_that_answers_otherwise_is_not_timed(tmp_path: Path) -> None:
    right = OnnxSession(networks.recognizer(tmp_path / "right.onnx"))
    wrong = OnnxSession(networks.recognizer(tmp_path / "wrong.onnx", ("a", "b", "c"), scale=9))
    check_agreement(right, right, networks.clips(1), 1e-5)
    with pytest.raises(ServerError, match="expected the answer of CPUExecutionProvider within"):
        check_agreement(wrong, right, networks.clips(1), 1e-5)


@pytest.mark.slow
def test_dynamic_batching_multiplies_the_throughput_of_a_weight_bound_model(tmp_path: Path) -> None:
    """Same server, same model, same 64 callers: batching alone gives at least five times more."""
    networks.weight_bound(tmp_path / "single" / "1" / "model.onnx")
    networks.configure(tmp_path / "single", "x FP32 1024", "y FP32 1024", max_batch=32)
    stage_variant(tmp_path / "single", tmp_path, "batched", with_dynamic_batching(32, 1000))
    rng = np.random.default_rng(0)
    rows = [{"x": rng.random((1, 1024), np.float32)} for _ in range(8)]
    session = OnnxSession(tmp_path / "single" / "1" / "model.onnx")
    device_gain = batch_gains(session, rows[0], [32], seconds=0.5)[-1].gain
    gains = []
    with EmbeddedTriton(tmp_path) as server:
        urls = {"http": server.http_url, "grpc": server.grpc_url}
        for _ in range(3):  # side by side; again if another program disturbed one of the two
            single, batched = (
                measure(triton(system, "http", urls, name, rows), 64, 1.5, 0.2)[0]
                for system, name in (
                    ("triton_no_batching", "single"),
                    ("triton_dynamic_batching", "batched"),
                )
            )
            assert single.errors == batched.errors == 0
            assert single.executed_batch_mean == 1
            gains.append(batched.throughput_per_s / single.throughput_per_s)
            if gains[-1] >= 5:
                break
    assert batched.executed_batch_mean is not None
    assert batched.executed_batch_mean > 8
    assert max(gains) >= 5, f"served gains {gains}, device's own gain at 32: {device_gain:.1f}"
