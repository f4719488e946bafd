"""Headers that keep a browser from doing with our answers what they are not for."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer, forms would post `Origin: null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"


def secure(host: str, https: bool) -> dict[str, str]:
    """Return the headers of every answer; an answer's own ones go before them.

    Args:
        host: the request's checked `Host`; older browsers do not count a WebSocket to it as
            'self'.
        https: whether the browser came by TLS.
    """
    found = _ALWAYS | {"content-security-policy": _page_policy(host)}
    if https:
        found["strict-transport-security"] = "max-age=31536000"
    return found


def _page_policy(host: str) -> str:
    """Return the policy of Streamlit's pages, as strict as they still work under.

    Components come as `blob:` modules, styles are set inline; nothing else is let in, and no
    string is ever run as code.
    """
    scripts = " ".join(f"'{digest}'" for digest in _inline_scripts())
    return "; ".join([
        "default-src 'self'",
        f"script-src 'self' blob: {scripts}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        f"connect-src 'self' ws://{host} wss://{host}",
        "frame-src 'none'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ])  # fmt: skip


@cache
def _inline_scripts() -> tuple[str, ...]:
    """Return the digests of what Streamlit's page runs inline."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    return tuple(digest(code) for code in re.findall(r"<script>(.*?)</script>", page, re.DOTALL))


def digest(text: str) -> str:
    """Return the `sha256-…` by which a policy names an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
