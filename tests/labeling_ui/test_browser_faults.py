"""What goes wrong on a real day: the server dies, files vanish, clips are cut anew."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest

from tests.labeling_ui.browser import Desk, free_port, votes_in
from tests.labeling_ui.projects import CLASSES, Project, make
from tests.labeling_ui.servers import Server
from vigil.labels.project import open_store
from vigil.labels.votes import Draft, Kind

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("faults"), people=False, port=free_port())


def test_a_server_killed_between_key_and_answer_gets_the_vote_once(
    browser: Any, server: Server, team: Project
) -> None:
    desk = Desk(browser, server.address, None)
    desk.page.goto(server.address)
    desk.page.locator(".video").first.wait_for()
    desk.open_video(0)

    def saved_but_never_heard(route: Any) -> None:
        route.fetch()
        server.stop(signal.SIGKILL)
        route.abort()

    desk.page.route("**/api/votes", saved_but_never_heard, times=1)
    desk.press("2")
    desk.card(0).locator(".state.failed").wait_for()
    assert len(votes_in(team)) == 1
    desk.press("3", "4")
    desk.page.locator(".safety.failed", has_text=re.compile("^3 not saved")).wait_for()
    server.start()
    desk.all_saved()
    labels = [vote.label for vote in votes_in(team, standing=False)]
    assert labels == [CLASSES[1], CLASSES[2], CLASSES[3]]
    desk.close()


def test_unsent_votes_survive_a_closed_tab(browser: Any, server: Server, team: Project) -> None:
    desk = Desk(browser, server.address, None)
    desk.page.goto(server.address)
    desk.page.locator(".video").first.wait_for()
    key = desk.open_video(1)
    before = len(votes_in(team, standing=False))
    server.stop(signal.SIGKILL)
    desk.press("2", "3")
    desk.card(1).locator(".state").wait_for()
    desk.page.close()
    assert len(votes_in(team, standing=False)) == before
    server.start()
    desk.page = desk.context.new_page()
    desk.page.goto(f"{server.address}/label?video={key}")
    desk.waits_for(0, CLASSES[1])
    desk.all_saved()
    desk.waits_for(1, CLASSES[2])
    assert len(votes_in(team, standing=False)) == before + 2
    desk.close()


def test_missing_files_and_clips_cut_anew_are_told(
    browser: Any, server: Server, team: Project
) -> None:
    store = open_store(team.config, team.paths)
    store.cast([Draft("before-the-cut", team.clips[0].clip_id, "local", Kind.LABEL, CLASSES[1])])
    store.close()
    server.stop()
    with (team.paths.videos / "v0.mp4").open("ab") as video:
        video.write(b"\0\0\0\x08free")
    (team.paths.masked / "v0.mp4").unlink()
    (team.paths.proxies / "v1.mp4").unlink()
    server.start()
    desk = Desk(browser, server.address, None)
    desk.page.goto(server.address)
    desk.page.locator(".video").first.wait_for()
    desk.open_video(0)
    desk.card(0).locator(".badge", has_text="cut anew").wait_for()
    desk.waits_for(0, CLASSES[1])
    desk.press("v")
    desk.card(0).get_by_text("The video file is missing").wait_for()
    desk.press("v")
    desk.card(0).locator(".when").click()
    desk.press("1")
    desk.waits_for(0, CLASSES[0])
    desk.all_saved()
    desk.card(0).locator(".badge").wait_for(state="detached")
    desk.open_video(1)
    desk.card(2).locator(".badge", has_text="not there any more").wait_for()
    assert desk.card(2).locator("button.label").first.is_disabled()
    desk.close()
    assert not desk.faults
