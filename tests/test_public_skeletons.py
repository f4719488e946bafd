"""Public skeleton files are taken as they are published, and what cannot be is said in one line."""

from __future__ import annotations

import pickle
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stages import evaluate, export, import_skeletons, train
from tests.skeletons import CLASSES, config, person
from vigil.config import load
from vigil.dataset import read_annotations, select, tensors
from vigil.errors import InputError
from vigil.public_skeletons import Choice, Summary, import_file, parse_labels
from vigil.serving.repository import check_model

NTU = Choice({}, train="xsub_train", test="xsub_val")


def name_of(index: int) -> str:
    return f"S001C00{index % 3}P{index % 16:03d}R001A{index % 2 + 1:03d}I{index:03d}"


def clip(index: int, frames: int = 20) -> dict[str, Any]:
    """One clip as PYSKL publishes it: float16, one or two persons, NumPy's own integers."""
    rng = np.random.default_rng(index)
    speed = 1.2 if index % 2 else 0.1
    people = [person(frames, speed, rng, (200.0 + 150 * i, 200.0)) for i in range(1 + index % 2)]
    return {
        "frame_dir": name_of(index),
        "label": np.int64(index % 2),
        "img_shape": (1080, 1920),
        "original_shape": (1080, 1920),
        "total_frames": frames,
        "keypoint": np.stack(people).astype(np.float16),
        "keypoint_score": np.full((len(people), frames, 17), 1.02, np.float16),
    }


def write(path: Path, rows: list[dict[str, Any]], **splits: list[str]) -> Path:
    path.write_bytes(pickle.dumps({"split": splits, "annotations": rows}, protocol=4))
    return path


def ntu(folder: Path, count: int = 64) -> Path:
    """A file of 64 clips of 16 subjects, the last two subjects for testing."""
    rows = [clip(index) for index in range(count)]
    names = [row["frame_dir"] for row in rows]
    test = [name for name in names if "P014" in name or "P015" in name]
    training = [name for name in names if name not in test]
    return write(folder / "ntu60_2d.pkl", rows, xsub_train=training, xsub_val=[*test, "lost"])


def take(path: Path, choice: Choice = NTU, **dataset: Any) -> Summary:
    params = config().dataset.model_copy(update=dataset)
    return import_file(path, path.parent / "dataset", CLASSES, params, choice)


def taken(path: Path) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    return read_annotations(path.parent / "dataset" / "annotations.pkl")


def test_published_splits_train_test_and_validation_is_cut_from_training(tmp_path: Path) -> None:
    path = ntu(tmp_path)
    summary = take(path, Choice({}, "xsub_train", None, "xsub_val", group_pattern="P[0-9]+"))
    assert (summary.clips, summary.other_labels, summary.absent) == (64, 0, 1)
    splits, rows = taken(path)
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 48, "val": 8, "test": 8}
    subjects = [{name[8:12] for name in splits[part]} for part in ("train", "val", "test")]
    assert subjects[2] == {"P014", "P015"}
    assert not subjects[0] & subjects[1]
    assert {row["group"] for row in rows} == {f"P{i:03d}" for i in range(16)}
    assert (tmp_path / "dataset" / "splits.csv").read_text().count("\n") == 65


def test_half_precision_persons_and_missing_joints_are_kept_as_they_should_be(
    tmp_path: Path,
) -> None:
    rows = [clip(index) for index in range(8)]
    rows[1]["keypoint"][0, 3, 5] = np.nan
    rows[1]["keypoint_score"][0, 4, 6] = 0.0
    del rows[2]["keypoint_score"]
    rows[2]["keypoint"][0, :, 16] = 0.0
    rows[3]["keypoint"] = np.zeros((0, 20, 17, 2), np.float16)
    rows[3]["keypoint_score"] = np.zeros((0, 20, 17), np.float16)
    path = write(tmp_path / "gym_2d.pkl", rows, train=[name_of(i) for i in range(4)],
                 val=[name_of(i) for i in range(4, 8)])  # fmt: skip
    take(path, Choice({}, train="train", test="val", fps=25.0), split=(0.7, 0.0, 0.3))
    splits, rows = taken(path)
    assert [len(splits[part]) for part in ("train", "val", "test")] == [4, 0, 4]
    assert {row["keypoint"].dtype for row in rows} == {np.dtype(np.float16)}
    assert [len(row["keypoint"]) for row in rows] == [1, 2, 1, 0, 1, 2, 1, 2]
    assert max(row["keypoint_score"].max(initial=0) for row in rows) == 1.0
    for frame, joint in ((3, 5), (4, 6)):
        assert rows[1]["keypoint_score"][0, frame, joint] == 0
        assert not rows[1]["keypoint"][0, frame, joint].any()
    assert rows[2]["keypoint_score"][0, :, :16].all()
    assert not rows[2]["keypoint_score"][0, :, 16].any()
    assert rows[0]["duration_s"] == pytest.approx(20 / 25)
    keypoints, sizes, labels = tensors(rows, config().dataset)
    assert np.isfinite(keypoints).all()
    assert (keypoints.dtype, sizes[0].tolist()) == (np.float32, [1920.0, 1080.0])
    assert labels.tolist() == [0, 1] * 4


