"""Our own components in the pages: plain HTML, CSS and JavaScript, without framework or build.

A component is a list of small files, joined into one module; the last one has its `mount`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_COMMON = ("dom", "api")
_SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "label": (
        *_COMMON, "outbox", "keys", "player", "overlay", "timeline", "item", "stage", "card",
        "focus", "dialogs", "pages", "voting", "toolbar", "surface", "actions", "label",
    ),
    "videos": (*_COMMON, "videos"),
    "account": (*_COMMON, "account"),
}  # fmt: skip
_STYLES: Mapping[str, tuple[str, ...]] = {
    "label": ("base", "label", "focus"),
    "videos": ("base", "videos"),
    "account": ("base",),
}


def script(name: str) -> str:
    """Return a component's JavaScript module."""
    return _joined("js", _SCRIPTS[name])


def style(name: str) -> str:
    """Return a component's style sheet."""
    return _joined("css", _STYLES[name])


@cache
def component(name: str) -> Callable[..., Any]:
    """Register a component with Streamlit once; return what mounts it.

    Args:
        name: `label`, `videos` or `account`.
    """
    import streamlit as st

    mounted: Callable[..., Any] = st.components.v2.component(
        f"vigil_{name}", html='<main class="vigil"></main>', css=style(name), js=script(name)
    )
    return mounted


def _joined(kind: str, names: tuple[str, ...]) -> str:
    parts = [(_FOLDER / kind / f"{part}.{kind}").read_text("utf-8") for part in names]
    return "\n".join(parts)
