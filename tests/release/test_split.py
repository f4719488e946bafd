"""Sampled requests: whatever a candidate does, its caller is answered well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from multidict import CIMultiDict

from vigil.config import CanarySection
from vigil.errors import ServerUnavailable
from vigil.release.front import Answer
from vigil.release.split import Split, TrialRequest

RULE = CanarySection(share=1.0, requests=10, min_agreement=0.9, max_slowdown=100.0, max_failures=0,
                     timeout_s=0.2, longest_s=60.0)  # fmt: skip
Behave = Callable[[], Awaitable[Answer]]


def said(label: int, model: str = "m_canary", status: int = 200) -> Answer:
    row = [float(i == label) for i in range(3)]
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": row}
    body = json.dumps({"model_name": model, "outputs": [output]}).encode()
    return Answer(status, CIMultiDict(), body if status == 200 else b'{"error":"no"}', 0.01)


class Asked:
    """A trial, and one request of a caller's; the served model always says class 0."""

    def __init__(self, mode: str, candidate: Behave, asked: list[str] | None = None) -> None:
        trial = {"model": "m", "candidate": "m_canary", "mode": mode, "rule": RULE}
        self._split = Split(TrialRequest.model_validate(trial))
        self.referee, self.close = self._split.referee, self._split.close
        self._candidate, self._asked = candidate, asked

    async def answer(self) -> Answer:
        return await self._split.answer(self._ask)

    async def _ask(self, model: str, limit_s: float | None = None) -> Answer:
        if self._asked is not None:
            self._asked.append(model)
        if model == "m":
            return said(0, "m")
        async with asyncio.timeout(limit_s):
            return await self._candidate()


def label(answer: Answer) -> int:
    assert json.loads(answer.body)["model_name"] == "m"
    (found,) = answer.classes()
    return found


async def broken() -> Answer:
    raise ServerUnavailable("connection reset")


async def silent() -> Answer:
    await asyncio.sleep(60)
    return said(1)


async def refusing() -> Answer:
    return said(1, status=500)


async def babbling() -> Answer:
    return Answer(200, CIMultiDict(), b"hello", 0.01)


@pytest.mark.parametrize("mode", ["canary", "shadow"])
@pytest.mark.parametrize("candidate", [broken, silent, refusing, babbling])
def test_a_failing_candidate_is_withdrawn_and_the_served_model_answers(
    mode: str, candidate: Behave
) -> None:
    async def work() -> None:
        trial = Asked(mode, candidate)
        assert label(await trial.answer()) == 0
        await trial.close()
        assert trial.referee.decision.state == "withdrawn"
        assert trial.referee.decision.reason.startswith("it fails")
        assert trial.referee.status()["first_failure"]
        assert not trial.referee.sample()

    asyncio.run(work())


def test_an_answer_that_comes_after_the_withdrawal_reaches_nobody() -> None:
    async def work() -> None:
        trial = Asked("canary", lambda: late(trial))
        assert label(await trial.answer()) == 0
        assert trial.referee.tally.answered == 0
        await trial.close()

    async def late(trial: Asked) -> Answer:
        trial.referee.withdraw("the command that held the trial ended")
        return said(1)

    asyncio.run(work())


def test_a_callers_own_mistake_is_not_held_against_the_candidate() -> None:
    async def work() -> None:
        async def ask(model: str, limit_s: float | None = None) -> Answer:
            return said(0, model, status=400)

        trial = {"model": "m", "candidate": "m_canary", "mode": "canary", "rule": RULE}
        split = Split(TrialRequest.model_validate(trial))
        assert (await split.answer(ask)).status == 400
        assert split.referee.tally.failures == 0

    asyncio.run(work())


@pytest.mark.parametrize(("mode", "answers"), [("canary", 1), ("shadow", 0)])
def test_who_answers_in_which_mode(mode: str, answers: int) -> None:
    async def good() -> Answer:
        return said(1)

    async def work() -> None:
        trial = Asked(mode, good)
        assert label(await trial.answer()) == answers
        await trial.close()
        assert trial.referee.tally.requests == 1
        assert trial.referee.tally.pairs == {(0, 1): 1}
        assert trial.referee.tally.answered == answers

    asyncio.run(work())


def test_copies_that_wait_are_bounded() -> None:
    async def work() -> None:
        asked: list[str] = []
        trial = Asked("shadow", silent, asked)
        for _ in range(100):
            await trial.answer()
        assert trial.referee.tally.dropped == 100 - 34
        await trial.close()
        assert asked.count("m_canary") <= 4, "after the withdrawal the rest is not sent"

    asyncio.run(work())