def test_labels_are_chosen_and_renamed(tmp_path: Path) -> None:
    rows = [clip(index) | {"label": 40 + index % 4} for index in range(16)]
    names = [row["frame_dir"] for row in rows]
    path = write(tmp_path / "ntu60_2d.pkl", rows, a=names[:8], b=names[8:])
    labels = parse_labels(["normal=40,41", "assault=43"], CLASSES)
    summary = take(path, Choice(labels, train="a", test="b"))
    assert (summary.clips, summary.other_labels) == (12, 4)
    assert [row["label"] for row in taken(path)[1]] == [0, 0, 1] * 4
    with pytest.raises(InputError, match=r"expected a label below 2, .* got 40"):
        take(path, Choice({}, train="a", test="b"))


def test_label_entries_are_numbers_and_ranges_of_known_classes() -> None:
    assert parse_labels(["normal=0-2,7", "assault=5"], CLASSES) == {0: 0, 1: 0, 2: 0, 7: 0, 5: 1}
    for entries, message in (
        (["dance=1"], "expected one of normal, assault, got dance=1"),
        (["normal=1-"], "expected labels such as 0-48,60, got 1-"),
        (["normal=1", "assault=0-3"], "label 1: expected in one class only"),
    ):
        with pytest.raises(InputError, match=message):
            parse_labels(entries, CLASSES)


def test_without_named_splits_our_own_are_made_and_folds_too(tmp_path: Path) -> None:
    path = ntu(tmp_path)
    take(path, Choice({}, group_pattern="P[0-9]+"), folds=4)
    splits, _ = taken(path)
    assert {"train", "val", "test", "train_0", "test_3"} <= set(splits)


def kinetics(folder: Path) -> Path:
    """A table of contents and two keypoint files, poses of a frame one after the other."""
    rows, files = [], {"a.pkl": {}, "b.pkl": {}}
    for index in range(12):
        whole, name, file = clip(index), name_of(index), "ab"[index % 2] + ".pkl"
        joined = np.concatenate([whole["keypoint"], whole["keypoint_score"][..., None]], -1)
        poses = joined.transpose(1, 0, 2, 3).reshape(-1, 17, 3)
        count = len(joined)
        doubtful = np.full((1, 17, 3), 5.0, np.float16)
        files[file][name] = {"keypoint": np.concatenate([poses, doubtful])}
        row = {k: whole[k] for k in ("frame_dir", "label", "img_shape", "total_frames")}
        rows.append(row | {
            "raw_file": f"data/k400/kpfiles/{file}",
            "frame_inds": np.append(np.repeat(np.arange(20), count), 0).astype(np.int16),
            "box_score": np.append(np.full(20 * count, 0.9), 0.2).astype(np.float16),
        })  # fmt: skip
    for file, poses_of in files.items():
        (folder / file).write_bytes(pickle.dumps(poses_of))
    names = [row["frame_dir"] for row in rows]
    return write(folder / "k400_2d.pkl", rows, train=names[:8], val=names[8:])


