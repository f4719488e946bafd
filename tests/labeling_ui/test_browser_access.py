"""Who cannot see well, has no mouse, or closes the tab too early works here as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.labeling_ui.browser import Desk, votes_in
from tests.labeling_ui.projects import CLASSES, PASSWORD, Project, make
from tests.labeling_ui.servers import Server

pytestmark = pytest.mark.slow
CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8")
PARTS = ("Users", "Classes", "Gold clips", "Publish", "Backup", "Audit log")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("access"), videos=3, k=2, min_votes=2)


def readable(desk: Desk, where: str) -> None:
    """Judge what is on the page in both themes, once it is drawn."""
    backs = []
    for theme in ("light", "dark"):
        desk.page.emulate_media(color_scheme=theme)
        for _ in range(120):
            desk.page.wait_for_timeout(250)
            seen = desk.page.evaluate(CONTRAST)
            if not seen["found"] and seen["seen"] > 3:
                break
        assert seen["seen"] > 3, where
        assert not seen["found"], f"{where}, {theme}: {seen['found']}"
        backs.append(seen["back"])
    assert backs[0] != backs[1], f"{where}: the themes must differ"


def focused(desk: Desk, what: str) -> Any:
    """Return something of the element that has the focus, in whichever shadow root."""
    return desk.page.evaluate(
        f"""() => {{
          let one = document.activeElement;
          while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
          return {what} || '';
        }}"""
    )


def test_all_text_stands_out_as_wcag_aa_asks(browser: Any, server: Server) -> None:
    door = Desk(browser, server.address, None)
    door.page.goto(f"{server.address}/login")
    readable(door, "login")
    door.close()
    for name, label in (("ann", 0), ("bob", 1)):
        one = server.sign_in(name)
        one.vote({"clip": one.clips(2)[0]["key"], "kind": "label", "label": CLASSES[label]})
    desk = Desk(browser, server.address, "adam")
    page = desk.page
    page.goto(server.address)
    page.locator(".video").first.wait_for()
    readable(desk, "videos")
    desk.open_video(1)
    desk.press("1", "0", "x", "1")
    desk.all_saved()
    readable(desk, "label")
    desk.press("Enter")
    page.locator(".focus .person").first.wait_for()
    readable(desk, "focus")
    desk.press("?")
    readable(desk, "keys")
    page.goto(f"{server.address}/review")
    page.locator(".vote").first.wait_for()
    readable(desk, "review")
    page.goto(f"{server.address}/dashboard")
    page.get_by_text("Fleiss' kappa of all annotators").wait_for()
    readable(desk, "dashboard")
    page.goto(f"{server.address}/admin")
    page.get_by_text("Annotators a clip").wait_for()
    readable(desk, "Work")
    for name in PARTS:
        page.get_by_text(name, exact=True).first.click()
        page.wait_for_timeout(400)
        readable(desk, name)
    desk.close()


def test_the_whole_way_goes_by_keyboard_alone(browser: Any, server: Server, team: Project) -> None:
    desk = Desk(browser, server.address, None)
    page = desk.page
    page.goto(server.address)
    page.get_by_label("Name").and_(page.locator(":focus")).wait_for()
    page.keyboard.type("bob")
    desk.press("Tab")
    page.keyboard.type(PASSWORD)
    desk.press("Tab", "Enter")
    page.locator(".video").first.wait_for()
    desk.settled()
    for _ in range(25):
        desk.press("Tab")
        if focused(desk, "one.dataset.video"):
            break
    assert focused(desk, "one.dataset.video"), "Tab reaches the videos"
    ring = focused(desk, "getComputedStyle(one).outlineStyle")
    assert ring == "solid", "where one is must be seen"
    desk.press("Enter")
    desk.card(0).wait_for()
    desk.settled()
    desk.press("2")
    desk.waits_for(0, CLASSES[1])
    order = []
    for _ in CLASSES:
        desk.press("Tab")
        order.append(focused(desk, "one.dataset.label"))
    assert order == list(CLASSES), "from the clip, Tab goes through its labels"
    desk.press("Space")
    desk.waits_for(1, CLASSES[-1])
    desk.press("?")
    page.locator("dialog[open] .help").wait_for()
    desk.press("Escape", "?")
    page.locator("dialog[open] .help").wait_for()
    desk.press("Escape")
    desk.all_saved()
    assert [v.label for v in votes_in(team, "bob") if v.clip_id.startswith("v0")] == [
        CLASSES[1], CLASSES[-1]
    ]  # fmt: skip
    desk.close()
    assert not desk.faults


def test_signing_in_says_what_is_wrong_and_signing_out_ends_the_session(
    browser: Any, server: Server
) -> None:
    desk = Desk(browser, server.address, None)
    page = desk.page
    page.goto(f"{server.address}/dashboard")
    page.get_by_label("Name").fill('<b>"ann')
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").inner_text() == "Name or password is wrong."
    assert page.get_by_label("Name").input_value() == '<b>"ann'
    assert page.get_by_label("Password").input_value() == ""
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    desk.press("Enter")
    page.locator(".video").first.wait_for()
    kept = {one["name"]: one["value"] for one in desk.context.cookies()}
    assert httpx.get(f"{server.address}/api/me", timeout=60, cookies=kept).status_code == 200
    page.get_by_role("link", name="ann").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to label").wait_for()
    assert not [one for one in desk.context.cookies() if one["name"] == "vigil_session"]
    page.goto(f"{server.address}/label")
    page.get_by_role("heading", name="Sign in to label").wait_for()
    assert httpx.get(f"{server.address}/api/me", timeout=60, cookies=kept).status_code == 401
    desk.close()


def test_a_tab_with_unsent_votes_asks_before_it_closes_and_nobody_signs_out_over_them(
    browser: Any, server: Server
) -> None:
    desk = Desk(browser, server.address, "rita")
    page = desk.page
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    desk.open_video(0)
    desk.press("1")
    desk.all_saved()
    page.evaluate("location.href = '/dashboard'")
    page.get_by_text("Fleiss' kappa of all annotators").wait_for()
    assert asked == [], "nothing unsent, nothing asked"
    desk.open_video(0)
    page.route("**/api/votes", lambda route: route.abort())
    desk.press("n", "2")
    page.locator(".safety.failed").wait_for()
    page.evaluate("void setTimeout(() => { location.href = '/dashboard'; })")
    for _ in range(600):
        page.wait_for_timeout(100)
        if asked:
            break
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    assert page.locator(".card").count() == 5, "whoever stays has the page as it was"
    page.get_by_role("link", name="rita").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("labels are not saved yet").or_(
        page.get_by_text("label is not saved yet")
    ).wait_for()
    page.unroute("**/api/votes")
    page.get_by_role("link", name="Label").click()
    desk.all_saved()
    desk.close()


def test_an_old_tab_s_vote_does_not_replace_a_newer_one(
    browser: Any, server: Server, team: Project
) -> None:
    old, new = (Desk(browser, server.address, "ann") for _ in range(2))
    old.open_video(1)
    old.page.route("**/api/votes", lambda route: route.abort())
    old.press("2")
    old.page.locator(".safety.failed").wait_for()
    old.page.wait_for_timeout(1200)
    new.open_video(1)
    new.press("3")
    new.all_saved()
    old.page.unroute("**/api/votes")
    old.toast("the newer ones stand")
    old.waits_for(0, CLASSES[2])
    clip = next(one.clip_id for one in team.clips if one.video_id == "v1")
    assert [v.label for v in votes_in(team, "ann") if v.clip_id == clip] == [CLASSES[2]]
    history = [v.label for v in votes_in(team, "ann", standing=False) if v.clip_id == clip]
    assert history == [CLASSES[2], CLASSES[1], None]
    for desk in (old, new):
        desk.close()
        assert not desk.faults
