"""The ASGI application: our routes first, Streamlit's pages behind them, the gate before both."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from labeling_ui.api import Api
from labeling_ui.gate import Gate
from labeling_ui.login import Login
from labeling_ui.media import Media
from labeling_ui.service import Service, install
from vigil.errors import Conflict, InputError, NotFound, StoreError, StoreFull, VigilError

HOME = Path(__file__).with_name("Home.py")
_LOG = logging.getLogger(__name__)
_FULL = "no room is left on the server's disk; nothing was saved"
_STREAMLIT = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",  # a traceback names places of this computer
    "global.developmentMode": False,
    "runner.magicEnabled": False,
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": 64,  # MB
    "server.xsrfCookieSameSite": "strict",
}
_STATUS: tuple[tuple[type[VigilError], int], ...] = (
    (NotFound, 404), (Conflict, 409), (InputError, 400), (StoreFull, 507), (StoreError, 503),
)  # fmt: skip


def build(service: Service, hosts: frozenset[str]) -> Starlette:
    """Return the application of a service.

    Args:
        service: what is served; from now on the one of this process.
        hosts: names by which browsers reach it.
    """
    from streamlit import config
    from streamlit.starlette import App

    pages = App(HOME)
    config.get_config_options(force_reparse=True)  # now that it knows of the folder beside HOME
    for name, value in _STREAMLIT.items():
        config.set_option(name, value)
    install(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with pages.lifespan()(app):
            yield

    routes = [
        *Login(service.doorkeeper).routes(),
        *Media(service).routes(),
        *Api(service).routes(),
        Mount("/", pages),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Gate, doorkeeper=service.doorkeeper, hosts=hosts)],
        exception_handlers={
            VigilError: _expected, HTTPException: _http, OSError: _os, Exception: _unexpected
        },
    )  # fmt: skip


async def _expected(_: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    reason = str(error)
    if isinstance(error, StoreError):  # it names places of this computer
        _LOG.error("%s", error)
        full = isinstance(error, StoreFull)
        reason = _FULL if full else "the label store does not answer; nothing was saved"
    return JSONResponse({"error": reason}, status)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _os(_: Request, error: Exception) -> Response:
    full = getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}
    if not full:
        _LOG.error("label: %r", error)
    return JSONResponse({"error": _FULL if full else "internal error"}, 507 if full else 500)


async def _unexpected(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": "internal error"}, 500)
