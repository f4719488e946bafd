"""The per-video cache: one changed video is one computed video, one bad video is one lost video."""

from __future__ import annotations

import io
import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from vigil.errors import InputError
from vigil.items import Item, Report, Work, run_items


def shout(item: Item, out: Path, /, *, suffix: str) -> None:
    """Write the input in capitals; refuse `bad`, die on `killer`."""
    text = item.inputs[0].read_text()
    if text == "bad":
        raise InputError("shout: expected good text, got bad")
    if text == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    (out / "loud.txt").write_text(text.upper() + suffix)


class Bench:
    """A folder of inputs and one stage over it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inputs = root / "in"
        self.inputs.mkdir()
        self.suffix = "!"

    def put(self, name: str, text: str) -> None:
        (self.inputs / f"{name}.txt").write_text(text)

    def run(self) -> Report:
        items = [Item(p.stem, (p,)) for p in sorted(self.inputs.iterdir())]
        work = Work(
            "shout",
            partial(shout, suffix=self.suffix),
            {"loud.txt": self.root / "out" / "{id}.txt"},
            {"suffix": self.suffix},
        )
        self.log = io.StringIO()
        return run_items(
            work,
            items,
            cache=self.root / "cache",
            report=self.root / "report.json",
            workers=2,
            progress=self.log,
        )

    def outputs(self) -> dict[str, str]:
        return {p.stem: p.read_text() for p in (self.root / "out").iterdir()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.put("a", "one")
    made.put("b=비디오 2", "two")
    return made


def caches(report: Report) -> list[str]:
    return [row.cache for row in report.rows]


def test_a_second_run_computes_nothing_and_a_new_video_computes_one(bench: Bench) -> None:
    assert caches(bench.run()) == ["miss", "miss"]
    assert caches(bench.run()) == ["hit", "hit"]
    bench.put("c", "three")
    assert caches(bench.run()) == ["hit", "hit", "miss"]
    assert bench.outputs() == {"a": "ONE!", "b=비디오 2": "TWO!", "c": "THREE!"}


def test_a_changed_parameter_recomputes_and_says_why(bench: Bench) -> None:
    bench.run()
    bench.suffix = "?"
    report = bench.run()
    assert [row.why for row in report.rows] == ["changed: suffix"] * 2
    assert bench.outputs()["a"] == "ONE?"


def test_a_deleted_video_takes_its_output_with_it(bench: Bench) -> None:
    bench.run()
    (bench.inputs / "a.txt").unlink()
    bench.run()
    assert list(bench.outputs()) == ["b=비디오 2"]


def test_outputs_come_back_from_the_cache_after_they_were_removed(bench: Bench) -> None:
    bench.run()
    (bench.root / "out" / "a.txt").unlink()
    assert caches(bench.run()) == ["hit", "hit"]
    assert bench.outputs()["a"] == "ONE!"


def test_one_bad_video_is_quarantined_with_its_reason_and_the_rest_completes(bench: Bench) -> None:
    bench.put("a", "bad")
    report = bench.run()
    assert report.rows[0].status == "quarantined"
    assert report.rows[0].why == "shout: expected good text, got bad"
    assert list(bench.outputs()) == ["b=비디오 2"]
    written = json.loads((bench.root / "report.json").read_text())
    assert written["rows"][0]["why"] == report.rows[0].why
    assert "quarantined" in bench.log.getvalue()


def test_a_video_that_turns_bad_loses_its_old_output(bench: Bench) -> None:
    bench.run()
    bench.put("a", "bad")
    bench.run()
    assert list(bench.outputs()) == ["b=비디오 2"]


def test_a_worker_that_dies_loses_only_its_own_video(bench: Bench) -> None:
    bench.put("0", "killer")
    report = bench.run()
    assert [row.status for row in report.rows] == ["quarantined", "ok", "ok"]
    assert report.rows[0].why == "shout: 0: the worker process died"


def test_nothing_half_written_stays_behind(bench: Bench) -> None:
    bench.put("a", "bad")
    bench.put("0", "killer")
    bench.run()
    leftovers = [p.name for p in bench.root.rglob(".*")]
    assert leftovers == []


def test_a_run_whose_every_video_failed_raises(bench: Bench) -> None:
    bench.put("a", "bad")
    bench.put("b=비디오 2", "bad")
    with pytest.raises(InputError, match="2 quarantined"):
        bench.run()
