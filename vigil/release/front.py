"""The front: a loopback door to Triton's HTTP endpoint, where a trial finds its callers.

`vigil.release.grpc_front` is the same for gRPC, on the same trials. What clients may ask passes as
it comes: readiness, metadata, configuration, inference. While a trial is held requests for that
model are sampled: in a canary the candidate answers them, in a shadow it gets a copy. Whatever the
candidate does, the caller gets a good answer: where it fails, is silent too long or has been
withdrawn meanwhile, the served model is asked.

A trial lasts as long as the connection over which it was opened: a program that is killed ends it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict

from vigil.config import ServeSection
from vigil.errors import ServerError, ServerUnavailable
from vigil.release.grpc_front import LARGEST, GrpcFront
from vigil.release.referee import Referee
from vigil.release.split import Split, TrialRequest
from vigil.serving.control import ADMIN_HEADER
from vigil.serving.kserve import TRIAL_PATH, can_compare, classes_of, renamed

Headers = CIMultiDict[str]

_INFER = re.compile(r"/v2/models/([A-Za-z0-9_.-]+)/infer")
_READ = re.compile(
    r"/v2(/health/(live|ready)|/models/(?!stats$)[\w.-]+(/versions/\d+)?(/ready|/config)?)?"
)
_PINNED = re.compile(r"/v2/models/[\w.-]+/versions/\d+/infer")
_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
                  "host", "expect", "proxy-connection", ADMIN_HEADER})  # fmt: skip
_HOST = "127.0.0.1"
_TICK_S = 0.1
_TIMEOUT = ClientTimeout(total=None, sock_connect=5.0)


@dataclass(frozen=True)
class Answer:
    """A whole answer of Triton over HTTP, and how long it took in seconds."""

    status: int
    headers: Headers
    body: bytes
    seconds: float

    def classes(self) -> list[int]:
        """See `vigil.release.split.Reply`."""
        if self.status != 200:
            said = " ".join(self.body[:200].decode(errors="replace").split())
            raise ServerError(f"[{self.status}] {said}")
        return classes_of(self.body, self.headers)

    def named(self, model: str) -> Answer:
        """See `vigil.release.split.Reply`."""
        packed, told = renamed(self.body, self.headers, model)
        return Answer(self.status, CIMultiDict(told), packed, self.seconds)


class Front:
    """Passes requests on to one Triton server and holds trials, one a model at a time."""

    def __init__(self, upstream: str, key: str = "") -> None:
        """Remember the server at `upstream`, `host:port`; `key` is asked of who opens a trial."""
        self._upstream, self._key = f"http://{upstream}", key
        self.trials: dict[str, Split] = {}

    def application(self) -> web.Application:
        """Return what a server of aiohttp's runs."""
        app = web.Application(client_max_size=LARGEST)
        app.cleanup_ctx.append(self._connected)
        app.router.add_post(TRIAL_PATH, self._hold)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _connected(self, _: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=0)
        self._session = ClientSession(
            connector=connector, timeout=_TIMEOUT, auto_decompress=False,
            cookie_jar=DummyCookieJar(), skip_auto_headers=("Accept-Encoding", "User-Agent"),
        )  # fmt: skip
        yield
        await self._session.close()

    def withdraw(self) -> None:
        """End every trial: nobody is to be asked twice any more."""
        for held in self.trials.values():
            held.referee.withdraw("the front stopped")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of a caller's."""
        path = request.rel_url.raw_path
        infers = _INFER.fullmatch(path)
        if not (infers or _PINNED.fullmatch(path) or _READ.fullmatch(path)):
            return _refusal(403, "this endpoint is not for clients")
        held = self.trials.get(infers[1]) if infers else None
        size = request.content_length
        try:
            if infers and held and size is not None and size <= LARGEST and held.referee.sample():
                return _response(await self._sampled(infers[1], held, request))
            return await self._passed(request)
        except (ClientError, ServerUnavailable) as error:
            return _refusal(503, f"the server does not answer: {error}")

    async def _sampled(self, asked: str, held: Split, request: web.Request) -> Answer:
        """Let the trial answer, where the request is one that both models may be asked."""
        body, headers = await request.read(), _kept(request.headers)

        async def ask(model: str, limit_s: float | None = None) -> Answer:
            return await self._ask(model, body, headers, limit_s)

        return await (held.answer(ask) if can_compare(body, headers) else ask(asked))

    async def _passed(self, request: web.Request) -> web.StreamResponse:
        """Pass a request and its answer on, piece by piece."""
        url, headers = self._upstream + request.rel_url.raw_path_qs, _kept(request.headers)
        data = request.content if request.can_read_body else None
        async with self._session.request(
            request.method, url, headers=headers, data=data, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
            await response.prepare(request)
            try:
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
            except ClientError:  # half an answer is on its way: only a broken connection says so
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def _ask(
        self, model: str, body: bytes, headers: Headers, limit_s: float | None
    ) -> Answer:
        """Ask a model; see `vigil.release.split.Ask`."""
        url, began = f"{self._upstream}/v2/models/{model}/infer", time.perf_counter()
        headers = CIMultiDict(headers)
        headers.popall("Accept-Encoding", None)  # compared answers are read here
        post = self._session.post(url, data=body, headers=headers, allow_redirects=False)
        try:
            async with asyncio.timeout(limit_s), post as answer:
                content = await answer.read()
        except ClientError as error:
            raise ServerUnavailable(str(error) or repr(error)) from error
        return Answer(answer.status, _kept(answer.headers), content, time.perf_counter() - began)

    async def _hold(self, request: web.Request) -> web.StreamResponse:
        """Hold a trial while its caller listens: a line of JSON again and again, then the last."""
        if request.content_type != "application/json":  # what no page of another site may send
            return _refusal(415, "expected JSON")
        told = request.headers.get(ADMIN_HEADER, "")
        if self._key and not hmac.compare_digest(told.encode(), self._key.encode()):
            return _refusal(403, "expected the admin key")
        try:
            asked = TrialRequest.model_validate_json(await request.read())
        except ValueError as error:
            return _refusal(400, " ".join(str(error).split()))
        if asked.model in self.trials:
            return _refusal(409, f"a trial of {asked.model} is under way")
        if not await self._ready(asked.candidate):
            return _refusal(409, f"the server behind the front does not serve {asked.candidate}")
        held = self.trials[asked.model] = Split(asked)
        try:
            return await _tell(request, held.referee)
        finally:
            held.referee.withdraw("the command that held the trial ended")
            del self.trials[asked.model]
            await held.close()

    async def _ready(self, model: str) -> bool:
        url = f"{self._upstream}/v2/models/{model}/ready"
        try:
            async with self._session.get(url) as answer:
                return answer.status == 200
        except ClientError:
            return False


def run_front(
    http: str, grpc: str, params: ServeSection, key: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Run a front on loopback until it is told to stop (SIGINT, SIGTERM).

    Requests under way end first.

    Args:
        http: `host:port` of Triton's HTTP endpoint.
        grpc: of its gRPC endpoint; empty for `serve.grpc_port` of the same host.
        params: the ports.
        key: headers that open a trial, see `vigil.serving.control.admin_key`.
        say: receives lines for a person.

    Raises:
        ServerError: a port is taken.
    """
    grpc = grpc or f"{http.rpartition(':')[0]}:{params.grpc_port}"
    asyncio.run(_run(Front(http, key.get(ADMIN_HEADER, "")), (http, grpc), params, say))


async def _run(
    front: Front, upstream: tuple[str, str], params: ServeSection, say: Callable[[str], None]
) -> None:
    import signal

    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    runner = web.AppRunner(front.application(), access_log=None)
    await runner.setup()
    try:
        await _listen(runner, params.front_port)
        say(f"front: HTTP     {_HOST}:{runner.addresses[0][1]} -> {upstream[0]}")
        address = f"{_HOST}:{params.front_grpc_port}"
        async with GrpcFront(upstream[1], front.trials).listening(address) as where:
            say(f"front: gRPC     {where} -> {upstream[1]}")
            await stop.wait()
            front.withdraw()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, _HOST, port).start()
    except OSError as error:
        raise ServerError(f"front: HTTP {_HOST}:{port}: {error.strerror or error}") from error


async def _tell(request: web.Request, referee: Referee) -> web.StreamResponse:
    """Say how the trial goes until it ends or nobody listens."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    while True:
        over = not referee.running
        try:
            await response.write(json.dumps(referee.status()).encode() + b"\n")
        except ConnectionResetError:  # who held the trial was interrupted, or killed
            return response
        if over:
            return response
        await asyncio.sleep(_TICK_S)


def _kept(headers: Mapping[str, str]) -> Headers:
    """Return the headers that travel on."""
    return CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in _HOP)


def _response(answer: Answer) -> web.Response:
    headers = CIMultiDict(answer.headers)
    headers.popall("Content-Length", None)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _refusal(status_code: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status_code)
