"""A trial over HTTP: sampled requests go to the candidate, or a copy of them does.

It sits in the front, one a trial, and belongs to its event loop. It moves bytes: what the caller
sent is what both models get, and what one of them answers is what the caller gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import ClientError
from multidict import CIMultiDict

from vigil.config import CanarySection
from vigil.config.base import Name, Section
from vigil.errors import ServerError
from vigil.release.referee import COPIES, WAITING, Mode, Referee
from vigil.serving.kserve import can_compare, classes_of, renamed

Headers = CIMultiDict[str]
_FAILURES = (ServerError, ClientError, TimeoutError)


class TrialRequest(Section):
    """What opens a trial: whose requests, who else is asked, and by which rule."""

    model: Name
    candidate: Name
    mode: Mode
    rule: CanarySection


@dataclass(frozen=True)
class Answer:
    """A whole answer of Triton, and how long it took in seconds."""

    status: int
    headers: Headers
    body: bytes
    seconds: float

    def classes(self) -> list[int]:
        """Return the class of each row.

        Raises:
            ServerError: it is a refusal, or holds no probabilities.
        """
        if self.status != 200:
            said = " ".join(self.body[:200].decode(errors="replace").split())
            raise ServerError(f"[{self.status}] {said}")
        return classes_of(self.body, self.headers)


class Ask(Protocol):
    """How a model is asked."""

    def __call__(
        self, model: str, body: bytes, headers: Headers, limit_s: float | None = None
    ) -> Awaitable[Answer]:
        """Send a request to `model`.

        Raises:
            ClientError: nobody answers.
            TimeoutError: nobody does within `limit_s` seconds.
        """


class Split:
    """Answers the sampled requests of one trial."""

    def __init__(self, asked: TrialRequest, ask: Ask) -> None:
        """Begin; `ask` reaches both models."""
        self.referee = Referee(asked.rule)
        self._asked, self._ask = asked, ask
        self._turn = asyncio.Semaphore(COPIES)
        self._copies: set[asyncio.Task[None]] = set()

    async def answer(self, body: bytes, headers: Headers) -> Answer:
        """Answer one request; the caller's own mistakes are the served model's to name.

        Raises:
            ClientError: the server does not answer.
        """
        if not can_compare(body, headers):
            return await self._served(body, headers)
        if self._asked.mode == "shadow":
            first = await self._served(body, headers)
            self._silently(lambda: self._copy(first, body, headers))
            return first
        try:
            tried = await self._candidate(body, headers)
            classes = tried.classes()
        except _FAILURES as error:
            first = await self._served(body, headers)
            if _classes(first) is not None:
                self.referee.failed(_reason(error))
            return first
        if not self.referee.may_answer:  # withdrawn meanwhile
            return await self._served(body, headers)
        self.referee.answered()
        self._silently(lambda: self._check(tried, classes, body, headers))
        packed, told = renamed(tried.body, tried.headers, self._asked.model)
        return Answer(tried.status, CIMultiDict(told), packed, tried.seconds)

    async def close(self) -> None:
        """Wait for the silent requests under way."""
        await asyncio.gather(*self._copies, return_exceptions=True)

    def _served(self, body: bytes, headers: Headers) -> Awaitable[Answer]:
        return self._ask(self._asked.model, body, headers)

    def _candidate(self, body: bytes, headers: Headers) -> Awaitable[Answer]:
        return self._ask(self._asked.candidate, body, headers, self._asked.rule.timeout_s)

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

    async def _copy(self, first: Answer, body: bytes, headers: Headers) -> None:
        """Ask the candidate what the served model has answered, and count."""
        known = _classes(first)
        if known is None:
            return
        try:
            tried = await self._candidate(body, headers)
            self._count(known, tried.classes(), first.seconds, tried.seconds)
        except _FAILURES as error:
            self.referee.failed(_reason(error))

    async def _check(
        self, tried: Answer, classes: list[int], body: bytes, headers: Headers
    ) -> None:
        """Ask the served model what the candidate has answered, and count."""
        try:
            first = await self._served(body, headers)
        except ClientError:
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


def _classes(answer: Answer) -> list[int] | None:
    try:
        return answer.classes()
    except ServerError:
        return None


def _reason(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else repr(error))
