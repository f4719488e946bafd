"""Labels, clips and skeletons to one mmaction2 annotation file.

The file is a pickle because mmaction2's PoseDataset wants one. It is made by our own stage, and it
is read back through an unpickler that admits NumPy arrays and plain values only.
"""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import DatasetSection
from vigil.errors import InputError
from vigil.sampling import ClipArrays, ClipShape, clip_arrays, sample_clip, sample_indices
from vigil.schema import Clip, Label, Skeletons, Timeline, atomic, by_video, write_text
from vigil.splits import Item, listing, make_splits, table

__all__ = ["ClipArrays", "clip_arrays", "sample_clip", "sample_indices"]

ANNOTATIONS, EMBEDDINGS = "annotations.pkl", "embeddings.pkl"
_SAFE_GLOBALS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),  # how protocol 2 writes the bytes of an array
}


@dataclass(frozen=True)
class Summary:
    """What became of the clips.

    Attributes:
        labeled: clips in the annotation file.
        unlabeled: clips that nobody labeled; left out.
        tied: clips whose annotators disagree evenly; left out.
        empty: labeled clips without a single skeleton; kept, as all zeros.
        splits: Markdown table of the splits.
    """

    labeled: int
    unlabeled: int
    tied: int
    empty: int
    splits: str


def consensus(
    labels: Sequence[Label], clips: Sequence[Clip], classes: Sequence[str]
) -> tuple[dict[str, int], int]:
    """Settle each clip's class by simple majority of its annotators.

    An annotator's later row for the same clip replaces the earlier one.

    Args:
        labels: published rows, in order.
        clips: the clips there are.
        classes: class names in label order.

    Returns:
        Class index per labeled clip id, and the number of clips left out for a tie.

    Raises:
        InputError: no label at all, or one that names an unknown clip or class.
    """
    if not labels:
        raise InputError("labels: expected at least one label, got none")
    known = {clip.clip_id for clip in clips}
    votes: dict[str, dict[str, str]] = defaultdict(dict)
    for label in labels:
        if label.clip_id not in known:
            raise InputError(f"labels: {label.clip_id}: expected a clip of clips.parquet, got none")
        if label.label not in classes:
            raise InputError(
                f"labels: {label.clip_id}: expected {', '.join(classes)}, got {label.label}"
            )
        votes[label.clip_id][label.annotator] = label.label
    settled, ties = {}, 0
    for clip_id, ballots in votes.items():
        (winner, count), *others = Counter(ballots.values()).most_common(2)
        if others and others[0][1] == count:
            ties += 1
        else:
            settled[clip_id] = list(classes).index(winner)
    return settled, ties


def annotation(
    clip: Clip, label: int, group: str, skeletons: Skeletons, timeline: Timeline | None
) -> dict[str, Any]:
    """Return one clip as mmaction2 writes it, with `video_id` and `group` beside.

    `keypoint` is (M, n, 17, 2) float32 in pixels of the original frame, `keypoint_score`
    (M, n, 17) float32, both 0 where missing; `img_shape` is (height, width).
    """
    arrays = clip_arrays(skeletons, clip, None if timeline is None else timeline.time_s)
    return clip_row(clip, arrays, (skeletons.height, skeletons.width)) | {
        "label": label,
        "group": group,
    }


def clip_row(clip: Clip, arrays: ClipArrays, shape: tuple[int, int]) -> dict[str, Any]:
    """Return a clip that nobody labeled (label -1) as mmaction2 writes it; see `annotation`.

    Args:
        clip: the window.
        arrays: its persons.
        shape: height and width of the frames in pixels.
    """
    return {
        "frame_dir": clip.clip_id,
        "label": -1,
        "img_shape": shape,
        "original_shape": shape,
        "total_frames": arrays.score.shape[1],
        "keypoint": arrays.keypoint,
        "keypoint_score": arrays.score,
        "video_id": clip.video_id,
        "group": clip.video_id,
        "duration_s": clip.end_s - clip.start_s,
    }


def build(
    folder: Path,
    clips: Sequence[Clip],
    labels: Sequence[Label],
    groups: Mapping[str, str],
    sources: Mapping[str, tuple[Path, Path]],
    classes: Sequence[str],
    params: DatasetSection,
) -> Summary:
    """Write `annotations.pkl`, `splits.csv` and `splits.md` into `folder`.

    Args:
        folder: where to write.
        clips: the clips of all videos.
        labels: published labels.
        groups: scene or session by video id; a video not named is its own group.
        sources: paths of the skeleton and timeline files by video id.
        classes: class names in label order.
        params: the stage's section.

    Returns:
        What was kept and what was left out.

    Raises:
        InputError: bad labels, a labeled clip without a skeleton file, or splits that leak.
    """
    settled, ties = consensus(labels, clips, classes)
    rows = []
    labeled = by_video(clip for clip in clips if clip.clip_id in settled)
    for video_id, members in labeled.items():
        if video_id not in sources:
            raise InputError(f"dataset: {video_id}: expected a skeleton file, got none")
        skeletons, timeline = (
            Skeletons.read(sources[video_id][0]), Timeline.read(sources[video_id][1])
        )  # fmt: skip
        group = groups.get(video_id, video_id)
        rows += [annotation(c, settled[c.clip_id], group, skeletons, timeline) for c in members]
    if not rows:
        raise InputError("dataset: expected at least one clip with a settled label, got none")
    items = [Item(r["frame_dir"], r["video_id"], r["group"], r["label"]) for r in rows]
    splits = make_splits(items, params.split, params.folds, params.seed)
    markdown = publish(folder, items, splits, rows, classes)
    empty = sum(len(row["keypoint"]) == 0 for row in rows)
    unlabeled = len(clips) - len(rows) - ties
    return Summary(len(rows), unlabeled, ties, empty, markdown)


