"""How often candidate and served model are right on the frozen test split, both through Triton."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vigil.config import EvaluateSection, GateSection
from vigil.errors import InputError
from vigil.evaluation.comparing import Difference, align, compare
from vigil.evaluation.metrics import measure
from vigil.evaluation.scores import Scores, scores_of
from vigil.models.reading import Batch, Row
from vigil.release.gate.check import Check, Feeds
from vigil.session import Array

_TOPIC = "quality"
NOTHING_SERVED = "nothing is served yet; the candidate's metrics are in the table"
_PART = 64  # clips, and rows, handed over at once; a session cuts them to what the model takes


class Judged(Protocol):
    """What the gate asks of a `vigil.models.reading.Reading`, or of what stands before one."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What `config.pbtxt` must tell clients."""

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Prepare annotations the way they are served."""

    def settle(
        self, probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int
    ) -> NDArray[np.float32]:
        """Turn answers to a batch's rows into those of its clips."""


@dataclass(frozen=True, eq=False)
class TestSplit:
    """The clips that decide.

    Attributes:
        rows: their annotations.
        reads: how they become what the model takes.
        classes: class names in label order.
        normal: the class that is not an event.
    """

    __test__ = False  # no test, whatever pytest makes of its name

    rows: Sequence[dict[str, Any]]
    reads: Judged
    classes: tuple[str, ...]
    normal: str

    @property
    def sha256(self) -> str:
        """Hash of which clips there are, of what, with which labels."""
        lines = sorted(f"{r['frame_dir']},{r['video_id']},{r['label']}" for r in self.rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def scores(self, run: Callable[[Feeds], Mapping[str, Array]]) -> Scores:
        """Ask a model about every clip."""
        clips = [self.rows[i : i + _PART] for i in range(0, len(self.rows), _PART)]
        return scores_of(self.rows, np.concatenate([self._settled(run, some) for some in clips]))

    def _settled(
        self, run: Callable[[Feeds], Mapping[str, Array]], clips: Sequence[dict[str, Any]]
    ) -> NDArray[np.float32]:
        """Return (clips, classes) of some of the clips, so that few inputs are held at once."""
        batch = self.reads.batch(clips)
        parts = [
            run({name: array[i : i + _PART] for name, array in batch.feeds.items()})
            for i in range(0, len(batch.owner), _PART)
        ]
        answers = np.concatenate([part["probabilities"] for part in parts])
        return self.reads.settle(answers, batch.owner, len(clips))


def quality(
    split: TestSplit,
    first: Scores | None,
    second: Scores,
    gate: GateSection,
    params: EvaluateSection,
    against: str = "served",
) -> tuple[list[Check], dict[str, Any]]:
    """Judge what candidate and served model said of the test split.

    The paired bootstrap draws videos and computes both on each draw. A metric fails where the whole
    interval of the difference is a loss, and where the loss itself is above the margin; a loss
    within both is reported and let pass.

    Args:
        split: the clips.
        first: what the served model said; None where none is served.
        second: what the candidate said.
        gate: the margins.
        params: resamples and their seed.
        against: what said `first`, in words.

    Returns:
        The checks, and the figures: `candidate` (metrics with intervals) and `differences`.
    """
    if not np.isfinite(second.probabilities).all():
        return [Check(_TOPIC, "answers are numbers", False, "NaN or infinite")], {}
    figures: dict[str, Any] = {
        "candidate": {
            name: found
            for name, found in measure(second, split.classes, split.normal, params).items()
            if name in gate.margins
        },
        "differences": [],
    }
    if first is None:
        return [Check(_TOPIC, "not worse than served", True, NOTHING_SERVED)], figures
    try:
        served, candidate = align((first, split.classes), (second, split.classes))
    except InputError as error:
        return [Check(_TOPIC, f"not worse than {against}", False, str(error))], figures
    found = [
        row
        for row in compare([served], [candidate], split.classes, split.normal, params)
        if row.metric in gate.margins
    ]
    figures["differences"] = [asdict(row) for row in found]
    missing = sorted(set(gate.margins) - {row.metric for row in found})
    checks = [
        judge_difference(row, gate.margins[row.metric], against)  # type: ignore[index]
        for row in found
    ]
    if missing:
        detail = f"not defined on this split: {', '.join(missing)}"
        checks.append(Check(_TOPIC, "every metric is defined", False, detail))
    return checks, figures


def judge_difference(row: Difference, margin: float, against: str) -> Check:
    """Let a difference pass that is no loss beyond noise and no larger loss than `margin`."""
    gap = row.second - row.first
    passed = row.verdict != "worse" and gap >= -margin
    detail = (
        f"{row.first:.3f} → {row.second:.3f}, difference {gap:+.3f} [{row.low:+.3f}, "
        f"{row.high:+.3f}]: {row.verdict}; a loss of {margin:g} is allowed within noise"
    )
    return Check(_TOPIC, f"{row.metric} not worse than {against}", passed, detail)
