"""`vigil-bench` as people meet it: exit codes, partial results, bad input."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.benchmark.known_server import MODEL, known_server
from tests.benchmark.test_compare import report

QUICK = ["--model", MODEL, "--protocol", "http", "--windows", "1", "--window", "0.3"]


def start(*arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stages.bench", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before
    )  # fmt: skip


def bench(*arguments: str, before: Callable[[], None] | None = None) -> tuple[int, str, str]:
    with start(*arguments, before=before) as process:
        out, err = process.communicate(timeout=900)
    return process.returncode, out, err


def partial(folder: Path) -> str:
    return str(json.loads((folder / "benchmark.json").read_text())["partial"])


@pytest.mark.slow
def test_a_run_writes_its_reports_and_ends_well(tmp_path: Path) -> None:
    with known_server(ms=2) as url:
        code, out, err = bench("run", "--url", url, *QUICK, "--concurrency", "2", "--rate", "50",
                               "--out", str(tmp_path))  # fmt: skip
    assert (code, err) == (0, "")
    assert "c=2" in out
    assert "poisson 50/s" in out
    assert partial(tmp_path) == ""
    assert (tmp_path / "benchmark.html").exists()


@pytest.mark.slow
def test_an_absent_server_is_one_line() -> None:
    code, _, err = bench("run", "--url", "127.0.0.1:1", *QUICK)
    assert code == 4
    assert err.count("\n") == 1
    assert "refused" in err


@pytest.mark.slow
def test_a_model_that_is_not_ready_is_one_line() -> None:
    with known_server(not_ready=True) as url:
        code, _, err = bench("run", "--url", url, *QUICK)
    assert (code, err.count("\n")) == (4, 1)
    assert "unknown model" in err


@pytest.mark.slow
def test_a_file_of_the_wrong_shape_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 5), np.float32))
    with known_server() as url:
        code, _, err = bench("run", "--url", url, *QUICK, "--input", str(tmp_path / "a.npz"))
    assert (code, err.count("\n")) == (2, 1)
    assert "expected x float32 (*, 4), got float32 (2, 5)" in err


@pytest.mark.slow
def test_a_server_that_dies_leaves_partial_results_and_exit_4(tmp_path: Path) -> None:
    with known_server(ms=3, die_after=600) as url:
        code, out, err = bench("run", "--url", url, *QUICK, "--concurrency", *["2"] * 60,
                               "--out", str(tmp_path))  # fmt: skip
    assert code == 4
    assert "the server is gone" in err
    assert "PARTIAL" in out
    assert "the server is gone" in partial(tmp_path)
    assert json.loads((tmp_path / "benchmark.json").read_text())["rows"][0]["n"] > 0


@pytest.mark.slow
def test_ctrl_c_leaves_partial_results_and_exit_130(tmp_path: Path) -> None:
    with known_server(ms=3) as url:
        process = start("run", "--url", url, *QUICK, "--concurrency", "1", "--rate", *["50"] * 90,
                        "--out", str(tmp_path))  # fmt: skip
        assert process.stdout is not None
        assert "c=1" in process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=900)
    assert process.returncode == 130
    assert "interrupted" in err
    assert partial(tmp_path) == "interrupted"


@pytest.mark.slow
def test_wrong_answers_fail_the_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4), np.float32), y=np.ones((2, 1), np.float32))
    with known_server(ms=1, value=3.0, value_every=5) as url:
        code, out, err = bench("run", "--url", url, *QUICK, "--concurrency", "2", "--input",
                               str(tmp_path / "a.npz"), "--out", str(tmp_path / "out"))  # fmt: skip
    assert code == 3
    assert "FAILED" in out
    assert "expected right answers, got" in err


@pytest.mark.slow
def test_a_full_disk_is_one_line_after_the_figures(tmp_path: Path) -> None:
    def small_files_only() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    with known_server(ms=2) as url:
        code, out, err = bench("run", "--url", url, *QUICK, "--concurrency", "2", "--out",
                               str(tmp_path), before=small_files_only)  # fmt: skip
    assert (code, err.count("\n")) == (2, 1)
    assert "expected to write there" in err
    assert "c=2" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_compare_tells_ci_by_its_exit_code(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    paths[0].write_text(json.dumps(report()))
    slow = report(p99_ms=60.0, p99_low=50.0, p99_high=70.0)
    paths[1].write_text(json.dumps(slow))
    code, out, err = bench("compare", *map(str, paths))
    assert code == 1
    assert "slower" in out
    assert "1 slower" in err
    assert bench("compare", *map(str, paths[::-1]))[0] == 0
    assert bench("compare", str(paths[0]))[0] == 2
