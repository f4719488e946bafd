"""An admin's tabs in a real browser: users, gold clips, work, backup, audit log, publishing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.labeling_ui.browser import Desk
from tests.labeling_ui.projects import CLASSES, Project, make
from tests.labeling_ui.servers import Server
from vigil.labels.project import open_store
from vigil.labels.users import Users

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> '&amp; 쓰러짐 " + "wide" * 60


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make(tmp_path_factory.mktemp("admin"), publish="data/published.csv")
    (made.paths.root / "dvc.yaml").write_text("stages: {footage: {outs: [data/labels.csv]}}")
    return made


@pytest.fixture(scope="module")
def adam(browser: Any, server: Server) -> Iterator[Desk]:
    desk = Desk(browser, server.address, "adam")
    yield desk
    assert not desk.faults
    desk.close()


def part(adam: Desk, name: str) -> Any:
    """Open a part of the administration."""
    adam.page.goto(f"{adam.address}/admin")
    adam.page.get_by_text("Annotators a clip").wait_for()
    adam.page.get_by_role("radio", name=name, exact=True).or_(
        adam.page.get_by_role("button", name=name, exact=True)
    ).first.click()
    return adam.page


def choose(page: Any, label: str, option: str) -> None:
    """Pick from one of Streamlit's drop-downs; again where it was drawn anew and so closed."""
    from playwright.sync_api import TimeoutError as Closed

    wanted = page.get_by_role("option", name=option, exact=True)
    for _ in range(20):
        page.locator("[data-test-script-state=notRunning]").wait_for(state="attached")
        page.get_by_role("combobox", name=label).first.click()
        try:
            wanted.click(timeout=6000)
        except Closed:
            page.keyboard.press("Escape")
        else:
            return
    raise AssertionError(f"expected {option} among what {label} offers")


def test_somebody_is_added_changed_blocked_and_let_in_again(
    adam: Desk, server: Server, team: Project
) -> None:
    page = part(adam, "Users")
    page.get_by_label("Name", exact=True).fill("<b>eve</b>")
    page.get_by_label("Password, 8 characters or more").fill("short")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("expected 8 to").wait_for()
    page.get_by_label("Name", exact=True).fill("<b>eve</b>")
    page.get_by_label("Password, 8 characters or more").fill("long enough")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("cell", name="<b>eve</b>", exact=True).wait_for()
    choose(page, "User", "<b>eve</b>")
    page.get_by_label("New password").fill("another one")
    page.get_by_role("button", name="Set password").click()
    page.get_by_text("sessions with the old one are over").wait_for()
    server.sign_in("<b>eve</b>", "another one")
    page.get_by_role("button", name="Block <b>eve</b>").click()
    page.get_by_role("button", name="Let <b>eve</b> in again").wait_for()
    users = {user.name: user for user in Users(team.paths.users).list()}
    assert not users["<b>eve</b>"].active
    page.get_by_role("button", name="Let <b>eve</b> in again").click()
    page.get_by_role("button", name="Block <b>eve</b>").wait_for()


def test_the_last_admin_cannot_be_blocked(adam: Desk) -> None:
    page = part(adam, "Users")
    choose(page, "User", "adam")
    page.get_by_role("button", name="Block adam").click()
    page.get_by_text("expected an active admin to remain").wait_for()
    page.get_by_role("cell", name="adam", exact=True).wait_for()


def test_a_clip_is_made_gold_unseen_and_no_more(adam: Desk, server: Server, team: Project) -> None:
    left_s = 86_400 - time.time() % 86_400
    if left_s < 300:  # votes of yesterday would be told
        time.sleep(left_s + 1)
    page = part(adam, "Gold clips")
    choose(page, "Label", CLASSES[1])
    page.get_by_role("button", name="Make it gold").click()
    clip = team.clips[0].clip_id
    page.get_by_role("cell", name=clip).wait_for()
    store = open_store(team.config, team.paths)
    assert store.gold() == {clip: CLASSES[1]}
    ann = server.sign_in("ann")
    before, key = ann.clips(), ann.clips()[0]["key"]
    ann.vote({"clip": key, "kind": "label", "label": CLASSES[1]}).raise_for_status()
    assert {one.keys() == before[0].keys() for one in ann.get("/api/queue")["clips"]} == {True}
    page.goto(f"{adam.address}/dashboard")
    page.get_by_role("cell", name="n = 1").first.wait_for()
    eyes = Desk(adam.context.browser, server.address, "ann")
    eyes.page.goto(f"{adam.address}/dashboard")
    eyes.page.get_by_role("columnheader", name="right on gold clips until today").wait_for()
    assert "n = 1" not in eyes.page.locator(".vg", has_text="right on gold").inner_text()
    eyes.close()
    page = part(adam, "Gold clips")
    choose(page, "Gold no more", clip)
    page.get_by_role("button", name="Take it out").click()
    page.get_by_text("0 gold clips").wait_for()
    assert store.gold() == {}
    store.close()


