"""A trial on the front: sampled requests go to the candidate, or a copy of them does.

It sits in the front, one a trial, and belongs to its event loop. It knows no protocol: callers over
HTTP and gRPC share a trial, and each request comes with the way to ask it. What the caller sent is
what both models get, and what one of them answers is what the caller gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from vigil.config import CanarySection
from vigil.config.base import Name, Section
from vigil.errors import ServerError
from vigil.release.referee import COPIES, WAITING, Mode, Referee

_FAILURES = (ServerError, TimeoutError)

R_co = TypeVar("R_co", covariant=True)


class TrialRequest(Section):
    """What opens a trial: whose requests, who else is asked, and by which rule."""

    model: Name
    candidate: Name
    mode: Mode
    rule: CanarySection


class Reply(Protocol):
    """A whole answer of Triton."""

    @property
    def seconds(self) -> float:
        """How long it took."""

    def classes(self) -> list[int]:
        """Return the class of each row.

        Raises:
            ServerError: it is a refusal, or holds no probabilities.
        """

    def named(self, model: str) -> Self:
        """Return it under the name of the model that the caller asked."""


R = TypeVar("R", bound=Reply)


class Ask(Protocol[R_co]):
    """How a model is asked one request."""

    def __call__(self, model: str, limit_s: float | None = None) -> Awaitable[R_co]:
        """Send it to `model`.

        Raises:
            ServerUnavailable: nobody answers.
            TimeoutError: nobody does within `limit_s` seconds.
        """


class Split:
    """Answers the sampled requests of one trial."""

    def __init__(self, asked: TrialRequest) -> None:
        """Begin."""
        self.referee = Referee(asked.rule)
        self._asked = asked
        self._turn = asyncio.Semaphore(COPIES)
        self._copies: set[asyncio.Task[None]] = set()

    async def answer(self, ask: Ask[R]) -> R:
        """Answer one request that both models may be asked, see `vigil.serving.kserve`.

        The caller's own mistakes are the served model's to name.

        Args:
            ask: sends the request to a model.

        Raises:
            ServerUnavailable: the server does not answer.
        """
        if self._asked.mode == "shadow":
            first = await ask(self._asked.model)
            self._silently(partial(self._copy, first, ask))
            return first
        try:
            tried = await self._candidate(ask)
            classes = tried.classes()
        except _FAILURES as error:
            first = await ask(self._asked.model)
            if _classes(first) is not None:
                self.referee.failed(_reason(error))
            return first
        if not self.referee.may_answer:  # withdrawn meanwhile
            return await ask(self._asked.model)
        self.referee.answered()
        self._silently(partial(self._check, tried, classes, ask))
        return tried.named(self._asked.model)

    async def close(self) -> None:
        """Wait for the silent requests under way."""
        await asyncio.gather(*self._copies, return_exceptions=True)

    def _candidate(self, ask: Ask[R]) -> Awaitable[R]:
        return ask(self._asked.candidate, self._asked.rule.timeout_s)

    def _silently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something after the caller has been answered, or drop it where too much waits."""
        if len(self._copies) >= COPIES + WAITING:
            self.referee.dropped()
            return

        async def later() -> None:
            async with self._turn:
                if self.referee.running:
                    await work()

        task = asyncio.get_running_loop().create_task(later())
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _copy(self, first: Reply, ask: Ask[Any]) -> None:
        """Ask the candidate what the served model has answered, and count."""
        known = _classes(first)
        if known is None:
            return
        try:
            tried = await self._candidate(ask)
            self._count(known, tried.classes(), first.seconds, tried.seconds)
        except _FAILURES as error:
            self.referee.failed(_reason(error))

    async def _check(self, tried: Reply, classes: list[int], ask: Ask[Any]) -> None:
        """Ask the served model what the candidate has answered, and count."""
        try:
            first = await ask(self._asked.model)
        except ServerError:
            return
        known = _classes(first)
        if known is not None:
            self._count(known, classes, first.seconds, tried.seconds)

    def _count(
        self, served: list[int], candidate: list[int], served_s: float, candidate_s: float
    ) -> None:
        if len(served) == len(candidate):
            self.referee.compared(served, candidate, served_s, candidate_s)
        else:
            self.referee.failed(f"expected {len(served)} rows, got {len(candidate)}")


def _classes(answer: Reply) -> list[int] | None:
    try:
        return answer.classes()
    except ServerError:
        return None


def _reason(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else repr(error))
