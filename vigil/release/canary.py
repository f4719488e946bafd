"""A candidate on live traffic: it answers a share of the requests, or silently gets copies of them.

The router sits with the caller and is a `Session` like any other. Of the sampled requests both
models are asked, so that class and latency are compared on the same rows; whatever happens to the
candidate, the caller gets an answer. A rule ends the trial: promoted, or withdrawn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from vigil.config import CanarySection
from vigil.errors import VigilError
from vigil.release.referee import COPIES, WAITING, Decision, Mode, Referee, Tally
from vigil.session import Array, Session


class Trial:
    """Routes requests between the served model and a candidate; a context manager.

    Safe to call from several threads. Once the trial is over the served model answers everything.
    """

    def __init__(
        self,
        served: Session,
        candidate: Session,
        mode: Mode,
        params: CanarySection,
        on_end: Callable[[Decision], None] = lambda _: None,
        output: str = "probabilities",
    ) -> None:
        """Prepare a trial.

        Args:
            served: the model that serves.
            candidate: the one that might.
            mode: `canary`: the candidate answers the sampled requests; `shadow`: it gets copies.
            params: the share and the rule.
            on_end: called once, from any thread, with the decision that ends the trial.
            output: the output whose largest value is the class of a row.
        """
        self.served, self.candidate, self.mode = served, candidate, mode
        self.referee, self._output = Referee(params, on_end), output
        self._pool = ThreadPoolExecutor(COPIES)
        self._room = threading.BoundedSemaphore(COPIES + WAITING)

    @property
    def tally(self) -> Tally:
        """What was seen so far."""
        return self.referee.tally

    @property
    def decision(self) -> Decision:
        """Where the trial stands."""
        return self.referee.decision

    def __enter__(self) -> Trial:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the silent requests under way."""
        self._pool.shutdown()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Answer one batch; see `vigil.session.Session.run`."""
        if not self.referee.sample():
            return self.served.run(feeds)
        if self.mode == "shadow":
            answer, seconds = _timed(self.served, feeds)
            self._silently(lambda: self._compare(feeds, answer, seconds, self.candidate))
            return answer
        try:
            answer, seconds = _timed(self.candidate, feeds)
        except VigilError as error:
            answer = self.served.run(feeds)  # a request that is itself wrong fails here as well
            self.referee.failed(str(error))
            return answer
        if not self.referee.may_answer:  # withdrawn meanwhile
            return self.served.run(feeds)
        self.referee.answered()
        self._silently(lambda: self._compare(feeds, answer, seconds, self.served))
        return answer

    def _silently(self, work: Callable[[], None]) -> None:
        if not self._room.acquire(blocking=False):
            self.referee.dropped()
            return

        def then_leave() -> None:
            try:
                work()
            finally:
                self._room.release()

        self._pool.submit(then_leave)

    def _compare(
        self, feeds: Mapping[str, Array], first: Mapping[str, Array], seconds: float, other: Session
    ) -> None:
        """Ask the other model the same and count."""
        try:
            second, also = _timed(other, feeds)
        except VigilError as error:
            if other is self.candidate:
                self.referee.failed(str(error))
            return
        mine, theirs = (
            answer[self._output].argmax(-1).ravel().tolist() for answer in (first, second)
        )
        if other is self.candidate:
            self.referee.compared(mine, theirs, seconds, also)
        else:
            self.referee.compared(theirs, mine, also, seconds)


def _timed(session: Session, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
    began = time.perf_counter()
    answer = session.run(feeds)
    return answer, time.perf_counter() - began