def test_a_backup_is_a_whole_store(adam: Desk, team: Project) -> None:
    page = part(adam, "Backup")
    page.get_by_text("No backup yet.").wait_for()
    page.get_by_role("button", name="Back up now").click()
    page.get_by_text("Written: labels-").wait_for()
    (copy,) = (team.paths.labeling / "backups").glob("*.db")
    page.get_by_role("cell", name=copy.name).wait_for()
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert kept.execute("SELECT count(*) FROM clips").fetchall() == [(len(team.clips),)]
    page.get_by_role("button", name="Check the store").click()
    page.get_by_text("The store is whole.").wait_for()


def test_hostile_text_stays_text_and_the_log_inside_the_window(adam: Desk, team: Project) -> None:
    store = open_store(team.config, team.paths)
    for number in range(51):
        store.record(f"eve{number}"[:4], "<script>", {"n": number, "text": HOSTILE})
    store.close()
    page = part(adam, "Audit log")
    page.get_by_text('"n": 50').wait_for()
    assert page.locator("img[src=x], .vg script").count() == 0
    assert page.title() != "pwned"
    assert page.get_by_text("…", exact=False).count() > 0
    wide = "document.querySelector('.vg table').getBoundingClientRect().right <= innerWidth"
    assert page.evaluate(wide)
    page.get_by_label("Page", exact=True).fill("2")
    page.keyboard.press("Enter")
    page.get_by_text('"n": 0').wait_for()
    assert page.get_by_text('"n": 50').count() == 0
    page.get_by_label("Page", exact=True).fill("999999")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing on this page.").wait_for()


def test_more_annotators_a_clip_reopen_what_was_done(
    adam: Desk, server: Server, team: Project
) -> None:
    ann, bob = server.sign_in("ann"), server.sign_in("bob")
    clips = ann.get("/api/queue", n=60)["clips"]
    ann.vote(*({"clip": one["key"], "kind": "label", "label": CLASSES[0]} for one in clips))
    assert bob.get("/api/queue", n=60)["clips"] == []
    page = part(adam, "Work")
    page.get_by_label("Annotators a clip").fill("2")
    page.keyboard.press("Tab")  # Enter would send the form already
    page.get_by_text("Silhouettes first", exact=True).click()
    page.get_by_text("Suggestions", exact=True).click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Changed: k, show_suggestions, silhouette_first.").wait_for()
    dealt = bob.get("/api/queue", n=60)["clips"]
    assert len(dealt) == len(team.clips)
    assert {str(one["suggestion"]) for one in dealt} == {"None"}
    adam.open_video(1)
    toggle = adam.page.get_by_role("button", name="Silhouettes")
    assert toggle.get_attribute("aria-pressed") == "true"
    assert adam.page.locator(".suggestion:visible").count() == 0
    assert not adam.page.locator(".accept-all").is_visible()


def test_publishing_says_what_the_pipeline_reads_and_what_is_left_out(
    adam: Desk, server: Server, team: Project
) -> None:
    bob = server.sign_in("bob")
    bob.vote({"clip": bob.clips(1)[0]["key"], "kind": "label", "label": CLASSES[1]})
    params = team.params.read_text("utf-8")
    page = part(adam, "Publish")
    page.get_by_text("1 disputed").wait_for()
    page.get_by_role("button", name="Publish", exact=True).last.click()
    page.get_by_text("Then train on them").wait_for()
    said = page.get_by_text("The pipeline still reads").inner_text()
    assert said.startswith("The pipeline still reads data/labels.csv, which footage makes.")
    lines = page.locator("pre").first.inner_text().split("\n")
    assert lines == ["labels: data/published.csv", "events: data/published.events.csv"]
    assert team.params.read_text("utf-8") == params
