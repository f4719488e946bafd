"""Public skeleton files (PYSKL's and mmaction2's pickles) to an annotation file of ours.

Accepted are 2-D skeletons of the 17 COCO joints: NTU RGB+D, FineGYM, UCF101, HMDB51 and Diving48 as
published, and Kinetics, whose joints lie in files of their own. 3-D skeletons are refused: what is
trained here is served on 2-D keypoints of a camera's picture.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import DatasetSection
from vigil.dataset import publish, read_pickle
from vigil.errors import InputError
from vigil.schema import JOINTS
from vigil.splits import Item, assign, check, make_splits

_BOX_SCORE = 0.5  # Kinetics: a person whose box is scored lower is no person; PYSKL's threshold


@dataclass(frozen=True)
class Choice:
    """What to take of a public file, and how.

    Attributes:
        labels: class index by the file's label; others are left out. Empty: labels as they are.
        train: the file's split to train on; None with `test` None makes splits of our own.
        val: the file's split to choose on; None cuts one from `train`.
        test: the file's split to test on.
        group_field: annotation key of the scene or subject that no split may divide.
        group_pattern: or a regular expression whose match in the clip's id says so.
        keypoints: folder of Kinetics' keypoint files.
        fps: frames per second of the clips.
    """

    labels: Mapping[int, int]
    train: str | None = None
    val: str | None = None
    test: str | None = None
    group_field: str | None = None
    group_pattern: str | None = None
    keypoints: Path | None = None
    fps: float = 30.0

    def __post_init__(self) -> None:
        """Refuse a pattern that is none and a rate that is not above 0."""
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise InputError(
                f"group pattern: expected a regular expression, got {self.group_pattern}: {error}"
            ) from error
        if not self.fps > 0:
            raise InputError(f"fps: expected more than 0, got {self.fps:g}")


@dataclass(frozen=True)
class Summary:
    """What became of a public file.

    Attributes:
        clips: clips taken.
        other_labels: clips left out for their label.
        absent: ids that the file's splits name and its annotations lack.
        splits: Markdown table of the splits.
    """

    clips: int
    other_labels: int
    absent: int
    splits: str


def parse_labels(entries: Sequence[str], classes: Sequence[str]) -> dict[int, int]:
    """Read entries such as `normal=0-48,60` into class indices by the file's label.

    Args:
        entries: one `<class>=<labels>` each; labels are numbers and ranges joined by commas.
        classes: class names in label order.

    Raises:
        InputError: an unknown class, labels that are no numbers, or one label for two classes.
    """
    found: dict[int, int] = {}
    for entry in entries:
        name, _, numbers = entry.rpartition("=")
        if name not in classes:
            raise InputError(f"classes: expected one of {', '.join(classes)}, got {entry}")
        for part in numbers.split(","):
            match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if match is None:
                raise InputError(f"classes: {name}: expected labels such as 0-48,60, got {numbers}")
            for label in range(int(match[1]), int(match[2] or match[1]) + 1):
                if found.setdefault(label, classes.index(name)) != classes.index(name):
                    raise InputError(f"classes: {name}: label {label}: expected in one class only")
    return found


def import_file(
    path: Path, folder: Path, classes: Sequence[str], params: DatasetSection, choice: Choice
) -> Summary:
    """Write `annotations.pkl`, `splits.csv` and `splits.md` into `folder` from a public file.

    Persons stay in the file's order, so the first `max_persons` of it are looked at.

    Args:
        path: the public pickle.
        folder: where to write.
        classes: class names in label order.
        params: shares, folds and seed of splits that are made here.
        choice: what to take.

    Returns:
        What was taken and what was left out.

    Raises:
        InputError: no such file, 3-D skeletons, labels without a class, or splits that leak.
    """
    value = read_pickle(path)
    try:
        named = {str(name): [str(i) for i in ids] for name, ids in dict(value["split"]).items()}
        given = [_named(row) for row in value["annotations"]]
        if choice.keypoints is not None:
            given = _with_keypoints(given, choice.keypoints)
        chosen = [row for row in given if not choice.labels or row["label"] in choice.labels]
        rows = [_standard(row, choice, len(classes)) for row in chosen]
    except (LookupError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: expected a public skeleton file, got {reason}") from error
    identities = [row["frame_dir"] for row in given]
    items = _items(path, identities, rows)
    markdown = publish(folder, items, _splits(items, named, params, choice), rows, classes)
    absent = {i for ids in named.values() for i in ids} - set(identities)
    return Summary(len(rows), len(given) - len(rows), len(absent), markdown)


def _items(path: Path, identities: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Return what the splits must know of the clips, which have different ids."""
    twice = [name for name, count in Counter(identities).items() if count > 1]
    if twice or not rows:
        problem = f"{twice[0]} twice" if twice else "none"
        raise InputError(f"{path}: expected clips of different ids, got {problem}")
    return [Item(r["frame_dir"], r["video_id"], r["group"], r["label"]) for r in rows]


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an annotation with its id in `frame_dir`, and plain integers."""
    name = str(row["frame_dir"] if "frame_dir" in row else row["filename"])
    label, frames = int(row["label"]), int(row["total_frames"])
    return {**row, "frame_dir": name, "label": label, "total_frames": frames}


def _standard(row: Mapping[str, Any], choice: Choice, classes: int) -> dict[str, Any]:
    """Return one public annotation as `vigil.dataset.annotation` writes it."""
    name, label = row["frame_dir"], row["label"]
    if not choice.labels and not 0 <= label < classes:
        raise InputError(
            f"{name}: expected a label below {classes}, the number of classes in the parameters, "
            f"got {label}: name all classes there, or say which labels are which with --classes"
        )
    keypoint, score = _arrays(name, row)
    shape = tuple(int(side) for side in row.get("img_shape", row.get("original_shape", ())))
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"{name}: expected img_shape (height, width) in pixels, got {shape}")
    return {
        "frame_dir": name,
        "label": choice.labels.get(label, label),
        "img_shape": shape,
        "original_shape": shape,
        "total_frames": keypoint.shape[1],
        "keypoint": keypoint,
        "keypoint_score": score,
        "video_id": name,
        "group": _group(name, row, choice),
        "duration_s": keypoint.shape[1] / choice.fps,
    }


def _arrays(
    name: str, row: Mapping[str, Any]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return (M, T, 17, 2) pixels and (M, T, 17) scores in [0, 1], both 0 where missing.

    The type of the numbers stays. Without scores every joint that is not at 0, 0 is certain.
    """
    if "keypoint" not in row:
        raise InputError(f"{name}: expected keypoint, got none: name Kinetics' keypoint files")
    keypoint = np.array(row["keypoint"])
    if keypoint.ndim != 4 or keypoint.shape[3] != 2 or keypoint.shape[2] != JOINTS:
        if keypoint.ndim == 4 and keypoint.shape[3] == 3:
            raise InputError(
                f"{name}: expected 2-D skeletons of {JOINTS} joints, got 3-D ones of "
                f"{keypoint.shape[2]}: only 2-D is served; take the publisher's 2-D file"
            )
        raise InputError(f"{name}: expected keypoint (M, T, {JOINTS}, 2), got {keypoint.shape}")
    frames = row["total_frames"]
    score = np.array(row.get("keypoint_score", keypoint.any(-1).astype(keypoint.dtype)))
    if score.shape != keypoint.shape[:3] or keypoint.shape[1] != frames or frames < 1:
        raise InputError(
            f"{name}: expected keypoint_score (M, T, {JOINTS}) and T = total_frames above 0, got "
            f"{score.shape} for {keypoint.shape} and {frames}"
        )
    missing = ~np.isfinite(keypoint).all(-1) | ~np.isfinite(score) | (score <= 0)
    keypoint[missing], score[missing] = 0.0, 0.0
    return keypoint, np.minimum(score, 1.0).astype(score.dtype)


