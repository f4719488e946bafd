"""What of a call passes the gRPC front, as somebody behind it sees who tells and waits at will."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import grpc
import pytest
from grpc import aio
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse

from vigil.config import CanarySection
from vigil.release.grpc_front import LARGEST, GrpcFront
from vigil.release.referee import Mode
from vigil.release.split import Split, TrialRequest
from vigil.serving.control import ADMIN_HEADER
from vigil.serving.kserve_grpc import SERVICE

RULE = CanarySection(share=1.0, requests=10, min_agreement=0.9, max_slowdown=100.0, max_failures=0,
                     timeout_s=30.0, longest_s=60.0)  # fmt: skip
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
CALLER = [*UNLIMITED, ("grpc.enable_http_proxy", 0)]
Use = Callable[[aio.Channel], Awaitable[None]]


@dataclass
class Behind(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Stands in for Triton: `m` says class 0, `silent` never answers, `rude` refuses with more."""

    metadata: list[tuple[str, Any]] = field(default_factory=list)
    left: list[float | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    takes_s: float = 0.0

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method.endswith("StreamInfer"):
            return grpc.stream_stream_rpc_method_handler(self.stream)
        return grpc.unary_unary_rpc_method_handler(self.infer)

    async def infer(self, request: bytes, context: Any) -> bytes:
        name = ModelInferRequest.FromString(request).model_name
        self.asked.append(name)
        self.metadata += context.invocation_metadata()
        self.left.append(context.time_remaining())
        if name == "rude":
            more = (("grpc-status-details-bin", b"more"), ("tenant", "7"))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", more)
        await asyncio.sleep(self.takes_s)
        if name == "silent":
            await self.wait(name)
        context.set_trailing_metadata((("behind", "yes"),))
        answer = ModelInferResponse(model_name=name, raw_output_contents=[bytes(12)])
        answer.outputs.add(name="probabilities", datatype="FP32", shape=[1, 3])
        return bytes(answer.SerializeToString())

    async def stream(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
        await self.wait("stream")

    async def wait(self, name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            self.given_up.append(name)


def through(use: Use, behind: Behind, **trials: Split) -> None:
    """Use a front with trials, behind which is `behind`."""

    async def run() -> None:
        server = aio.server(handlers=[behind], options=UNLIMITED)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        front = GrpcFront(f"127.0.0.1:{port}", trials)
        try:
            async with (
                front.listening("127.0.0.1:0") as where,
                aio.insecure_channel(where, options=CALLER) as channel,
            ):
                await use(channel)
                for held in trials.values():
                    await held.close()
        finally:
            await server.stop(0)

    asyncio.run(run())


def ask(channel: aio.Channel, model: str, size: int = 0, **options: Any) -> Any:
    request = ModelInferRequest(model_name=model, raw_input_contents=[bytes(size)])
    return channel.unary_unary(f"{SERVICE}ModelInfer")(request.SerializeToString(), **options)


def trial(
    mode: Mode = "canary", candidate: str = "twin", model: str = "m", timeout_s: float = 30.0
) -> Split:
    rule = RULE.model_copy(update={"timeout_s": timeout_s})
    return Split(TrialRequest(model=model, candidate=candidate, mode=mode, rule=rule))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("held", [False, True], ids=["no trial", "a trial"])
def test_a_callers_metadata_and_deadline_go_on_but_no_key(held: bool) -> None:
    behind = Behind()
    mine = (("tenant", "7"), ("traceparent", "00-1"), ("x-mine-bin", b"\0\1"))
    keys = ((ADMIN_HEADER, "key"), (f"triton-grpc-protocol-{ADMIN_HEADER}", "key"))

    async def use(channel: aio.Channel) -> None:
        call = ask(channel, "m", metadata=(*mine, *keys), timeout=20)
        await call
        assert ("behind", "yes") in list(await call.trailing_metadata())

    through(use, behind, **({"m": trial("shadow")} if held else {}))
    told = [(key, value) for key, value in behind.metadata if key != "user-agent"]
    assert Counter(told) == Counter(mine * (2 if held else 1))
    assert behind.left[0] is not None
    assert 15 < behind.left[0] < 21  # 20; gRPC rounds up by tenths of a second on each way


@pytest.mark.parametrize("held", [False, True], ids=["no trial", "a trial"])
def test_a_refusal_comes_back_with_all_that_the_server_said(held: bool) -> None:
    async def use(channel: aio.Channel) -> None:
        with pytest.raises(aio.AioRpcError) as error:
            await ask(channel, "rude")
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.value.details() == "too much"
        more = dict(error.value.trailing_metadata())
        assert more == {"grpc-status-details-bin": b"more", "tenant": "7"}

    held_trial = trial(candidate="rude", model="rude")
    through(use, Behind(), **({"rude": held_trial} if held else {}))
    assert held_trial.referee.running, "the caller's own mistake is not the candidate's"


def test_a_silent_candidate_costs_an_impatient_caller_nothing_and_is_blamed() -> None:
    behind, held = Behind(), trial(candidate="silent", timeout_s=1.0)

    async def use(channel: aio.Channel) -> None:
        answer = ModelInferResponse.FromString(await ask(channel, "m", timeout=1.5))
        assert answer.model_name == "m"
        await until(lambda: behind.given_up == ["silent"])

    through(use, behind, m=held)
    assert behind.asked == ["m", "silent"]
    assert held.referee.decision.state == "withdrawn"
    assert "DEADLINE_EXCEEDED" in held.referee.tally.first_failure


def test_a_trial_leaves_a_caller_the_time_that_one_answer_takes() -> None:
    held = trial(timeout_s=10.0)

    async def use(channel: aio.Channel) -> None:
        await ask(channel, "m", timeout=1.5)  # too little for the one after the other
        await until(lambda: held.referee.tally.requests == 1)

    through(use, Behind(takes_s=0.9), m=held)
    assert held.referee.tally.failures == 0


def test_a_proxy_for_the_web_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def use(channel: aio.Channel) -> None:
        await ask(channel, "m", timeout=20)

    through(use, Behind())


@pytest.mark.slow
def test_a_server_that_is_away_is_looked_for_every_second() -> None:
    looked: list[float] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        looked.append(time.monotonic())
        writer.close()

    async def run() -> None:
        away = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        host, port = away.sockets[0].getsockname()
        async with (
            away,
            GrpcFront(f"{host}:{port}", {}).listening("127.0.0.1:0") as where,
            aio.insecure_channel(where, options=CALLER) as channel,
        ):
            async with asyncio.timeout(20):
                while len(looked) < 5:
                    with pytest.raises(aio.AioRpcError) as error:
                        await ask(channel, "m")
                    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
                    await asyncio.sleep(0.02)

    asyncio.run(run())
    assert max(late - soon for soon, late in pairwise(looked)) < 1.8, "grpc's own pauses grow"


@pytest.mark.parametrize("held", [False, True], ids=["no trial", "a trial"])
def test_who_hangs_up_takes_the_request_along_and_it_is_nobodys_failure(held: bool) -> None:
    behind, on_trial = Behind(), trial(candidate="silent", model="silent")

    async def use(channel: aio.Channel) -> None:
        call = ask(channel, "silent")
        await until(lambda: behind.asked == ["silent"])
        call.cancel()
        await until(lambda: behind.given_up == ["silent"])
        if held:
            assert on_trial.referee.running
            assert on_trial.referee.tally.failures == 0

    through(use, behind, **({"silent": on_trial} if held else {}))


def test_who_leaves_a_stream_ends_it_behind_the_front() -> None:
    behind = Behind()

    async def use(channel: aio.Channel) -> None:
        call = channel.stream_stream(f"{SERVICE}ModelStreamInfer")()
        for turn in (b"1", b"2"):
            await call.write(turn)
            assert await call.read() == turn
        await call.done_writing()
        await asyncio.sleep(0.1)
        call.cancel()
        await until(lambda: behind.given_up == ["stream"])

    through(use, behind)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "tried"), [(LARGEST // 2, True), (LARGEST, False)])
def test_what_is_too_large_to_be_sent_twice_passes_untried(size: int, tried: bool) -> None:
    behind, held = Behind(), trial("shadow")

    async def use(channel: aio.Channel) -> None:
        await ask(channel, "m", size)
        if tried:
            await until(lambda: held.referee.tally.requests == 1)

    through(use, behind, m=held)
    assert behind.asked == (["m", "twin"] if tried else ["m"])


def test_a_shadow_that_ends_after_its_callers_deadline_still_counts() -> None:
    behind, held = Behind(), trial("shadow")

    async def use(channel: aio.Channel) -> None:
        await ask(channel, "m", timeout=2.0)
        await until(lambda: held.referee.tally.requests == 1)

    through(use, behind, m=held)
    assert behind.left[0] is not None
    assert behind.left[1] is not None
    assert behind.left[1] > 20, "a copy has the rule's time, not what its caller had left"
