"""A study of views, heads and crops: every row on the same frames, finished work kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frame_project import asked, make
from vigil.clip_study import (
    ClipRowSection,
    clip_table,
    conduct,
    configure,
    read_clip_study,
)
from vigil.errors import InputError
from vigil.schema import write_text

STUDY = """
title: A small study
seeds: [0, 1]
rows:
  asked: {view: box}
  last:
    model: clip_gru
    change: {models: {clip_gru: {head: last}}, train: {all: {epochs: 6}}}
  bones:
    model: protogcn
    change: {train: {all: {epochs: 1}}}
  both: {fuse: [bones, last]}
"""


def written(folder: Path, text: str) -> Path:
    write_text(folder / "study.yaml", text)
    return folder / "study.yaml"


@pytest.mark.slow
def test_every_row_is_judged_on_the_same_frames_and_kept(tmp_path: Path) -> None:
    cfg, paths = make(tmp_path)
    study = read_clip_study(written(tmp_path, STUDY))
    lines: list[str] = []
    results = conduct(study, asked(), cfg, paths, tmp_path / "work", lines.append)
    found = {result.name: result for result in results}
    assert list(found) == ["asked", "last", "bones", "both"]
    assert [len(result.aucs) for result in results] == [1, 2, 2, 2]
    assert len({result.metrics["auc"]["n"] for result in results}) == 1
    assert found["last"].metrics["auc"]["value"] > 0.9
    assert found["last"].over["asked"]["low"] > 0
    assert found["asked"].over == {}
    assert 0.05 < found["asked"].unseen < 0.2, "nobody is there in the last second of eight"
    models = sorted((tmp_path / "work" / "models").glob("*/model.json"))
    assert len(models) == 4
    before = [path.stat().st_mtime_ns for path in models]
    again = conduct(study, asked(), cfg, paths, tmp_path / "work", lines.append)
    assert [path.stat().st_mtime_ns for path in models] == before
    assert again == results
    table = clip_table(results)
    assert table.count("\n") == 6
    assert "| over asked |" in table
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{view: side}", "rows.a.view"),
        ("{view: box, model: clip_gru}", "a: expected a view, a model, or a fusion"),
        ("{}", "a: expected a view, a model, or a fusion"),
        ("{fuse: [b, c]}", "a: expected a view, a model, or a fusion of models' rows above"),
        ("{modell: clip_gru}", "rows.a.modell"),
    ],
)
def test_a_row_that_is_not_one_thing_is_one_clear_line(
    tmp_path: Path, row: str, message: str
) -> None:
    text = f"title: t\nseeds: [0]\nrows:\n  a: {row}\n"
    with pytest.raises(InputError, match="study.yaml: ") as caught:  # noqa: RUF043
        read_clip_study(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_change_of_what_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    cfg, _ = make(tmp_path)
    row = ClipRowSection(model="clip_gru", change={"models": {"clip_gru": {"heed": "last"}}})
    with pytest.raises(InputError, match=r"study: expected known parameters, got .*heed"):
        configure(cfg, row, 0)


def test_the_shipped_study_is_readable_and_fits_the_shipped_parameters() -> None:
    from tests.conftest import ROOT
    from vigil.config import load

    study = read_clip_study(ROOT / "studies" / "clip.yaml")
    config, _ = load(ROOT / "params.yaml")
    for row in study.rows.values():
        if row.model:
            assert configure(config, row, 3).training(row.model).seed == 3