def publish(
    folder: Path,
    items: Sequence[Item],
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
) -> str:
    """Write `annotations.pkl`, `splits.csv` and `splits.md`; return the last one's text.

    Args:
        folder: where to write.
        items: what the splits were made from, one per row.
        splits: clip ids of every split.
        rows: annotations, see `annotation`.
        classes: class names in label order.
    """
    write_annotations(folder / "annotations.pkl", splits, rows)
    markdown = table(items, splits, classes)
    write_text(folder / "splits.md", markdown)
    write_text(folder / "splits.csv", listing(items, splits, classes))
    return markdown


def write_annotations(
    path: Path, splits: Mapping[str, Sequence[str]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write an mmaction2 annotation file `{split, annotations}` to `path`, atomically."""
    value = {"split": {k: list(v) for k, v in splits.items()}, "annotations": list(rows)}
    with atomic(path) as partial, partial.open("wb") as file:
        pickle.dump(value, file, protocol=4)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles plain values and NumPy arrays; any other class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few admitted globals."""
        if (module, name) not in _SAFE_GLOBALS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module, name)


def read_annotations(
    path: Path, *, embeddings: bool = True
) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Read an mmaction2 annotation file, ours or another's, without running what it may carry.

    Args:
        path: the pickle file.
        embeddings: also take what `vigil.tokens` wrote beside it, where it did.

    Returns:
        Clip ids of every split, and the annotations.

    Raises:
        InputError: not such a file, one that names anything but NumPy arrays, or a malformed one.
    """
    value = read_pickle(path)
    try:
        splits, rows = dict(value["split"]), list(value["annotations"])
        for row in rows:
            _check_row(row)
    except (LookupError, TypeError, ValueError) as error:
        raise _not_annotations(path, error) from error
    beside = path.with_name(EMBEDDINGS)
    if embeddings and path.name == ANNOTATIONS and beside.is_file():
        seen = {row["frame_dir"]: row for row in read_pickle(beside)["annotations"]}
        rows = [row | seen.get(row["frame_dir"], {}) for row in rows]
    return splits, rows


def read_pickle(path: Path) -> Any:
    """Read plain values and NumPy arrays from a pickle; nothing that it may carry is run.

    Raises:
        InputError: unreadable, or it names anything else.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file).load()
    except Exception as error:  # a hostile or cut pickle can raise nearly anything
        raise _not_annotations(path, error) from error


def _not_annotations(path: Path, error: Exception) -> InputError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return InputError(f"{path}: expected an mmaction2 annotation file, got {reason}")


def _check_row(row: dict[str, Any]) -> None:
    """Raise ValueError where a row's arrays do not fit together."""
    shape, frames = np.shape(row["keypoint"]), int(row["total_frames"])
    if len(shape) != 4 or shape[1] != frames or np.shape(row["keypoint_score"]) != shape[:3]:
        raise ValueError(f"{row['frame_dir']}: keypoint {shape} for {frames} frames")


def select(
    splits: Mapping[str, Sequence[str]], rows: Sequence[dict[str, Any]], name: str
) -> list[dict[str, Any]]:
    """Return the annotations of the split `name`.

    Raises:
        InputError: no such split.
    """
    if name not in splits:
        raise InputError(f"split: expected one of {', '.join(splits)}, got {name}")
    wanted = set(splits[name])
    return [row for row in rows if row["frame_dir"] in wanted]


def tensors(
    rows: Sequence[Mapping[str, Any]], params: ClipShape, view: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Sample annotations the way they are served.

    Args:
        rows: N annotations.
        params: clip length, persons and sampling.
        view: which sampling of each clip, see `vigil.sampling.sample_clip`.

    Returns:
        keypoints (N, M, T, 17, 3) float32, image sizes (N, 2) float32 width and height, labels
        (N,) int64.
    """
    arrays = [
        sample_clip(
            ClipArrays(np.asarray(r["keypoint"], np.float32),
                       np.asarray(r["keypoint_score"], np.float32), ()),
            params.clip_len, params.max_persons, params.sampling, view,
        )
        for r in rows
    ]  # fmt: skip
    sizes = [(row["img_shape"][1], row["img_shape"][0]) for row in rows]
    labels = [row["label"] for row in rows]
    return np.stack(arrays), np.array(sizes, np.float32), np.array(labels, np.int64)
