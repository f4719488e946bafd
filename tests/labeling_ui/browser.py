"""Real Chromium at the real server, driven as an annotator would."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from labeling_ui.bench_browser import FLAGS, find_chromium
from tests.labeling_ui.projects import PASSWORD, Project
from vigil.labels.project import open_store
from vigil.labels.votes import Vote

WAIT_MS = 120_000  # of a busy machine
_PLAYING = "--autoplay-policy=no-user-gesture-required"


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser; skip where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*FLAGS, _PLAYING])
        yield browser
        browser.close()


def free_port() -> int:
    """Return a port that a server can take again after it was killed.

    It is none of those that a system deals out (from 32768 on by Linux's default), so that nobody
    gets it by chance meanwhile.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("expected a free port below 32000")


class Desk:
    """One person's browser.

    Args:
        browser: Chromium.
        address: of the server.
        name: who signs in; None where the server needs nobody.
    """

    def __init__(
        self, browser: Any, address: str, name: str | None = "ann", **context: Any
    ) -> None:
        size = {"width": 1280, "height": 800}
        self.context = browser.new_context(viewport=size, **context)
        self.context.set_default_timeout(WAIT_MS)
        self.address = address
        if name is not None:
            self._sign_in(name)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _sign_in(self, name: str) -> None:
        answer = httpx.post(
            f"{self.address}/login", timeout=60, data={"name": name, "password": PASSWORD}
        )
        assert answer.status_code == 303, answer.text
        token = answer.cookies["vigil_session"]
        self.context.add_cookies([{
            "name": "vigil_session", "value": token, "url": self.address, "httpOnly": True,
            "sameSite": "Strict",
        }])  # fmt: skip

    def get(self, path: str) -> Any:
        """Ask the API as this person."""
        return self.context.request.get(f"{self.address}{path}").json()

    def open_video(self, number: int = 0) -> str:
        """Open the labeling page of a video; return the video's key."""
        key: str = self.get("/api/videos")["videos"][number]["key"]
        self.page.goto(f"{self.address}/label?video={key}")
        self.card(0).wait_for()
        self.settled()
        return key

    def settled(self) -> None:
        """Wait until the server has drawn the page: what is drawn anew hears no key meanwhile."""
        self.page.locator("[data-test-script-state=notRunning]").wait_for(state="attached")

    def card(self, number: int) -> Any:
        """The clip at this place of the page."""
        return self.page.locator(".card").nth(number)

    def is_at(self, number: int) -> None:
        """Wait until keys speak of the clip at this place."""
        self.card(number).and_(self.page.locator(".card.current")).wait_for()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def all_saved(self) -> None:
        """Wait until the server has acknowledged everything."""
        self.page.locator(".safety.saved").wait_for()

    def says(self, number: int) -> str:
        """What the clip at this place says about its label."""
        text: str = self.card(number).locator(".says").inner_text()
        return text

    def waits_for(self, number: int, text: str) -> None:
        """Wait until the clip at this place says this."""
        self.card(number).locator(".says", has_text=text).wait_for(state="attached")

    def toast(self, text: str) -> None:
        self.page.locator(".toast", has_text=text).wait_for()

    def close(self) -> None:
        self.context.close()


def votes_in(project: Project, annotator: str | None = None, standing: bool = True) -> list[Vote]:
    """Return what is on the disk, read by another process than the server."""
    store = open_store(project.config, project.paths)
    try:
        return store.votes(annotator=annotator, standing=standing)
    finally:
        store.close()
