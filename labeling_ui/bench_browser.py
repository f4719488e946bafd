"""A scripted annotator at a real browser: how long from a key press until the label is safe.

Looking at a clip takes the script no time; what is measured is the machine's part.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

from labeling_ui.bench import Served, measure, spread
from vigil.errors import InputError

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
_WATCH = """
window.pressed = []; window.waits = [];
window.addEventListener('keydown', () => window.pressed.push(performance.now()), true);
window.addEventListener('vigil:saved', () => {
  window.waits.push(performance.now() - window.pressed.shift());
});
"""
_TIMEOUT_MS = 60_000


def find_chromium() -> str | None:
    """Return where Chromium is, None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def measure_browser(
    server: Served, passwords: dict[str, str], label: str, votes: int, pace_s: float
) -> dict[str, Any]:
    """Let one person label by key in Chromium while all others label through the API.

    Args:
        server: a project whose clips may all be labeled by everybody.
        passwords: by annotator; the last of them sits at the browser.
        label: what the others say; the key `1` says the same.
        votes: clips labeled by key in each of the two parts.
        pace_s: seconds from one decision to the next; after that part the browser goes on
            without any pause.

    Returns:
        Milliseconds from key to acknowledgement, seconds until a page of clips is there, clips an
        hour, MB of the server's memory.

    Raises:
        InputError: no Chromium.
    """
    chromium = find_chromium()
    if chromium is None:
        raise InputError("bench_label: expected Chromium, got none: apt-get install chromium")
    *others, (name, password) = passwords.items()
    crowd = threading.Thread(
        target=lambda: asyncio.run(measure(server, dict(others), label, 2 * votes, pace_s))
    )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(_TIMEOUT_MS)
        page.add_init_script(_WATCH)
        opened = _open(page, server.address, name, password)
        crowd.start()
        paced, flat_out = _label(page, votes, pace_s), _label(page, votes, 0)
        memory_mb = round(server.memory_mb(), 1)
        crowd.join()
        browser.close()
    return opened | {
        "annotators": len(passwords), "pace_s": pace_s, "paced": paced, "flat_out": flat_out,
        "memory_mb": memory_mb,
    }  # fmt: skip


def in_words(found: dict[str, Any]) -> str:
    """Return what `measure_browser` found as lines to print."""
    keys = [
        f"{words}: key to acknowledged p50 {found[part]['key_to_ack_ms']['p50']:.0f} ms, "
        f"p95 {found[part]['key_to_ack_ms']['p95']:.0f} ms, {found[part]['clips_per_hour']} clips/h"
        for part, words in (("paced", "paced"), ("flat_out", "no pause"))
    ]
    return (
        f"  in Chromium, among {found['annotators']} annotators\n"
        f"    {keys[0]}\n    {keys[1]}\n"
        f"    first page {found['first_page_s']:.2f} s after the click, {found['reload_s']:.2f} s "
        f"after a reload; server memory {found['memory_mb']:.0f} MB"
    )


def _open(page: Page, address: str, name: str, password: str) -> dict[str, float]:
    """Sign in and open a video; measure from the click, and from an address typed anew."""
    page.goto(f"{address}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.locator(".video").first.wait_for()
    begin = time.perf_counter()
    page.locator(".video").first.click()
    page.locator(".card").first.wait_for()
    clicked_s = time.perf_counter() - begin
    begin = time.perf_counter()
    page.reload()
    page.locator(".card").first.wait_for()
    return {"first_page_s": round(clicked_s, 3), "reload_s": round(time.perf_counter() - begin, 3)}


def _label(page: Page, votes: int, pace_s: float) -> dict[str, Any]:
    """Press `1` for each clip, not before the one before is safe, over pages and videos."""
    page.evaluate("window.pressed.length = window.waits.length = 0")
    begin = time.perf_counter()
    for number in range(votes):
        if page.locator(".card.current:not(.done)").count() == 0:
            _go_on(page)
        pressed = time.perf_counter()
        page.keyboard.press("1")
        page.wait_for_function("(count) => window.waits.length >= count", arg=number + 1)
        page.wait_for_timeout(max(pace_s - (time.perf_counter() - pressed), 0) * 1000)
    seconds = time.perf_counter() - begin
    waits = page.evaluate("window.waits")
    return {
        "votes": votes,
        "key_to_ack_ms": spread([wait / 1000 for wait in waits]),
        "clips_per_hour": round(3600 * votes / seconds),
    }


def _go_on(page: Page) -> None:
    """Wait for the next page; where the video is at its end, go to the next."""
    waiting = page.locator(".card.current:not(.done)")
    following = page.get_by_role("button", name="Next video")
    waiting.or_(following).first.wait_for()
    if waiting.count() == 0:
        following.click()
        waiting.first.wait_for()
