"""The front's doors: what callers may ask of it, who may open a trial, what goes on to Triton."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from vigil.release.front import Front
from vigil.serving.control import ADMIN_HEADER
from vigil.serving.kserve import TRIAL_PATH

KEY = "admin key"
Use = Callable[[TestClient[Any, Any]], Awaitable[None]]


async def echo(request: web.Request) -> web.Response:
    """Stand in for Triton: tell what came."""
    return web.json_response({"path": request.path, "headers": dict(request.headers)})


def through_a_front(use: Use) -> None:
    """Use a front with a key, behind which somebody tells what came."""

    async def run() -> None:
        behind = web.Application()
        behind.router.add_route("*", "/v2/models/m/{rest:.*}", echo)
        async with TestServer(behind) as server:
            front = Front(f"127.0.0.1:{server.port}", KEY).application()
            async with TestClient(TestServer(front)) as client:
                await use(client)

    asyncio.run(run())


@pytest.mark.parametrize(
    "path",
    ["/v2/repository/index", "/v2/repository/models/m/load", "/v2/repository/models/m/unload",
     "/v2/models/m/trace/setting", "/v2/systemsharedmemory/region/x/register", "/v2/logging",
     "/v2/models/stats", "/metrics", "/", "/v2/models/m/../../repository/index",
     "/v2/models/m%2F..%2F/infer",
     "/v2/models/m/infer/x", "/vigil/trial/x"],
)  # fmt: skip
def test_what_is_not_for_clients_is_refused_before_triton_hears_of_it(path: str) -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        for method in ("GET", "POST"):
            answer = await client.request(method, URL(path, encoded=True))
            assert answer.status == 403
            assert await answer.json() == {"error": "this endpoint is not for clients"}

    through_a_front(use)


def test_a_clients_request_goes_on_with_its_headers_but_without_the_admin_key() -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        sent = {"X-Mine": "1", ADMIN_HEADER: KEY}
        answer = await client.post("/v2/models/m/infer", data=b"{}", headers=sent)
        told = await answer.json()
        assert (answer.status, told["path"]) == (200, "/v2/models/m/infer")
        names = {name.lower() for name in told["headers"]}
        assert "x-mine" in names
        assert ADMIN_HEADER.lower() not in names

    through_a_front(use)


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [({}, "{}", 403, "admin key"), ({ADMIN_HEADER: "another"}, "{}", 403, "admin key"),
     ({ADMIN_HEADER: KEY}, "{", 400, ""), ({ADMIN_HEADER: KEY}, '{"model": "../m"}', 400, "")],
    ids=["no key", "wrong key", "no JSON", "no trial"],
)  # fmt: skip
def test_a_trial_is_opened_by_who_has_the_key_and_says_what_it_wants(
    headers: dict[str, str], body: str, status: int, reason: str
) -> None:
    async def use(client: TestClient[Any, Any]) -> None:
        told = {"Content-Type": "application/json", **headers}
        answer = await client.post(TRIAL_PATH, data=body, headers=told)
        assert answer.status == status
        assert reason in (await answer.json())["error"]

    through_a_front(use)


def test_a_page_of_another_site_cannot_open_a_trial() -> None:
    """A browser sends a form without asking first, but no JSON."""

    async def use(client: TestClient[Any, Any]) -> None:
        answer = await client.post(TRIAL_PATH, data="{}", headers={"Content-Type": "text/plain"})
        assert answer.status == 415

    through_a_front(use)


def test_a_server_that_does_not_answer_is_said() -> None:
    async def run() -> None:
        async with TestClient(TestServer(Front("127.0.0.1:9").application())) as client:
            answer = await client.post("/v2/models/m/infer", data=b"{}")
            assert answer.status == 503
            assert "the server does not answer" in (await answer.json())["error"]

    asyncio.run(run())
