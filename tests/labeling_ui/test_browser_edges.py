"""More classes than keys, and pages that have nothing to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.labeling_ui.browser import Desk, votes_in
from tests.labeling_ui.projects import Project, make
from tests.labeling_ui.servers import Server, serving
from vigil.schema import write_clips

pytestmark = pytest.mark.slow
MANY = tuple(f"class {number}" for number in range(1, 13))  # keys 1-9, none, m, none


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(
        tmp_path_factory.mktemp("many"), people=False, classes=MANY, keys={MANY[10]: "m"},
        suggestions="", videos=1, gold_share=0.0,
    )  # fmt: skip


@pytest.fixture
def desk(browser: Any, server: Server) -> Iterator[Desk]:
    one = Desk(browser, server.address, None)
    one.page.goto(server.address)
    one.page.locator(".video").first.wait_for()
    yield one
    one.close()
    assert not one.faults


def test_classes_without_a_key_are_given_by_list_and_by_button(desk: Desk, team: Project) -> None:
    desk.open_video(0)
    assert desk.card(0).locator("button.label").count() == 10
    assert desk.page.locator(".suggestion:visible, .accept-all:visible").count() == 0
    desk.press("m")
    desk.waits_for(0, MANY[10])
    desk.card(1).get_by_label("Label by list").select_option(label=MANY[9])
    desk.waits_for(1, MANY[9])
    desk.press("9", "Enter")
    large = desk.page.locator(".focus")
    large.get_by_role("button", name=MANY[11]).click()
    desk.page.locator(".focus .when", has_text="0:04").wait_for()
    desk.page.get_by_label("Label the page").select_option(label=MANY[9])
    desk.all_saved()
    labels = [vote.label for vote in votes_in(team)]
    assert labels == [MANY[10], MANY[9], MANY[8], MANY[11], MANY[9]]


def test_an_address_of_no_video_says_so_and_opens_no_other(desk: Desk, server: Server) -> None:
    for key in ("ffffffffffffffff", "<script>alert(1)</script>", "../../etc/passwd"):
        desk.page.goto(f"{server.address}/label?video={key}")
        desk.page.get_by_text("There is no such video").wait_for()
        assert desk.page.locator(".card").count() == 0
    desk.page.get_by_role("link", name="All videos").click()
    desk.page.locator(".video").first.wait_for()
    desk.page.get_by_label("Find a video").fill("no such")
    desk.page.get_by_text("No video is called that.").wait_for()


def test_a_queue_without_work_says_so(desk: Desk, server: Server) -> None:
    clips = desk.get("/api/queue")["clips"]
    desk.page.goto(f"{server.address}/queue")
    if clips:
        desk.card(0).wait_for()
        desk.press("Shift+Digit1")
        desk.all_saved()
        desk.press("n")
    desk.page.get_by_text("Nothing waits for you. Well done.").wait_for()
    desk.press("1", "Shift+Digit1", "a", "u", "Enter", "Space", "n", "x", "i")
    desk.page.goto(f"{server.address}/review")
    desk.page.get_by_text("Nobody disagrees. Nothing to review.").wait_for()


def test_a_project_without_clips_says_what_makes_them(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = make(tmp_path_factory.mktemp("empty"), people=False, videos=1)
    write_clips(empty.paths.clips, [])
    with serving(empty.params) as server:
        desk = Desk(browser, server.address, None)
        desk.page.goto(server.address)
        desk.page.get_by_text("There are no clips yet").wait_for()
        desk.page.goto(f"{server.address}/label")
        desk.page.get_by_text("There are no clips yet").wait_for()
        desk.page.goto(f"{server.address}/dashboard")
        desk.page.get_by_text("no clips").first.wait_for()
        desk.page.goto(f"{server.address}/queue")
        desk.page.get_by_text("Nothing waits for you").wait_for()
        desk.close()
        assert not desk.faults
