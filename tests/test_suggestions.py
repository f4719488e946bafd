"""Clips get suggestions before anybody labels them, in a CSV that says who suggests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embeddings import embeddings
from tests.frame_project import asked, shown
from tests.skeletons import config
from vigil.config import load
from vigil.errors import InputError
from vigil.schema import (
    Clip,
    Suggestion,
    clip_id,
    read_suggestions,
    write_suggestions,
    write_text,
)
from vigil.suggestions import suggest_all

CLASSES = ("normal", "assault")


def clips(video: str) -> list[Clip]:
    return [Clip(clip_id(video, s, s + 2), video, s, s + 2.0, s * 12, s * 12 + 24, 2)
            for s in (0, 3)]  # fmt: skip


def test_every_clip_of_an_embedded_video_is_suggested_by_every_view(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(config().model_dump_json(), "utf-8")
    cfg, paths = load(tmp_path / "params.yaml")
    embeddings([shown(1, look) for look in range(32)], "a").write(paths.embeddings / "a.parquet")
    found = suggest_all([*clips("a"), *clips("quarantined")], asked(1.0), cfg, paths)
    assert [(one.clip_id, one.system) for one in found] == [
        (clip.clip_id, f"zero_shot_{view}") for clip in clips("a") for view in ("frame", "box")
    ]
    before, during = (one.probabilities for one in found if one.system == "zero_shot_box")
    assert during[1] > before[1]
    write_suggestions(paths.suggestions, found, CLASSES)
    kept = read_suggestions(paths.suggestions, CLASSES)
    assert [one.clip_id for one in kept] == [one.clip_id for one in found]
    for one, other in zip(kept, found, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-5)


def test_nothing_embedded_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(config().model_dump_json(), "utf-8")
    cfg, paths = load(tmp_path / "params.yaml")
    with pytest.raises(InputError, match=r"suggest: .*expected embeddings of clips, got none"):
        suggest_all(clips("a"), asked(), cfg, paths)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,system,p_normal\na@0-1,x,0.5\n", "expected a value for 'p_assault'"),
        ("clip_id,system,p_normal,p_assault\na@0-1,x,0.5,maybe\n", "line 2: expected numbers"),
        ("clip_id,system,p_normal,p_assault\na@0-1,x,0.5,1.5\n", "line 2: expected probabil"),
    ],
)
def test_bad_suggestions_are_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    write_text(tmp_path / "s.csv", text)
    with pytest.raises(InputError, match=message):
        read_suggestions(tmp_path / "s.csv", CLASSES)


def test_names_with_commas_survive(tmp_path: Path) -> None:
    one = Suggestion("문, 앞@0-1", "zero_shot_box", (0.25, 0.75))
    write_suggestions(tmp_path / "s.csv", [one], CLASSES)
    assert read_suggestions(tmp_path / "s.csv", CLASSES) == [one]
