"""Signing in and out: two forms' worth of plain HTML, no script."""

from __future__ import annotations

import math
from html import escape
from string import Template
from urllib.parse import parse_qs

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from labeling_ui import oidc
from labeling_ui.auth import COOKIE, Doorkeeper, set_cookie
from labeling_ui.body import read_body
from labeling_ui.headers import digest
from labeling_ui.limits import Limiter
from labeling_ui.sessions import Door

_WINDOW_S = 300.0
_PER_NAME, _PER_ADDRESS = 8, 40  # attempts in a window; people mistype, programs guess
_AT_ONCE = 1  # password at work: argon2 takes a core and 64 MiB; others wait without a thread
_MOST_BYTES = 4096
_LONGEST_NAME = 200

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { min-height: 100vh; margin: 0; display: grid; place-items: center; }
main { width: min(20rem, 90vw); }
h1 { font-size: 1.4rem; font-weight: 600; margin: 0 0 1rem; }
label { display: block; margin: .75rem 0; font-size: .9rem; }
input { display: block; width: 100%; box-sizing: border-box; padding: .6rem; font: inherit;
  border: 1px solid #8a8f98; border-radius: .4rem; }
button, a.button { display: block; width: 100%; box-sizing: border-box; padding: .7rem;
  margin-top: 1rem; font: inherit; font-weight: 600; text-align: center; text-decoration: none;
  color: #fff; background: #2456c7; border: 0; border-radius: .4rem; cursor: pointer; }
:focus-visible { outline: 3px solid #7aa2ff; outline-offset: 2px; }
[role=alert] { color: #b3261e; }
@media (prefers-color-scheme: dark) { [role=alert] { color: #ff8a80; } }
"""
_POLICY = (
    f"default-src 'none'; style-src '{digest(_STYLE)}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in · vigil</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>$style</style></head>
<body><main><h1>Sign in to label</h1>$alert$forms</main></body></html>
""")
_FORM = Template("""<form method="post" action="/login">
<label>Name<input name="name" value="$name" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required>
</label><button>Sign in</button></form>""")
_OIDC = '<a class="button" href="/login/oidc">Sign in with your organization</a>'


class Login:
    """The routes of signing in and out.

    Args:
        doorkeeper: whose sessions they begin and end.
    """

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper
        self._names = Limiter(_PER_NAME, _WINDOW_S)
        self._addresses = Limiter(_PER_ADDRESS, _WINDOW_S)
        self._at_work = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[Route]:
        """Return the routes; the gate lets everybody reach those of signing in."""
        return [
            Route("/login", self._show, methods=["GET"]),
            Route("/login", self._enter, methods=["POST"]),
            Route("/login/oidc", oidc.start, methods=["GET"]),
            Route("/logout", self._leave, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        if request.scope["vigil.identity"] is not None:
            return RedirectResponse("/", 303)
        token = self._doorkeeper.admit(request)
        if token is None:
            return self._page()
        response = RedirectResponse("/", 303)
        set_cookie(response, request, token)
        return response

    async def _enter(self, request: Request) -> Response:
        form = parse_qs((await read_body(request, _MOST_BYTES)).decode("utf-8", "replace"))
        name, password = (form.get(field, [""])[0] for field in ("name", "password"))
        name = name[:_LONGEST_NAME]
        address = request.client.host if request.client else ""
        wait_s = max(self._addresses.attempt(address), self._names.attempt((address, name)))
        if wait_s:
            return self._page(
                f"Too many attempts. Try again in {math.ceil(wait_s / 60)} min.", 429, name,
                {"retry-after": str(math.ceil(wait_s))},
            )  # fmt: skip
        user = await anyio.to_thread.run_sync(
            self._doorkeeper.users.verify, name, password, limiter=self._at_work
        )
        if user is None:
            return self._page("Name or password is wrong.", 401, name)
        self._names.excuse((address, name))
        self._addresses.excuse(address)
        self._doorkeeper.sessions.end(request.scope["vigil.token"])
        response = RedirectResponse("/", 303)
        token = self._doorkeeper.sessions.start(user.name, Door.PASSWORD, user.stamp)
        set_cookie(response, request, token)
        return response

    async def _leave(self, request: Request) -> Response:
        self._doorkeeper.sessions.end(request.scope["vigil.token"])
        response = RedirectResponse("/login", 303, {"clear-site-data": '"cache"'})
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        for name in oidc.cookies(request):
            response.delete_cookie(name)
        return response

    def _page(
        self, alert: str = "", status: int = 200, name: str = "",
        headers: dict[str, str] | None = None,
    ) -> Response:  # fmt: skip
        forms = _FORM.substitute(name=escape(name)) if self._doorkeeper.users.exist() else ""
        page = _PAGE.substitute(
            style=_STYLE,
            alert=f'<p role="alert">{escape(alert)}</p>' if alert else "",
            forms=forms + (_OIDC if self._doorkeeper.oidc else ""),
        )
        own = {"content-security-policy": _POLICY, "cache-control": "no-store"}
        return HTMLResponse(page, status, own | (headers or {}))
