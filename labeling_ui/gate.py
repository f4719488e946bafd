"""The one way in: every request and every WebSocket passes here before anything answers it.

Deny by default: without a session only the paths of signing in are served. Names of other hosts
(DNS rebinding), pages of other origins, and changes without the session's CSRF token are refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labeling_ui import headers, oidc
from labeling_ui.auth import COOKIE, Doorkeeper, Identity, set_cookie
from labeling_ui.sessions import csrf

OPEN_PATHS = frozenset({"/login", "/_stcore/health", "/favicon.png"})
OIDC_PATHS = frozenset({"/login/oidc", "/auth/login", "/oauth2callback"})
_OWN_CHANGES = ("/api/", "/logout")  # the other ones are Streamlit's, which checks its own token
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0"><title>vigil</title>'


@dataclass(frozen=True)
class Refusal:
    """Why a request is not served.

    Attributes:
        status: of the answer.
        reason: one line.
    """

    status: int
    reason: str


class Gate:
    """ASGI middleware that lets through who may come in, and puts the identity into the scope.

    Args:
        app: what lies behind.
        doorkeeper: who is who.
        hosts: names and addresses, lower case without ports, by which this server is reached.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, hosts: frozenset[str]) -> None:
        self._app, self._doorkeeper, self._hosts = app, doorkeeper, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request or WebSocket through, or say why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        token = connection.cookies.get(COOKIE, "")
        identity = self._doorkeeper.identify(token)
        refusal = self._misdirected(connection) or _foreign(connection)
        if refusal is None and identity is None and not self._is_open(connection):
            refusal = Refusal(401, "sign in first")
        if refusal is None and identity is not None:
            refusal = _forged(connection, token)
        scope["vigil.identity"], scope["vigil.token"] = identity, token
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.reason})
            return
        guarded = _with_headers(send, connection)
        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            await self._refuse(connection, refusal)(scope, receive, guarded)

    def _misdirected(self, connection: HTTPConnection) -> Refusal | None:
        """Refuse a `Host` that is not ours: a page that had its name point here."""
        if _name(connection.headers.get("host", "")) in self._hosts:
            return None
        return Refusal(421, f"expected a host of {sorted(self._hosts)}; see labeling.hosts")

    def _is_open(self, connection: HTTPConnection) -> bool:
        path = connection.url.path
        return path in OPEN_PATHS or (self._doorkeeper.oidc and path in OIDC_PATHS)

    def _refuse(self, connection: HTTPConnection, refusal: Refusal) -> Response:
        if refusal.status != 401 or not _is_page(connection):
            return JSONResponse({"error": refusal.reason}, refusal.status)
        if connection.headers.get("sec-fetch-site") == "cross-site":
            return HTMLResponse(_AGAIN)  # a link from elsewhere came without our strict cookie
        token = self._doorkeeper.admit(connection)
        if token is None:
            return RedirectResponse("/login", 303)
        response = self._return_to(connection)
        set_cookie(response, connection, token)
        for name in oidc.cookies(connection):
            response.delete_cookie(name)
        return response

    def _return_to(self, connection: HTTPConnection) -> Response:
        if self._doorkeeper.oidc:
            return HTMLResponse(_AGAIN)  # a redirect would still count as the provider's
        query = f"?{connection.url.query}" if connection.url.query else ""
        return RedirectResponse(f"/{connection.url.path.lstrip('/')}{query}", 303)


def _foreign(connection: HTTPConnection) -> Refusal | None:
    """Refuse what another origin's page sends; a WebSocket must say where it comes from."""
    origin = connection.headers.get("origin")
    if origin is None:
        if connection.scope["type"] == "websocket":
            return Refusal(403, "expected an Origin")
        return None
    if connection.scope["type"] == "http" and connection.scope["method"] in _SAFE:
        return None
    if urlsplit(origin).netloc.lower() == connection.headers.get("host", "").lower():
        return None
    return Refusal(403, "expected a request from this server's own pages")


def _forged(connection: HTTPConnection, token: str) -> Refusal | None:
    """Refuse a change that does not carry what only our own pages can read."""
    if connection.scope["type"] != "http" or connection.scope["method"] in _SAFE:
        return None
    if not connection.url.path.startswith(_OWN_CHANGES):
        return None
    sent = connection.headers.get("x-vigil-csrf", "")
    if hmac.compare_digest(sent.encode(), csrf(token).encode()):
        return None
    return Refusal(403, "expected the session's X-Vigil-CSRF; load the page anew")


def identity_of(scope: Scope) -> Identity:
    """Return who sent a request that the gate let through."""
    identity = scope["vigil.identity"]
    assert isinstance(identity, Identity)  # noqa: S101
    return identity


def _name(host: str) -> str:
    """Return the host without its port, lower case; empty for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    bare = parts.hostname or ""
    return bare if parts.netloc == host and "@" not in host else ""


def _is_page(connection: HTTPConnection) -> bool:
    """Whether a person is looking at the answer."""
    if connection.scope["method"] != "GET" or connection.url.path.startswith(("/api/", "/media/")):
        return False
    wanted = connection.headers.get("sec-fetch-dest")
    if wanted is not None:
        return wanted == "document"
    return "text/html" in connection.headers.get("accept", "")


def _with_headers(send: Send, connection: HTTPConnection) -> Send:
    host = connection.headers.get("host", "")
    common = headers.secure(host if _name(host) else "", connection.url.scheme == "https")

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            found = MutableHeaders(scope=message)
            for name, value in common.items():
                found.setdefault(name, value)
        await send(message)

    return guarded
