"""Request logs: nothing personal, bounded, written beside the requests, whole after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.watching.served import CLASSES, LOG
from vigil.errors import InputError
from vigil.feeds import Array
from vigil.serving.behaviour.result import Behaviour
from vigil.watching.log import RequestLog
from vigil.watching.reading import read_logs
from vigil.watching.record import Note
from vigil.watching.windows import Windows

ANSWER = {"probabilities": np.array([[0.7, 0.2, 0.1]], np.float32)}


def ask(log: RequestLog, feeds: dict[str, Any], answer: dict[str, Any] = ANSWER, model: str = "gcn",
        note: Note = Note()) -> None:  # noqa: B008 (frozen)  # fmt: skip
    with log.request(model, 1, note) as call:
        log.quietly(lambda: log.tell(call, model, feeds, answer, note))


def leaves(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from (found for part in inner for found in leaves(part))
    if not isinstance(value, (dict, list)):
        yield value


def skeleton() -> Array:
    keypoints = np.zeros((1, 2, 4, 17, 3), np.float32)
    keypoints[..., 0], keypoints[..., 1], keypoints[..., 2] = 431.25, 977.75, 0.5
    return keypoints


def behaviour() -> Behaviour:
    n = 6
    joints = np.zeros((n, 17, 3), np.float32)
    joints[...] = (431.25, 977.75, 0.5)
    return Behaviour(
        np.array([[0.0, 4.0]]), np.array([[[0.7, 0.2, 0.1]]], np.float32), np.zeros(1, np.int32),
        np.array([77123], np.int32), np.ones((1, 1, 3), np.float32), np.arange(n),
        np.arange(n) / 2, np.full(n, 77123, np.int32), np.full((n, 4), 431.25, np.float32),
        np.ones(n, np.float32), joints,
    )  # fmt: skip


def test_no_coordinate_no_vector_and_no_person_is_written(tmp_path: Path) -> None:
    vectors = np.full((1, 8, 16), 0.12345678, np.float32)
    with RequestLog(tmp_path, CLASSES, LOG) as log:
        ask(log, {"keypoints": skeleton(), "embeddings": vectors}, note=Note(source="gate"))
        with log.request("behaviour", 6, Note()) as call:
            call.seen = Windows(["gcn"], CLASSES).tell(behaviour())
    text = "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
    lines = [json.loads(line) for line in text.splitlines()]
    clock = [(line.pop("at"), line.pop("latency_ms")) for line in lines]  # holds any digits
    assert all(isinstance(value, float) for pair in clock for value in pair)
    for personal in ("431", "977", "77123", "1234"):
        assert personal not in json.dumps(lines)
    for line in lines:
        numbers = [value for value in leaves(line["seen"]) if isinstance(value, (int, float))]
        assert numbers
        assert max(numbers) <= 4
    first = json.loads((tmp_path / "gcn.jsonl").read_text())["seen"][0]
    assert (first["top"], first["confidence"]) == ("normal", 0.7)
    assert first["features"]["persons"] == 2
    assert first["features"]["keypoint_confidence"] == 0.5
    window = json.loads((tmp_path / "behaviour.jsonl").read_text())["seen"][0]
    assert window["features"] == {"persons": 1.0, "keypoint_confidence": 0.5}


def test_boxes_of_earlier_answers_belong_to_the_window_that_comes_later() -> None:
    from dataclasses import replace

    whole, windows = behaviour(), Windows(["gcn"], CLASSES)
    early = replace(whole, clip_s=whole.clip_s[:0], clip_probabilities=whole.clip_probabilities[:0])
    late = replace(whole, **{name: getattr(whole, name)[:0] for name in
                             ("frame", "time_s", "track", "box", "score", "skeleton")})  # fmt: skip
    assert windows.tell(early) == []
    assert windows.tell(late) == Windows(["gcn"], CLASSES).tell(whole)


def test_files_are_rotated_and_bounded(tmp_path: Path) -> None:
    with RequestLog(tmp_path, CLASSES, LOG) as log:
        for _ in range(400):
            ask(log, {"keypoints": skeleton()})
    sizes = [path.stat().st_size for path in tmp_path.glob("gcn.jsonl*")]
    assert len(sizes) == 1 + LOG.keep
    assert max(sizes) <= LOG.max_bytes
    assert read_logs(tmp_path).broken == 0


def test_errors_are_logged_by_name_and_pass_through(tmp_path: Path) -> None:
    with RequestLog(tmp_path, CLASSES, LOG) as log:
        with pytest.raises(InputError), log.request("gcn", 3, Note()):
            raise InputError("no")
        ask(log, {"keypoints": skeleton()[0]}, {"probabilities": np.full((1, 3), np.nan)})
        ask(log, {}, {"probabilities": np.array([["a"]])})
    served = read_logs(tmp_path)
    assert served.requests["gcn"].outcomes == {"InputError": 1, "ok": 2}
    assert log.dropped == 1  # what could not be told


def test_a_disk_that_stands_still_holds_up_no_request(tmp_path: Path) -> None:
    params = LOG.model_copy(update={"waiting": 5})
    log = RequestLog(tmp_path, CLASSES, params)
    file, moves = log._file("gcn"), threading.Event()
    write = file.write

    def late(text: str) -> None:
        moves.wait(60)
        write(text)

    file.write = late  # type: ignore[method-assign]
    began = time.perf_counter()
    for _ in range(50):
        ask(log, {"keypoints": skeleton()})
    assert time.perf_counter() - began < 45  # the first alone would wait for 60
    moves.set()
    log.close()
    assert log.dropped in (44, 45)  # five wait, and one may be on its way to the disk
    assert len((tmp_path / "gcn.jsonl").read_text().splitlines()) == 50 - log.dropped


def test_a_line_that_cannot_be_written_is_counted_and_the_next_one_is_written(
    tmp_path: Path,
) -> None:
    with RequestLog(tmp_path, CLASSES, LOG) as log:
        with log.request("gcn", 1, Note()) as call:
            call.seen = [{"by": object()}]
        ask(log, {"keypoints": skeleton()})
    assert log.dropped == 1
    assert len((tmp_path / "gcn.jsonl").read_text().splitlines()) == 1


def test_a_closed_log_holds_no_file(tmp_path: Path) -> None:
    def held() -> list[Path]:
        files = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                files.append(link.readlink())
        return [path for path in files if tmp_path in path.parents or path == Path(os.devnull)]

    before = held()
    with RequestLog(tmp_path, CLASSES, LOG) as log:
        ask(log, {"keypoints": skeleton()})
    log.close()
    assert held() == before


def test_hostile_names_stay_one_line_of_one_file_in_the_folder(tmp_path: Path) -> None:
    hostile = '../../etc/x\n{"at":0}\u2028\x1b[31m<script>\'\ud800'
    with RequestLog(tmp_path / "logs", CLASSES, LOG) as log:
        ask(log, {"keypoints": skeleton()}, model=hostile, note=Note([hostile * 9], hostile * 99))
    assert [path.name for path in tmp_path.rglob("*.jsonl")] == ["_others.jsonl"]
    text = (tmp_path / "logs" / "_others.jsonl").read_text("ascii")
    assert text.count("\n") == 1
    served = read_logs(tmp_path)
    assert served.broken == 0
    assert len(served.requests) == 1


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with RequestLog(tmp_path, CLASSES, LOG), pytest.raises(InputError, match="this process"):
        RequestLog(tmp_path, CLASSES, LOG)
    RequestLog(tmp_path, CLASSES, LOG).close()


@pytest.mark.slow
def test_a_killed_process_loses_the_last_line_at_most(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.watching import test_log as t\n"
        "log = t.RequestLog(Path(sys.argv[1]), t.CLASSES, t.LOG.model_copy("
        "update={'max_bytes': 10_000_000}))\n"
        "while True:\n  t.ask(log, {'keypoints': t.skeleton()}); t.time.sleep(0.001)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    path = tmp_path / "gcn.jsonl"
    until = time.monotonic() + 600
    while not path.is_file() or path.stat().st_size < 10_000:
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n") - 20])  # as a crash of the machine would leave it
    with RequestLog(tmp_path, CLASSES, LOG.model_copy(update={"max_bytes": 10_000_000})) as log:
        ask(log, {"keypoints": skeleton()}, note=Note(source="after"))
    served = read_logs(tmp_path)
    assert served.broken == 1
    assert served.requests["gcn"].outcomes["ok"] == whole.count(b"\n")  # one lost, one new
