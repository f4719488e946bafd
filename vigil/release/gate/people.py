"""How well the detector and the pose network find people, where it is known who is there.

Both versions look at the same frames of the frozen test videos through Triton, with the stages' own
thresholds: what the stages would drop counts as not found. Where nobody wrote down who is there,
nothing is judged and the page says so.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, EvaluateSection
from vigil.errors import InputError
from vigil.evaluation.comparing import LEAST_VIDEOS
from vigil.evaluation.detections import (
    NAMES,
    Kind,
    Matches,
    Rows,
    box_results,
    compare_precision,
    match,
    measure_precision,
    pose_results,
)
from vigil.perception.detector import BATCH, PersonDetector
from vigil.perception.pose import PoseEstimator
from vigil.release.gate.check import Check
from vigil.release.gate.quality import NOTHING_SERVED, judge_difference
from vigil.session import Session
from vigil.video import decode

_TOPIC = "quality"
_HIDDEN = 0.2  # somebody of whom less is visible neither counts nor is a mistake to find
_WORDS: dict[Kind, str] = {"bbox": "boxes", "keypoints": "joints"}
Truth = Mapping[str, Any]
Look = Callable[[Session, Sequence[NDArray[np.uint8]]], list[list[dict[str, Any]]]]


@dataclass(frozen=True, eq=False)
class Known:
    """Footage of which it is known who is there.

    Attributes:
        kind: what is looked for.
        videos: footage by video id.
        truths: who is there by video id, see `vigil.demo.footage`.
        test: how many test videos there are.
        look: lets a network see (H, W, 3) uint8 RGB frames; returns each one's detections.
        frames: most frames of a video, evenly spaced; 0: all.
        margin: largest loss that is let pass while it is within noise.
        evaluate: resamples and their seed.
    """

    kind: Kind
    videos: Mapping[str, Path]
    truths: Mapping[str, Truth]
    test: int
    look: Look
    frames: int
    margin: float
    evaluate: EvaluateSection

    @property
    def note(self) -> str:
        """Say what was judged, in a sentence."""
        each = f"at most {self.frames} frames" if self.frames else "every frame"
        return (
            f"{_WORDS[self.kind].capitalize()} are judged on {len(self.truths)} of {self.test} "
            f"test videos, {each} of each; average precision by COCO's rules."
        )


def known(
    name: str, config: Config, folder: Path, videos: Mapping[str, Path], test: Sequence[str]
) -> Known | str:
    """Gather the test videos of which it is known who is there.

    Args:
        name: the detector or the pose network.
        config: all parameters.
        folder: of the ground truth, one `<video>.json.gz` a video.
        videos: the project's footage by video id.
        test: ids of the videos of the frozen test split.

    Returns:
        What is known; or in words why nothing can be judged.

    Raises:
        InputError: a file that is no ground truth.
    """
    kind: Kind = "bbox" if name == config.mask.detector.name else "keypoints"
    files = {one: folder / f"{one}.json.gz" for one in sorted(set(test) & set(videos))}
    truths = {one: _read(path) for one, path in files.items() if path.is_file()}
    truths = {one: truth for one, truth in truths.items() if kind == "bbox" or _joints(truth)}
    if not config.gate.ground_truth or not truths:
        return f"no {_WORDS[kind]} known"
    if len(truths) < LEAST_VIDEOS:
        return f"{_WORDS[kind]} known of {len(truths)} test videos, {LEAST_VIDEOS} are needed"
    if not any(truth["persons"]["frame"] for truth in truths.values()):
        return "nobody is in the test videos"
    return Known(
        kind, {one: videos[one] for one in truths}, truths, len(set(test)), _look(kind, config),
        config.gate.frames, config.gate.margin_precision, config.evaluate,
    )  # fmt: skip


def _joints(truth: Truth) -> bool:
    return "keypoints" in truth["persons"]


def _read(path: Path) -> Truth:
    try:
        truth: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        columns = {len(column) for column in truth["persons"].values()}
        if (
            len(columns) != 1
            or truth["n_frames"] < 1
            or not {"frame", "xyxy"} <= set(truth["persons"])
            or ("keypoints" in truth["persons"]) != ("visibility" in truth["persons"])
        ):
            raise ValueError("no frames, a column missing, or columns of unequal length")
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: expected who is in a video, got {error!r}") from error
    return truth


def _look(kind: Kind, config: Config) -> Look:
    """Return how the stages ask a network of this kind."""

    def boxes(session: Session, frames: Sequence[NDArray[np.uint8]]) -> list[list[dict[str, Any]]]:
        detector = PersonDetector(session, config.mask.detector, config.mask.max_persons)
        return [box_results(one.xyxy, one.score) for one in detector.detect(frames)]

    def joints(session: Session, frames: Sequence[NDArray[np.uint8]]) -> list[list[dict[str, Any]]]:
        estimator = PoseEstimator(session, config.skeletons)
        return [pose_results(one) for one in estimator.estimate(frames)]

    return boxes if kind == "bbox" else joints


def judge_people(
    case: Known, candidate: Session, served: Session | None
) -> tuple[list[Check], dict[str, Any], int]:
    """Let both versions look at the same frames, and compare what they find.

    Args:
        case: the footage.
        candidate: the candidate on the server.
        served: the served version there; None where there is none.

    Returns:
        The check; the figures `candidate` (the metric with its interval) and `differences`; and how
        many frames were looked at.

    Raises:
        InputError: a video of another length than its ground truth says.
    """
    sessions = [candidate, *([served] if served else [])]
    videos: list[str] = []
    people: list[Rows] = []
    found: list[list[Rows]] = [[] for _ in sessions]
    for video in case.truths:
        for indices, frames in _frames(case, video):
            videos += [video] * len(frames)
            people += [present(case.truths[video], index) for index in indices]
            for rows, session in zip(found, sessions, strict=True):
                rows += case.look(session, frames)
    runs = [match(case.kind, videos, people, rows) for rows in found]
    return *_compared(case, runs), len(videos)


def _compared(case: Known, runs: Sequence[Matches]) -> tuple[list[Check], dict[str, Any]]:
    name = NAMES[case.kind]
    figures: dict[str, Any] = {
        "candidate": {name: measure_precision(runs[0], case.evaluate)},
        "differences": [],
    }
    if len(runs) == 1:
        return [Check(_TOPIC, "not worse than served", True, NOTHING_SERVED)], figures
    row = compare_precision(name, runs[1], runs[0], case.evaluate)
    figures["differences"] = [asdict(row)]
    return [judge_difference(row, case.margin, "served")], figures


def _frames(case: Known, video: str) -> Iterator[tuple[list[int], list[NDArray[np.uint8]]]]:
    """Yield a video's frames, a few at once, and their positions."""
    count = int(case.truths[video]["n_frames"])
    most = min(count, case.frames or count)
    wanted = set(np.linspace(0, count - 1, most, dtype=int).tolist())
    frames, last = decode(case.videos[video]), -1
    chosen = (frame for frame in frames if frame.index in wanted)
    while some := list(islice(chosen, BATCH)):
        last = some[-1].index
        yield [frame.index for frame in some], [frame.rgb for frame in some]
    if last != count - 1:
        raise InputError(f"verify: {video}: expected {count} frames, as its ground truth says")


