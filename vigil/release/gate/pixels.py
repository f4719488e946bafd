"""How often the way from pixels to behavior is right: labeled test clips, sent as frames.

Windows of one video that touch are one stretch, sent as one stream, as a camera would; a stream
begins with nobody known. Each recognizer is judged by the rules of its own gate: against the
served version, where there is one, else against the same published recognizer on the skeletons and
embeddings that the stages made of the same clips. Both versions ask the same published networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import EvaluateSection, GateSection
from vigil.errors import VigilError
from vigil.evaluation.comparing import LEAST_VIDEOS
from vigil.evaluation.scores import Scores, confusion, scores_of
from vigil.perception.smoothing import REACH
from vigil.release.gate.check import Check
from vigil.release.gate.quality import TestSplit, quality
from vigil.schema import Clip, by_video
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.behaviour.spec import BehaviourSpec, Network
from vigil.serving.client import Client
from vigil.session import Session
from vigil.video import Frame, decode

_TOPIC = "quality"
_CHUNK = 16  # frames of one request
_ROUNDING_S = 1e-6
OFFLINE = "offline"
Answers = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shown:
    """Labeled test clips that are shown as frames.

    Attributes:
        rows: their annotations.
        clips: the windows by clip id.
        videos: the footage by video id.
        total: clips and videos that could have been shown.
        classes: class names in label order.
        normal: the class that is not an event.
        evaluate: resamples and their seed.
    """

    rows: Sequence[dict[str, Any]]
    clips: Mapping[str, Clip]
    videos: Mapping[str, Path]
    total: tuple[int, int]
    classes: tuple[str, ...]
    normal: str
    evaluate: EvaluateSection

    @property
    def test(self) -> dict[str, Any]:
        """What was shown, for the verdict."""
        lines = sorted(f"{row['frame_dir']},{row['label']}" for row in self.rows)
        return {
            "clips": len(self.rows),
            "videos": len({row["video_id"] for row in self.rows}),
            "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        }

    @property
    def note(self) -> str:
        """Say what was judged, in a sentence."""
        clips, videos = self.total
        return (
            f"Right or wrong is judged on {len(self.rows)} of {clips} labeled test clips with "
            f"footage, {self.test['videos']} of {videos} videos, drawn whole with seed "
            f"{self.evaluate.seed}. Candidate and served version ask the same published networks; "
            "each of those has a gate of its own."
        )


def show(
    rows: Sequence[dict[str, Any]],
    clips: Mapping[str, Clip],
    videos: Mapping[str, Path],
    classes: tuple[str, ...],
    normal: str,
    most: int,
    evaluate: EvaluateSection,
) -> Shown | str:
    """Choose test clips to be shown: whole videos, drawn by a seed, until there are enough.

    Args:
        rows: annotations of the frozen test split.
        clips: windows by clip id.
        videos: footage by video id.
        classes: class names in label order.
        normal: the class that is not an event.
        most: enough clips, where they are of enough videos; 0: all.
        evaluate: the seed; resamples of the bootstrap.

    Returns:
        What is shown; or in words why nothing can be judged.
    """
    there = [row for row in rows if row["frame_dir"] in clips and row["video_id"] in videos]
    names = sorted({row["video_id"] for row in there})
    if len(names) < LEAST_VIDEOS:
        return f"labeled test clips of {len(names)} videos with footage, {LEAST_VIDEOS} are needed"
    chosen: set[str] = set()
    for name in np.random.default_rng(evaluate.seed).permutation(names):
        count = sum(row["video_id"] in chosen for row in there)
        if not most or count < most or len(chosen) < LEAST_VIDEOS:
            chosen.add(str(name))
    shown = [row for row in there if row["video_id"] in chosen]
    return Shown(shown, clips, videos, (len(there), len(names)), classes, normal, evaluate)


def judge_clips(
    shown: Shown,
    specs: Mapping[str, BehaviourSpec],
    client: Client,
    run: Callable[[Network], Session],
    gate: GateSection,
) -> tuple[list[Check], dict[str, Any]]:
    """Show the clips to the candidate and the served version, and judge what they answer.

    Args:
        shown: the clips.
        specs: by name on the server, the candidate first, then the served version if there is one.
        client: of the server.
        run: gives the session of a published network in this process.
        gate: the margins.

    Returns:
        The checks; and the figures: `candidate` and `differences` as `quality` has them, each
        metric's name behind its recognizer's, `against` (what they are the difference to),
        `classes`, and by recognizer in `recognizers` the confusion and how far it agrees with the
        same recognizer offline.
    """
    spec = next(iter(specs.values()))
    wrong = sorted(set(spec.classes) ^ set(shown.classes))
    if wrong:
        return [Check(_TOPIC, "classes, as labeled", False, f"only on one side: {wrong}")], {}
    try:
        answers = ask(shown, specs, client)
    except VigilError as error:
        return [Check(_TOPIC, "answers the test clips", False, str(error))], {}
    said, *before = (_scores(shown, specs[name], answers[name]) for name in specs)
    missing = int(np.isnan(next(iter(answers.values()))).any((1, 2)).sum())
    detail = f"{len(shown.rows) - missing} of {len(shown.rows)} windows answered"
    checks = [Check(_TOPIC, "answers the test clips", bool(said), detail)]
    if not said:
        return checks, {}
    found, figures = _judge_each(shown, spec, said, before[0] if before else {}, run, gate)
    return [*checks, *found], figures


def _judge_each(
    shown: Shown,
    spec: BehaviourSpec,
    said: Mapping[str, Scores],
    old: Mapping[str, Scores],
    run: Callable[[Network], Session],
    gate: GateSection,
) -> tuple[list[Check], dict[str, Any]]:
    """Judge what every recognizer said; see `judge_clips`."""
    checks: list[Check] = []
    figures: dict[str, Any] = {
        "candidate": {}, "differences": [], "classes": list(shown.classes), "recognizers": {},
        "against": "served" if set(said) <= set(old) else OFFLINE,
    }  # fmt: skip
    for one in spec.recognizers:
        name = one.network.model
        split = TestSplit(shown.rows, one.reads, shown.classes, shown.normal)
        offline = split.scores(run(one.network).run)
        against = "served" if name in old else f"the same recognizer {OFFLINE}"
        first = old.get(name, offline)
        found, measured = quality(split, first, said[name], gate, shown.evaluate, against)
        checks += [replace(check, name=f"{name}: {check.name}") for check in found]
        _add(figures, name, measured)
        figures["recognizers"][name] = _details(said[name], offline, len(shown.classes))
    return checks, figures


def _add(figures: dict[str, Any], recognizer: str, measured: Mapping[str, Any]) -> None:
    """Put one recognizer's metrics among those of all."""
    figures["candidate"] |= {
        f"{recognizer} {metric}": value for metric, value in measured.get("candidate", {}).items()
    }
    figures["differences"] += [
        row | {"metric": f"{recognizer} {row['metric']}"} for row in measured.get("differences", ())
    ]


