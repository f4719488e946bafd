"""Labels, clips and skeletons to an annotation file that mmaction2 reads and nobody can poison."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.skeletons import CLASSES, config, person, skeletons, write_set
from vigil.dataset import build, consensus, read_annotations, select, tensors
from vigil.errors import InputError
from vigil.schema import Clip, Label, Timeline

CLIPS = [Clip(f"v{i}@0-2000", f"v{i}", 0.0, 2.0, 0, 24, 1) for i in range(8)]


def vote(clip: int, label: str, annotator: str = "ann") -> Label:
    return Label(CLIPS[clip].clip_id, label, annotator, "")


def sources(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Write skeletons and a timeline for every clip's video; return their paths."""
    found = {}
    for index, clip in enumerate(CLIPS):
        joints = person(24, 0.3, np.random.default_rng(index))
        joints[0, 3] = np.nan
        skeletons(clip.video_id, {1: joints}).write(folder / f"{clip.video_id}.s.parquet")
        times = Timeline(clip.video_id, 640, 360, np.arange(24) / 12)
        times.write(folder / f"{clip.video_id}.t.parquet")
        found[clip.video_id] = (
            folder / f"{clip.video_id}.s.parquet", folder / f"{clip.video_id}.t.parquet"
        )  # fmt: skip
    return found


def test_the_majority_decides_and_ties_are_left_out_and_counted() -> None:
    labels = [
        vote(0, "normal", "a"), vote(0, "assault", "b"), vote(0, "assault", "c"),
        vote(1, "normal", "a"), vote(1, "assault", "b"),
        vote(2, "normal", "a"), vote(2, "assault", "a"),
    ]  # fmt: skip
    settled, ties = consensus(labels, CLIPS, CLASSES)
    assert settled == {CLIPS[0].clip_id: 1, CLIPS[2].clip_id: 1}
    assert ties == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "labels: expected at least one label, got none"),
        ([Label("x@0-1", "normal", "a", "")], "labels: x@0-1: expected a clip"),
        ([vote(0, "dance")], "labels: v0@0-2000: expected normal, assault, got dance"),
    ],
)
def test_bad_labels_are_one_clear_line(labels: list[Label], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        consensus(labels, CLIPS, CLASSES)
    assert "\n" not in str(caught.value)


def test_built_set_is_complete_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    labels = [vote(i, CLASSES[i % 2]) for i in range(6)] + [vote(6, "normal", "a")]
    labels.append(vote(6, "assault", "b"))
    params = config().dataset.model_copy(update={"split": (0.5, 0.0, 0.5)})
    summary = build(tmp_path, CLIPS, labels, {"v0": "hall", "v1": "hall"}, sources(tmp_path),
                    CLASSES, params)  # fmt: skip
    assert (summary.labeled, summary.unlabeled, summary.tied, summary.empty) == (6, 1, 1, 0)
    splits, rows = read_annotations(tmp_path / "annotations.pkl")
    assert {row["frame_dir"] for row in rows} == {CLIPS[i].clip_id for i in range(6)}
    assert {row["group"] for row in rows[:2]} == {"hall"}
    home = [name for name, ids in splits.items() if CLIPS[0].clip_id in ids]
    assert home == [name for name, ids in splits.items() if CLIPS[1].clip_id in ids]
    row = rows[0]
    assert row["keypoint"].shape == (1, 24, 17, 2)
    assert row["img_shape"] == (360, 640)
    assert not row["keypoint"][0, 0, 3].any()
    assert np.isfinite(row["keypoint"]).all()
    assert (tmp_path / "splits.csv").read_text().count("\n") == 7
    assert "| test |" in (tmp_path / "splits.md").read_text()


def test_labeled_clip_without_skeletons_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dataset: v0: expected a skeleton file"):
        build(tmp_path, CLIPS, [vote(0, "normal")], {}, {}, CLASSES, config().dataset)


def test_mmaction2_reads_the_file(tmp_path: Path) -> None:
    from vigil import compat

    compat.apply()
    from mmaction.datasets import PoseDataset

    rows = write_set(tmp_path / "annotations.pkl")
    found = PoseDataset(str(tmp_path / "annotations.pkl"), pipeline=[], split="test")
    splits, _ = read_annotations(tmp_path / "annotations.pkl")
    assert len(found) == len(splits["test"])
    by_id = {row["frame_dir"]: row for row in rows}
    item = found.get_data_info(0)
    np.testing.assert_array_equal(item["keypoint"], by_id[item["frame_dir"]]["keypoint"])


class Bomb:
    """Runs a command when unpickled by an ordinary unpickler."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def test_a_poisoned_file_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path, target = tmp_path / "annotations.pkl", tmp_path / "owned"
    path.write_bytes(pickle.dumps({"split": {}, "annotations": [Bomb(target)]}))
    with pytest.raises(InputError, match="is not allowed"):
        read_annotations(path)
    assert not target.exists()
    poisoned = np.array([Bomb(target)], dtype=object)
    path.write_bytes(pickle.dumps({"split": {}, "annotations": [{"keypoint": poisoned}]}))
    with pytest.raises(InputError, match="is not allowed"):
        read_annotations(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps([1]), pickle.dumps({"split": {}})])
def test_other_files_are_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "annotations.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected an mmaction2 annotation file"):
        read_annotations(path)


def test_sampled_tensors_fit_the_served_input(tmp_path: Path) -> None:
    rows = write_set(tmp_path / "annotations.pkl")
    keypoints, sizes, labels = tensors(rows[:5], config().dataset)
    assert keypoints.shape == (5, 2, 16, 17, 3)
    assert keypoints.dtype == sizes.dtype == np.float32
    assert sizes[0].tolist() == [640.0, 360.0]
    assert labels.tolist() == [0, 1, 0, 1, 0]


def test_unknown_split_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of train, got val"):
        select({"train": []}, [], "val")


def test_real_annotation_files_are_readable(real_dir: Path) -> None:
    splits, rows = read_annotations(real_dir / "skeletons" / "surveillance_fight.pkl")
    assert len(rows) == 151
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 119, "val": 32}
    keypoints, _, _ = tensors(rows, config().dataset)
    assert np.isfinite(keypoints).all()
