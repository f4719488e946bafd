"""A team's day in real browsers: two people on one clip, review, administration."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.labeling_ui.browser import Desk, votes_in
from tests.labeling_ui.projects import CLASSES, Project, make
from tests.labeling_ui.servers import Server
from vigil.labels.votes import Kind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("team"), k=2, min_votes=2, page_size=4)


def test_two_people_vote_on_one_clip_and_a_reviewer_decides(
    browser: Any, server: Server, team: Project
) -> None:
    ann, bob = Desk(browser, server.address, "ann"), Desk(browser, server.address, "bob")
    ann.open_video(0)
    bob.open_video(0)
    ann.press("2", "1")
    bob.press("3", "1")
    ann.all_saved()
    bob.all_saved()
    bob.page.reload()
    bob.waits_for(0, CLASSES[2])
    assert ann.says(0) == CLASSES[1]
    disputed = team.clips[0].clip_id
    assert [v.label for v in votes_in(team) if v.clip_id == disputed] == [CLASSES[1], CLASSES[2]]

    rita = Desk(browser, server.address, "rita")
    rita.page.goto(f"{server.address}/review")
    votes = rita.page.locator(".vote")
    votes.nth(1).wait_for()
    texts = votes.all_inner_texts()
    assert "ann" in texts[0]
    assert CLASSES[1] in texts[0]
    assert "bob" in texts[1]
    assert CLASSES[2] in texts[1]
    rita.press("3")
    rita.page.get_by_text("Nobody disagrees. Nothing to review.").wait_for()
    found = [vote for vote in votes_in(team, standing=False) if vote.clip_id == disputed]
    assert [vote.kind for vote in found] == [Kind.LABEL, Kind.LABEL, Kind.ADJUDICATE]
    assert (found[2].annotator, found[2].label) == ("rita", CLASSES[2])
    for desk in (ann, bob, rita):
        desk.close()
        assert not desk.faults


def test_annotators_find_neither_review_nor_administration(browser: Any, server: Server) -> None:
    bob = Desk(browser, server.address, "bob")
    bob.page.goto(f"{server.address}/admin")
    bob.page.get_by_role("link", name="Dashboard").wait_for()
    for name in ("Admin", "Review"):
        assert bob.page.get_by_role("link", name=name, exact=True).count() == 0
    assert bob.page.get_by_text("Audit log").count() == 0
    bob.close()


def test_an_admin_publishes_renames_and_reads_the_log(
    browser: Any, server: Server, team: Project
) -> None:
    bob, adam = Desk(browser, server.address, "bob"), Desk(browser, server.address, "adam")
    for desk in (bob, adam):
        desk.open_video(1)
        desk.press("4")
        desk.all_saved()
    bob.close()
    page = adam.page
    page.goto(f"{server.address}/admin")
    page.get_by_text("Publish", exact=True).click()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_text("labels.csv").last.wait_for()
    target = team.paths.root / team.config.labeling.publish
    page.get_by_text(re.compile(r"^Published \d+ labels")).wait_for()
    assert target.is_file()
    page.get_by_text("Classes", exact=True).click()
    page.get_by_label(CLASSES[3], exact=True).fill(CLASSES[0])
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("votes after").wait_for()
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_text("Renamed.").wait_for()
    assert {v.label for v in votes_in(team, "adam")} == {CLASSES[0]}
    page.get_by_text("Audit log", exact=True).click()
    page.get_by_role("cell", name="rename", exact=True).wait_for()
    page.goto(f"{server.address}/dashboard")
    page.get_by_text("Fleiss' kappa of all annotators").wait_for()
    page.get_by_role("cell", name="bob", exact=True).wait_for()
    adam.close()
    assert not adam.faults