def present(truth: Truth, frame: int) -> list[dict[str, Any]]:
    """Return who is on a frame as COCO annotations without ids.

    Args:
        truth: of a video: `persons` holds `frame` and `xyxy` in parallel, and where known
            `visible_fraction`, `rle` (visible pixels), `keypoints` and `visibility`.
        frame: its position.
    """
    persons = truth["persons"]
    rows = []
    for i in (i for i, number in enumerate(persons["frame"]) if number == frame):
        x1, y1, x2, y2 = persons["xyxy"][i]
        row = {
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": _area(truth, i),
            "iscrowd": int(
                "visible_fraction" in persons and persons["visible_fraction"][i] < _HIDDEN
            ),
        }
        if _joints(truth):
            seen = np.array(persons["visibility"][i])
            joints = np.where(seen[:, None] > 0, np.array(persons["keypoints"][i]), 0.0)
            row["keypoints"] = np.column_stack([joints, seen]).ravel().tolist()
            row["num_keypoints"] = int((seen > 0).sum())
        rows.append(row)
    return rows


def _area(truth: Truth, person: int) -> float:
    """Return somebody's visible pixels, those of the box where no more is known."""
    x1, y1, x2, y2 = truth["persons"]["xyxy"][person]
    if "rle" not in truth["persons"]:
        return float((x2 - x1) * (y2 - y1))
    from pycocotools import mask

    code = {"size": [truth["height"], truth["width"]], "counts": truth["persons"]["rle"][person]}
    return float(mask.area(code))