def _group(name: str, row: Mapping[str, Any], choice: Choice) -> str:
    """Return what no split may divide: by field, by pattern, or the clip alone."""
    if choice.group_field is not None:
        if choice.group_field not in row:
            raise InputError(f"{name}: expected the field {choice.group_field}, got none")
        return str(row[choice.group_field])
    if choice.group_pattern is None:
        return name
    match = re.search(choice.group_pattern, name)
    if match is None:
        raise InputError(f"{name}: expected a match of {choice.group_pattern}, got none")
    return match[0]


def _splits(
    items: Sequence[Item],
    named: Mapping[str, Sequence[str]],
    params: DatasetSection,
    choice: Choice,
) -> dict[str, list[str]]:
    """Return `train`, `val` and `test` from the file's splits, or splits made here."""
    wanted = {"train": choice.train, "val": choice.val, "test": choice.test}
    if not any(wanted.values()):
        return make_splits(items, params.split, params.folds, params.seed)
    unknown = [name for name in wanted.values() if name is not None and name not in named]
    if unknown or not (choice.train and choice.test):
        raise InputError(
            f"split: expected train and test among {', '.join(named)}, got {choice.train} and "
            f"{choice.test}" + (f" ({', '.join(unknown)} is none of them)" if unknown else "")
        )
    if params.folds:
        raise InputError(f"dataset.folds: expected 0 with the file's splits, got {params.folds}")
    splits = {}
    for part, name in wanted.items():
        ids = set(named[name]) if name is not None else set()
        splits[part] = [item.clip_id for item in items if item.clip_id in ids]
    if choice.val is None and params.split[1] > 0:
        inside = set(splits["train"])
        rest = [item for item in items if item.clip_id in inside]
        share = params.split[1] / (params.split[0] + params.split[1])
        parts = assign(rest, (1 - share, share), params.seed)
        for index, part in enumerate(("train", "val")):
            splits[part] = [i.clip_id for i, p in zip(rest, parts, strict=True) if p == index]
    check(items, splits)
    return splits


