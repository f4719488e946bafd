"""The rule of a trial on live traffic: what was seen of both models, and what follows from it.

It knows of no server and no protocol: a `Referee` is told which rows both models answered and how
long each took, says which requests to sample, and ends the trial once.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

import numpy as np

from vigil.config import CanarySection
from vigil.evaluation.metrics import wilson

Mode = Literal["canary", "shadow"]
State = Literal["running", "promoted", "withdrawn"]
COPIES = 2  # silent requests under way at once
WAITING = 32  # silent requests that may wait; further ones are dropped, never queued without end
_EARLY = 20  # compared requests before a bad agreement may end a trial early


@dataclass
class Tally:
    """What a trial has seen.

    Attributes:
        requests: requests that both models answered.
        rows: their rows.
        agreed: rows of the same class.
        failures: requests that the candidate failed and the served model answered.
        dropped: copies that were not sent, because too many were waiting.
        answered: requests whose caller got the candidate's answer.
        served_s: seconds of each compared request at the served model.
        candidate_s: likewise at the candidate.
        pairs: rows by the served model's class and the candidate's.
        first_failure: what the candidate said when it failed first, or "".
    """

    requests: int = 0
    rows: int = 0
    agreed: int = 0
    failures: int = 0
    dropped: int = 0
    answered: int = 0
    served_s: list[float] = field(default_factory=list)
    candidate_s: list[float] = field(default_factory=list)
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    first_failure: str = ""

    @property
    def agreement(self) -> float:
        """Share of rows to which both give the same class."""
        return self.agreed / self.rows if self.rows else 1.0

    @property
    def slowdown(self) -> float:
        """Median latency of the candidate over that of the served model."""
        return median(self.candidate_s) / median(self.served_s) if self.served_s else 1.0


@dataclass(frozen=True)
class Decision:
    """Where a trial stands, and why."""

    state: State
    reason: str


def decide(tally: Tally, params: CanarySection) -> Decision:
    """Apply the rule.

    A trial ends early where the candidate fails too often, or where its agreement lies below the
    least by more than chance (its 95 % interval, Wilson); else after the stated number of requests.
    """
    said = (
        f"{tally.requests} requests, agreement {tally.agreement:.3f}, "
        f"{tally.slowdown:.2f} times the latency, {tally.failures} failures"
    )
    if tally.failures > params.max_failures:
        return Decision("withdrawn", f"it fails: {said}")
    hopeless = wilson(tally.agreed, tally.rows)[1] < params.min_agreement
    if tally.requests >= _EARLY and hopeless:
        return Decision("withdrawn", f"it disagrees: {said}")
    if tally.requests < params.requests:
        return Decision("running", said)
    if tally.agreement < params.min_agreement:
        return Decision("withdrawn", f"it disagrees: {said}")
    if tally.slowdown > params.max_slowdown:
        return Decision("withdrawn", f"it is slow: {said}")
    return Decision("promoted", said)


class Referee:
    """Watches one trial and ends it by the rule. Safe to call from several threads."""

    def __init__(
        self, params: CanarySection, on_end: Callable[[Decision], None] = lambda _: None
    ) -> None:
        """Begin with nothing seen.

        Args:
            params: the share and the rule.
            on_end: called once, from any thread, with the decision that ends the trial.
        """
        self.params, self.tally = params, Tally()
        self.decision = decide(self.tally, params)
        self._on_end, self._lock = on_end, threading.Lock()
        self._random = random.Random(0)  # noqa: S311 (whom to sample is no secret)

    @property
    def running(self) -> bool:
        """Whether the trial goes on."""
        return self.decision.state == "running"

    @property
    def may_answer(self) -> bool:
        """Whether a caller may be given the candidate's answer: not once it is withdrawn."""
        return self.decision.state != "withdrawn"

    def sample(self) -> bool:
        """Say whether the next request is one that both models are asked."""
        with self._lock:
            return self.running and self._random.random() < self.params.share

    def compared(
        self, served: Sequence[int], candidate: Sequence[int], served_s: float, candidate_s: float
    ) -> None:
        """Count a request that both models answered, by the class of each row."""
        pairs = list(zip(served, candidate, strict=True))
        with self._lock:
            tally = self.tally
            tally.requests += 1
            tally.rows += len(pairs)
            tally.agreed += sum(one == other for one, other in pairs)
            tally.pairs.update(pairs)
            tally.served_s.append(served_s)
            tally.candidate_s.append(candidate_s)
        self._judge()

    def failed(self, reason: str) -> None:
        """Count a request that the candidate failed and the served model answered."""
        with self._lock:
            self.tally.failures += 1
            self.tally.first_failure = self.tally.first_failure or reason
        self._judge()

    def dropped(self) -> None:
        """Count a copy that was not sent."""
        with self._lock:
            self.tally.dropped += 1

    def answered(self) -> None:
        """Count a caller who got the candidate's answer."""
        with self._lock:
            self.tally.answered += 1

    def withdraw(self, reason: str) -> None:
        """End the trial for a cause outside of the rule; nothing where it is over."""
        self._end(lambda: Decision("withdrawn", reason))

    def status(self) -> dict[str, Any]:
        """Return what was seen and where the trial stands as plain values, latencies in ms."""
        with self._lock:
            tally, decision = self.tally, self.decision
            low, high = wilson(tally.agreed, tally.rows)
            pairs = [[*pair, count] for pair, count in sorted(tally.pairs.items())]
            return {
                "state": decision.state, "reason": decision.reason,
                "requests": tally.requests, "rows": tally.rows, "agreed": tally.agreed,
                "agreement": tally.agreement, "low": low, "high": high, "pairs": pairs,
                "failures": tally.failures, "first_failure": tally.first_failure,
                "dropped": tally.dropped, "answered": tally.answered,
                "slowdown": tally.slowdown,
                "latency_ms": {
                    "served": _latency_ms(tally.served_s),
                    "candidate": _latency_ms(tally.candidate_s),
                },
            }  # fmt: skip

    def _judge(self) -> None:
        self._end(lambda: decide(self.tally, self.params))

    def _end(self, judge: Callable[[], Decision]) -> None:
        with self._lock:
            if not self.running:
                return
            self.decision = decision = judge()
        if decision.state != "running":
            self._on_end(decision)


def _latency_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return median and 95th percentile in milliseconds; empty where there is none."""
    if not seconds:
        return {}
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}
