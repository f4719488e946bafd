"""Our client beside others."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.benchmark.known_server import MODEL, known_server
from vigil.benchmark.requests import http_request
from vigil.benchmark.systems import triton
from vigil.benchmark.trust import (
    Agreement,
    Figures,
    agreement,
    ours,
    perf_analyzer,
    unpacked,
    wrk,
)
from vigil.errors import InputError, ServerError
from vigil.session import TensorSpec

ROW = {"x": np.zeros((1, 4), np.float32)}
Y = TensorSpec("y", np.dtype("float32"), (None, 1))
TOOL = """#!/bin/sh
while [ "$1" != -f ]; do shift; done
echo "Concurrency,Inferences/Second,p50 latency,p99 latency" > "$2"
echo "4,101.5,9000,21000" >> "$2"
"""


def test_clients_agree_within_five_percent_of_throughput_and_ten_of_latency() -> None:
    base = Figures(100, 10, 20)
    for other, agrees in (
        (Figures(104, 10.9, 18.5), True),
        (Figures(106, 10, 20), False),
        (Figures(100, 11.2, 20), False),
        (Figures(100, 10, 22.5), False),
    ):
        found = Agreement("wrk", 4, (other, other, base), (base, base, base))
        assert found.agrees == agrees
        assert ("DIFFER" in found.line()) != agrees


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_our_client_and_wrk_agree_about_a_server_of_known_latency() -> None:
    """Again if another program disturbed one of the two."""
    with known_server(ms=60, slow_ms=240, every=20) as url:
        tool = wrk("wrk", url, http_request(url, MODEL, [Y], ROW))
        with triton("known", "http", {"http": url, "grpc": url}, MODEL, [ROW]) as system:
            for _ in range(3):
                found = agreement("wrk", ours(system), tool, 4, 3, rounds=3)
                if found.agrees:
                    break
    assert found.agrees, found.line()
    assert found.ours[0].p50_ms == pytest.approx(60, abs=10)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_failed_answers_are_no_measurement() -> None:
    with known_server(ms=1, status=500) as url:
        tool = wrk("wrk", url, http_request(url, MODEL, [Y], ROW))
        with pytest.raises(ServerError, match="answers only"):
            tool(2, 1)


def test_perf_analyzer_is_taken_from_a_wheel_and_its_table_read(tmp_path: Path) -> None:
    wheel = tmp_path / "tritonclient-2.51.0-py3-none-manylinux1_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tritonclient-2.51.0.data/data/bin/perf_analyzer", TOOL)
    with unpacked(wheel) as program:
        assert perf_analyzer(program, "h:1", "m", "http")(4, 3) == Figures(101.5, 9, 21)
        assert {path.name for path in program.parent.iterdir()} == {
            "perf_analyzer", "libb64.so.0d", "libcudart.so.12"
        }  # fmt: skip
    assert not program.exists()


def test_what_is_no_perf_analyzer_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "other.whl"
    with zipfile.ZipFile(empty, "w") as file:
        file.writestr("readme", "")
    for path in (empty, tmp_path / "none.whl", tmp_path / "none"):
        with pytest.raises(InputError, match="expected perf_analyzer"), unpacked(path):
            pass
    with pytest.raises(InputError, match="nothing-here"):
        wrk("nothing-here", "h:1", b"POST /x HTTP/1.1\r\n\r\n")(1, 1)