def _with_keypoints(rows: Sequence[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return Kinetics' annotations with the joints of their keypoint files.

    Each file holds `{frame_dir: {"keypoint": (N, 17, 3)}}`, x, y and score of the clip's N poses.
    """
    by_file: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_file.setdefault(Path(str(row["raw_file"])).name, []).append(row)
    found = []
    for file, members in by_file.items():
        poses = read_pickle(folder / file)
        found += [row | _unpacked(row, poses[row["frame_dir"]]["keypoint"]) for row in members]
    return found


def _unpacked(row: Mapping[str, Any], poses: Any) -> dict[str, NDArray[np.floating[Any]]]:
    """Return `keypoint` (M, T, 17, 2) and `keypoint_score` from a clip's poses in frame order.

    Nobody was tracked: person m is the m-th pose of each frame, as in the publisher's own reader.
    """
    poses, frames = np.asarray(poses), np.asarray(row["frame_inds"], np.intp)
    kept = np.asarray(row.get("box_score", np.ones(len(frames)))) >= _BOX_SCORE
    if poses.ndim != 3 or poses.shape[1:] != (JOINTS, 3) or len(poses) != len(frames):
        raise ValueError(f"{row['frame_dir']}: poses {poses.shape} for {len(frames)} frame numbers")
    poses, frames = poses[kept], frames[kept]
    seen: Counter[int] = Counter()
    slots = []
    for frame in frames.tolist():
        slots.append(seen[frame])
        seen[frame] += 1
    shape = (max(slots, default=-1) + 1, row["total_frames"], JOINTS)
    keypoint, score = np.zeros((*shape, 2), poses.dtype), np.zeros(shape, poses.dtype)
    keypoint[slots, frames], score[slots, frames] = poses[..., :2], poses[..., 2]
    return {"keypoint": keypoint, "keypoint_score": score}
