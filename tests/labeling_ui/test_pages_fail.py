"""A page that raises, or never ends, takes neither the server nor anybody's votes with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.labeling_ui.browser import Desk
from tests.labeling_ui.projects import CLASSES, ROOT, make
from tests.labeling_ui.servers import Server, serving

pytestmark = pytest.mark.slow
BROKEN = """
import labeling_ui.views.account as account
import labeling_ui.views.dashboard as dashboard


def raises(user):
    raise RuntimeError(f"secret of {__file__}")


def hangs(user):
    import streamlit as st
    st.text("counting")
    while True:
        sum(range(1000))


account.page, dashboard.page = raises, hangs
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server two of whose pages are broken, as Python starts it."""
    folder: Path = tmp_path_factory.mktemp("broken")
    (folder / "sitecustomize.py").write_text(BROKEN)
    project = make(folder)
    with serving(project.params, {"PYTHONPATH": f"{folder}:{ROOT}"}) as started:
        yield started


def test_votes_are_taken_while_pages_raise_and_hang(browser: Any, server: Server) -> None:
    desk = Desk(browser, server.address, "ann")
    desk.page.goto(f"{server.address}/account")
    desk.page.get_by_text("went wrong").or_(desk.page.get_by_text("error")).first.wait_for()
    assert "secret" not in desk.page.inner_text("body")
    stuck = [Desk(browser, server.address, name) for name in ("bob", "rita")]
    for one in stuck:
        one.page.goto(f"{server.address}/dashboard")
        one.page.get_by_text("counting").wait_for()
    bob = server.sign_in("bob")
    clips = bob.clips()
    began = time.monotonic()
    for clip in clips:
        vote = {"clip": clip["key"], "kind": "label", "label": CLASSES[0]}
        assert bob.vote(vote).status_code == 201
    assert (time.monotonic() - began) / len(clips) < 60, "two pages spin beside it"
    desk.open_video(1)
    desk.press("2")
    desk.waits_for(0, CLASSES[1])
    desk.all_saved()
    for one in (desk, *stuck):
        one.close()