def _details(said: Scores, offline: Scores, classes: int) -> dict[str, Any]:
    """Return the confusion, and how far a recognizer agrees with itself on the stages' inputs."""
    gap = np.abs(said.probabilities - offline.probabilities).max(1)
    right = {"right": said, "right_offline": offline}
    return {
        "clips": len(said.labels),
        "confusion": confusion(said, classes).tolist(),
        **{key: int((one.predicted == one.labels).sum()) for key, one in right.items()},
        "agreement": float((said.predicted == offline.predicted).mean()),
        "shift": float(gap.mean()),
    }


def _scores(shown: Shown, spec: BehaviourSpec, answers: Answers) -> dict[str, Scores]:
    """Return answers by recognizer, classes brought into the labels' order by name.

    Nothing where a window got no answer, or the classes are others: there is nothing to pair.
    """
    if np.isnan(answers).any() or set(spec.classes) != set(shown.classes):
        return {}
    order = [spec.classes.index(name) for name in shown.classes]
    return {
        name: scores_of(shown.rows, answers[:, number][:, order])
        for number, name in enumerate(spec.names)
    }


def ask(shown: Shown, specs: Mapping[str, BehaviourSpec], client: Client) -> dict[str, Answers]:
    """Send the clips' frames to every version; each video is decoded once.

    Returns:
        By name (N, R, C) probabilities of the shown rows; NaN where a window got no answer.

    Raises:
        ServerError: a version refuses or does not answer.
        InputError: footage that cannot be decoded.
    """
    place = {row["frame_dir"]: i for i, row in enumerate(shown.rows)}
    found = {
        name: np.full((len(place), len(spec.names), len(spec.classes)), np.nan, np.float32)
        for name, spec in specs.items()
    }
    reach_s = max(REACH * spec.skeletons.smooth_s for spec in specs.values())
    stride_s = max(spec.clips.stride_s for spec in specs.values())
    size = min(_CHUNK, *(spec.limits.max_frames for spec in specs.values()))
    for video, clips in by_video(shown.clips[name] for name in place).items():
        frames = decode(shown.videos[video])
        for stretch in stretches(clips, reach_s + stride_s):
            some = _within(frames, stretch, reach_s)
            for name, answer in _stream(some, client, list(specs), size).items():
                for clip in stretch:
                    at = _window(answer, clip, specs[name].clips.stride_s)
                    if at is not None:
                        found[name][place[clip.clip_id]] = answer.clip_probabilities[at]
    return found


def stretches(clips: Sequence[Clip], gap_s: float) -> list[list[Clip]]:
    """Join windows of one video that are less than `gap_s` seconds apart, in order of time."""
    found: list[list[Clip]] = []
    for clip in sorted(clips, key=lambda one: one.start_s):
        if found and clip.start_s < max(one.end_s for one in found[-1]) + gap_s:
            found[-1].append(clip)
        else:
            found.append([clip])
    return found


def _within(frames: Iterator[Frame], stretch: Sequence[Clip], reach_s: float) -> Iterator[Frame]:
    """Yield the frames of a stretch and those after it that its last joints are smoothed over."""
    start_s = stretch[0].start_s - _ROUNDING_S
    until_s = max(clip.end_s for clip in stretch) + reach_s
    later = dropwhile(lambda frame: frame.time_s < start_s, frames)
    return takewhile(lambda frame: frame.time_s < until_s, later)


def _stream(
    frames: Iterator[Frame], client: Client, names: Sequence[str], size: int
) -> dict[str, Behaviour]:
    """Send frames to every version as a stream of its own."""
    streams = {name: client.stream(name) for name in names}
    parts: dict[str, list[Behaviour]] = {name: [] for name in names}
    while some := list(islice(frames, size)):
        pixels, times = np.stack([frame.rgb for frame in some]), [frame.time_s for frame in some]
        for name, stream in streams.items():
            parts[name].append(stream.send(pixels, times))
    for name, stream in streams.items():
        parts[name].append(stream.end())
    return {name: joined(some) for name, some in parts.items()}


def _window(answer: Behaviour, clip: Clip, stride_s: float) -> int | None:
    """Return which window of an answer is this clip; its ends may be a moment off."""
    if not len(answer.clip_s):
        return None
    gaps = np.abs(answer.clip_s - (clip.start_s, clip.end_s)).max(1)
    at = int(gaps.argmin())
    return at if gaps[at] < stride_s / 2 else None
