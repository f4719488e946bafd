"""The whole benchmark on a tiny recognizer, and the proof that dynamic batching works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from tests import networks
from tests.benchmark.parameters import PARAMS
from vigil.benchmark.gain import batch_gains
from vigil.benchmark.measure import measure_window
from vigil.benchmark.report import Report
from vigil.benchmark.requests import Feeds
from vigil.benchmark.row import Row, summarize
from vigil.benchmark.run import run
from vigil.benchmark.schedule import Closed, at_rate
from vigil.benchmark.served import Target, benchmark_served, embedded
from vigil.benchmark.systems import golden_answers, triton
from vigil.config import load
from vigil.errors import InputError, ServerUnavailable
from vigil.serving.control import Control
from vigil.serving.repository import stage_variant, with_dynamic_batching
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession

REGIONS = "/v2/systemsharedmemory/status"


def clips(count: int) -> list[Feeds]:
    return [networks.clips(1, seed=seed) for seed in range(count)]


@pytest.mark.slow
def test_every_system_is_measured_under_callers_by_the_clock_and_under_the_bound(
    tmp_path: Path,
) -> None:
    model = networks.recognizer_model(tmp_path)
    session = OnnxSession(model / "1" / "model.onnx")
    told: list[Row] = []
    params = PARAMS.model_copy(
        update={"protocols": ("http", "grpc"), "concurrencies": (1, 4), "max_windows": 1,
                "open_shares": (0.2,), "slo_p99_ms": 500.0}
    )  # fmt: skip
    report = run(model, clips(5), session.run, params, 60, told.append)
    assert told == list(report.rows)
    inside = ("pytorch", "pytorch_batched", "onnxruntime", "onnxruntime_batched")
    paths = [(name, "in_process") for name in inside] + [
        (f"triton_{kind}_batching", protocol)
        for kind in ("no", "dynamic")
        for protocol in ("http", "grpc")
    ]
    closed = [(row.system, row.protocol, row.concurrency * row.batch)
              for row in report.rows if row.load == "closed"]  # fmt: skip
    assert sorted(closed) == sorted((*path, callers) for path in paths for callers in (1, 4))
    by_clock = {row.system for row in report.rows if row.load == "poisson"}
    assert by_clock == {"triton_no_batching", "triton_dynamic_batching"}
    for row in report.rows:
        assert (row.errors, row.wrong) == (0, 0)
        assert row.n > 0
        served = row.system.startswith("triton")
        assert (row.queue_ms is not None) == (row.server_cores is not None and served) == served
        if row.system == "triton_no_batching":
            assert set(row.batches) == {1}
    assert any(row.checked for row in report.rows)
    assert [gain.batch for gain in report.gains] == [1, 4, 8]
    assert {found.system for found in report.goodput} == by_clock
    assert all(found.probes and found.bound_ms == 500 for found in report.goodput)
    assert report.environment["providers"]["triton_no_batching"] == "CPUExecutionProvider"
    assert len(report.environment["sha256"]["1/model.onnx"]) == 64
    report.check()


def test_nothing_to_ask_about_is_refused(tmp_path: Path) -> None:
    model = networks.recognizer_model(tmp_path)
    with pytest.raises(InputError, match="at least one clip"):
        run(model, [], None, PARAMS, 60)


@pytest.mark.slow
def test_any_model_is_asked_over_every_protocol_with_right_answers(tmp_path: Path) -> None:
    networks.mlp_model(tmp_path, "mlp")
    with embedded(tmp_path, "mlp", 60) as (urls, onnx):
        target = Target("mlp", urls, batch=2, onnx=onnx)
        protocols = ("http", "grpc", "http_shm", "grpc_shm")
        params = PARAMS.model_copy(update={"max_windows": 1, "check_share": 1.0})
        report = benchmark_served(target, [Closed(3), at_rate(50)], protocols, params)
        wrong = [{"y": np.zeros((1, 8), np.float32)}]
        with triton("x", "grpc_shm", urls, "mlp", [{"x": np.ones((1, 8), np.float32)}],
                    golden=wrong) as system:  # fmt: skip
            found = measure_window(system, Closed(2), params, 0)
    assert [(row.protocol, row.load) for row in report.rows] == [
        (protocol, load) for load in ("closed", "poisson") for protocol in protocols
    ]
    for row in report.rows:
        assert row.checked > 2
        assert (row.wrong, row.errors, row.why_wrong) == (0, 0, "")
        assert row.executed_batch_mean == 2
    assert len(found.wrong) == found.checked > 1
    report.check()


@pytest.mark.slow
def test_a_run_that_is_broken_off_leaves_no_shared_memory_at_the_server(tmp_path: Path) -> None:
    networks.mlp_model(tmp_path, "mlp")
    row = {"x": np.ones((1, 8), np.float32)}
    with embedded(tmp_path, "mlp", 60) as (urls, _):
        control = Control(urls["http"])

        def broken_off() -> None:
            with triton("x", "http_shm", urls, "mlp", [row]):
                assert len(control.ask("GET", REGIONS)) == 1
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            broken_off()
        assert control.ask("GET", REGIONS) == []


@pytest.mark.slow
def test_a_killed_triton_leaves_a_partial_report(tmp_path: Path) -> None:
    networks.mlp_model(tmp_path, "mlp")
    with EmbeddedTriton(tmp_path, ["mlp"]) as server:
        urls = {"http": server.http_url, "grpc": server.grpc_url}

        def kill(_: Row) -> None:
            for process in psutil.Process().children(recursive=True):
                if "tritonserver" in process.name():
                    process.kill()

        report = benchmark_served(
            Target("mlp", urls), [Closed(1), Closed(2)], ("grpc",), PARAMS, kill
        )
    assert report.rows[0].errors == 0
    assert "the server is gone" in report.partial
    with pytest.raises(ServerUnavailable):
        report.check()


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
    params = PARAMS.model_copy(update={"window_s": 1.5, "warmup_s": 0.2})
    golden = golden_answers(session, rows)
    gains = []
    with EmbeddedTriton(tmp_path) as server:
        urls = {"http": server.http_url, "grpc": server.grpc_url}
        for _ in range(3):  # side by side; again if another program disturbed one of the two
            found: list[Row] = []
            for name in ("single", "batched"):
                with triton(name, "http", urls, name, rows, golden=golden) as system:
                    one = measure_window(system, Closed(64), params, 0)
                    found.append(summarize(system, Closed(64), [one]))
            single, batched = found
            assert (single.errors, batched.errors, single.wrong, batched.wrong) == (0, 0, 0, 0)
            assert set(single.batches) == {1}
            gains.append(batched.throughput_per_s / single.throughput_per_s)
            if gains[-1] >= 5:
                break
    assert batched.executed_batch_mean is not None
    assert batched.executed_batch_mean > 8
    assert max(gains) >= 5, f"served gains {gains}, device's own gain at 32: {device_gain:.1f}"


def test_the_demo_measures_less_with_the_same_parameters() -> None:
    params = load("params.yaml")[0].benchmark
    short = params.for_demo()
    assert short.model == params.model
    assert short.open_shares == ()
    assert short.slo_p99_ms == 0
    assert set(short.systems) < set(params.systems)
    report = Report("m", {}, [], [], 1)
    assert report.verdict() == ""