def test_kinetics_joints_are_read_from_their_own_files(tmp_path: Path) -> None:
    path = kinetics(tmp_path)
    take(path, Choice({}, train="train", test="val", keypoints=tmp_path))
    by_id = {row["frame_dir"]: row for row in taken(path)[1]}
    for index in range(12):
        wanted, given = clip(index), by_id[name_of(index)]
        np.testing.assert_array_equal(given["keypoint"], wanted["keypoint"])
    with pytest.raises(InputError, match="expected keypoint, got none: name Kinetics'"):
        take(path, Choice({}, train="train", test="val"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoint": np.zeros((2, 20, 25, 3), np.float16)}, "expected 2-D .*got 3-D ones of 25"),
        ({"keypoint": np.zeros((2, 20, 18, 2))}, r"expected keypoint \(M, T, 17, 2\), got"),
        ({"total_frames": 19}, "T = total_frames above 0"),
        ({"keypoint_score": np.ones((2, 20, 17))}, "expected keypoint_score"),
        ({"img_shape": ()}, "expected img_shape"),
        ({"img_shape": "wide"}, "expected a public skeleton file, got ValueError"),
        ({"keypoint": None}, r"expected keypoint \(M, T, 17, 2\), got \(\)"),
        ({"label": -1}, "expected a label below 2, the number of classes .*got -1"),
        ({"label": "fight"}, "expected a public skeleton file, got ValueError"),
        ({"frame_dir": name_of(1)}, f"expected clips of different ids, got {name_of(1)} twice"),
    ],
)
def test_what_cannot_be_taken_is_one_clear_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    rows = [clip(0) | change, clip(1)]
    path = write(tmp_path / "file.pkl", rows, xsub_train=[name_of(0)], xsub_val=[name_of(1)])
    with pytest.raises(InputError, match=message) as caught:
        take(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "dataset").exists()


def test_three_dimensional_skeletons_without_a_frame_are_refused_as_such(tmp_path: Path) -> None:
    """NTU's 3-D file has neither scores nor img_shape; the line speaks of its dimensions."""
    row = {"frame_dir": "a", "label": 0, "total_frames": 9,
           "keypoint": np.zeros((1, 9, 25, 3), np.float16)}  # fmt: skip
    with pytest.raises(InputError, match="a: expected 2-D skeletons of 17 joints, got 3-D"):
        take(write(tmp_path / "ntu60_3d.pkl", [row], xsub_train=["a"], xsub_val=[]))


@pytest.mark.parametrize(
    ("choice", "folds", "message"),
    [
        (Choice({}, train="xsub_train", test="xview_val"), 0, "xview_val is none of them"),
        (Choice({}, train="xsub_train"), 0, "expected train and test among xsub_train, xsub_val"),
        (NTU, 5, "dataset.folds: expected 0 with the file's splits, got 5"),
        (Choice({}, "xsub_train", None, "xsub_train"), 0, "leak"),
        (Choice({}, "xsub_train", None, "xsub_val", group_pattern="C[0-9]+"), 0, "leak: group C"),
        (Choice({}, "xsub_train", None, "xsub_val", group_pattern="X"), 0, "expected a match of X"),
        (Choice({}, "xsub_train", None, "xsub_val", group_field="scene"), 0, "the field scene"),
    ],
)
def test_splits_that_leak_or_are_not_there_are_refused(
    tmp_path: Path, choice: Choice, folds: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        take(ntu(tmp_path), choice, folds=folds)


def test_a_pattern_that_is_none_and_a_rate_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="expected a regular expression, got P\\["):
        Choice({}, group_pattern="P[")
    with pytest.raises(InputError, match="fps: expected more than 0, got 0"):
        Choice({}, fps=0.0)


def test_other_pickles_and_hostile_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    for content, message in (
        (pickle.dumps({"split": {}}), "expected a public skeleton file, got KeyError"),
        (pickle.dumps([1, 2]), "expected a public skeleton file"),
        (b"cos\nsystem\n(S'true'\ntR.", "system is not allowed"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            take(path)


@pytest.mark.slow
def test_one_command_and_the_stages_work_on_a_public_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(config(epochs=1).model_dump(mode="json")))
    cfg, paths = load(params)
    arguments = Namespace(
        file=ntu(tmp_path), classes=[], train="xsub_train", val=None, test="xsub_val",
        group_field=None, group_pattern="P[0-9]+", keypoints=None, fps=30.0,
    )  # fmt: skip
    import_skeletons.main(cfg, paths, arguments)
    assert "import: 64 clips; left out: 0 of other labels; 1 ids" in capsys.readouterr().out
    for stage in (train, evaluate, export):
        stage.main(cfg, paths, Namespace(model="stgcn"))
    check_model(paths.triton_repo / "stgcn")


def test_the_real_sets_splits_are_taken_by_scene(real_dir: Path, tmp_path: Path) -> None:
    source = real_dir / "skeletons" / "surveillance_fight.pkl"
    choice = Choice({}, train="train", test="val", group_field="scene")
    summary = import_file(source, tmp_path / "dataset", CLASSES, config().dataset, choice)
    assert summary.clips == 151
    splits, rows = read_annotations(tmp_path / "dataset" / "annotations.pkl")
    assert len(splits["test"]) == 32
    assert len(splits["train"]) + len(splits["val"]) == 119
    assert len(select(splits, rows, "val")) > 0
