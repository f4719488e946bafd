"""An annotator's day in a real browser: every label that the page calls saved is on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.labeling_ui.browser import Desk, votes_in
from tests.labeling_ui.projects import CLASSES, PASSWORD, Project, make
from tests.labeling_ui.servers import Server
from vigil.labels.votes import Kind, Source

pytestmark = pytest.mark.slow


# The player has stopped, and the picture on which it comes to rest has been drawn.
AT_REST = """async (video) => {
  while (!video.paused || video.seeking) await new Promise((done) => setTimeout(done, 50));
  await new Promise((done) => setTimeout(done, 400));
  for (let k = 0; k < 5; k += 1) await new Promise((done) => requestAnimationFrame(done));
}"""
# What a playing video shows, until it was seen to begin anew, and the page's longest pause.
PLAYED = """async () => {
  const roots = [...document.querySelectorAll('*')].map((one) => one.shadowRoot);
  const root = roots.find((one) => one && one.querySelector('.card'));
  const video = root.querySelectorAll('.card video')[1];
  const began = performance.now(), late = () => performance.now() - began > 90000;
  const pause = () => new Promise((done) => setTimeout(done, 50));
  while ((video.readyState < 2 || video.seeking || video.paused) && !late()) await pause();
  const times = [];
  let last = performance.now(), longest = 0, looped = false;
  while ((times.length < 60 || !looped) && !late()) {
    await pause();
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
    if (video.seeking) continue;
    looped ||= times.length > 0 && video.currentTime < times[times.length - 1] - 1;
    times.push(video.currentTime);
  }
  return { times, looped, src: video.currentSrc, muted: video.muted, pause_s: longest / 1000 };
}"""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("day"), videos=8, page_size=4)


@pytest.fixture
def desk(browser: Any, server: Server) -> Iterator[Desk]:
    one = Desk(browser, server.address)
    yield one
    one.close()
    assert not one.faults


def of_clip(team: Project, video: str, number: int) -> str:
    return [clip.clip_id for clip in team.clips if clip.video_id == video][number]


def test_who_is_not_signed_in_signs_in_and_picks_a_video(browser: Any, server: Server) -> None:
    desk = Desk(browser, server.address, None)
    desk.page.goto(server.address)
    desk.page.get_by_label("Name").fill("bob")
    desk.page.get_by_label("Password").fill(PASSWORD)
    desk.page.keyboard.press("Enter")
    rows = desk.page.locator(".video")
    rows.first.wait_for()
    assert rows.count() == 8
    desk.page.get_by_label("Find a video").fill("v7")
    rows.nth(1).wait_for(state="detached")
    rows.first.click()
    desk.card(0).wait_for()
    assert desk.page.locator(".toolbar h2").inner_text() == "v7"
    assert desk.page.get_by_role("link", name="Review").count() == 0
    desk.close()


def test_keys_label_undo_redo_skip_and_doubt(desk: Desk, team: Project) -> None:
    desk.open_video(0)
    desk.is_at(0)
    desk.press("2")
    desk.waits_for(0, CLASSES[1])
    desk.is_at(1)
    desk.press("0", "x")
    desk.page.locator("dialog[open]").wait_for()
    desk.press("2")
    desk.waits_for(2, "Skipped: picture broken")
    desk.all_saved()
    desk.press("u")
    desk.waits_for(2, "No label yet")
    desk.press("Shift+U")
    desk.waits_for(2, "Skipped")
    desk.press("Control+z", "Control+z")
    desk.waits_for(1, "No label yet")
    desk.press("Control+y")
    desk.waits_for(1, "Unsure")
    desk.all_saved()
    found = {vote.clip_id: vote for vote in votes_in(team, "ann") if vote.clip_id.startswith("v0")}
    assert found[of_clip(team, "v0", 0)].label == CLASSES[1]
    assert found[of_clip(team, "v0", 1)].kind is Kind.UNSURE
    assert of_clip(team, "v0", 2) not in found
    first = found[of_clip(team, "v0", 0)]
    assert first.source is Source.PERSON
    assert first.suggested == CLASSES[1]
    assert first.seconds is not None
    desk.page.reload()
    desk.waits_for(0, CLASSES[1])
    desk.waits_for(1, "Unsure")
    desk.waits_for(2, "No label yet")
    desk.is_at(2)


def test_a_list_labels_as_well_and_hostile_names_stay_text(desk: Desk, team: Project) -> None:
    desk.page.add_init_script("window.alert = () => { window.alerted = true; }")
    desk.open_video(1)
    for number, name in enumerate(CLASSES[:4]):
        desk.card(number).get_by_label("Label by list").select_option(label=name)
        desk.waits_for(number, name)
    desk.all_saved()
    assert desk.page.evaluate("window.alerted") is None
    assert desk.page.locator(".card script").count() == 0
    stands = {vote.clip_id: vote.label for vote in votes_in(team, "ann")}
    assert [stands[of_clip(team, "v1", number)] for number in range(4)] == list(CLASSES[:4])


def test_a_page_is_labeled_by_one_action_and_taken_back_by_one(desk: Desk, team: Project) -> None:
    desk.open_video(2)
    desk.press("3")
    desk.waits_for(0, CLASSES[2])
    desk.press("Shift+Digit1")
    for number in (1, 2, 3):
        desk.waits_for(number, CLASSES[0])
    desk.all_saved()
    mine = [vote for vote in votes_in(team, "ann") if vote.clip_id.startswith("v2")]
    assert [vote.source for vote in mine] == [Source.PERSON, *[Source.PAGE] * 3]
    desk.press("u")
    desk.waits_for(3, "No label yet")
    desk.all_saved()
    desk.waits_for(1, "No label yet")
    desk.waits_for(0, CLASSES[2])


def test_suggestions_are_taken_singly_or_above_a_threshold(desk: Desk, team: Project) -> None:
    desk.open_video(3)
    desk.press("a")
    desk.waits_for(0, CLASSES[1])
    threshold = desk.page.get_by_label("Least probability in percent")
    threshold.fill("92")
    threshold.press("Enter")
    desk.press("Shift+A")
    desk.toast("No clip on this page")
    threshold.fill("90")
    threshold.press("Enter")
    desk.press("Shift+A")
    desk.waits_for(3, CLASSES[1])
    desk.all_saved()
    mine = [vote for vote in votes_in(team, "ann") if vote.clip_id.startswith("v3")]
    assert [vote.source for vote in mine] == [Source.ACCEPTED, *[Source.ACCEPTED_PAGE] * 3]
    assert all(vote.suggested == vote.label for vote in mine)


def test_the_next_clip_without_a_label_is_found_across_pages(desk: Desk, team: Project) -> None:
    desk.open_video(4)
    assert desk.page.locator(".card").count() == 4
    desk.press("1", "1", "1", "1")
    desk.page.locator(".pages", has_text="Page 2 of 2").wait_for()
    desk.all_saved()
    assert desk.page.locator(".card").count() == 1
    desk.press("PageUp")
    desk.page.locator(".pages", has_text="Page 1 of 2").wait_for()
    desk.waits_for(3, CLASSES[0])
    desk.press("n")
    desk.page.locator(".pages", has_text="Page 2 of 2").wait_for()
    desk.press("1")
    desk.page.get_by_text("Every clip of this video has your label.").first.wait_for()
    assert desk.page.locator(".count").first.inner_text() == "5 of 5"
    desk.page.get_by_role("button", name="Next video").click()
    desk.page.locator(".toolbar h2", has_text="v5").wait_for()


def test_event_and_persons_are_told_in_focus_mode(desk: Desk, team: Project) -> None:
    desk.open_video(5)
    desk.press("ArrowRight", "Enter")
    focus = desk.page.locator(".focus")
    focus.locator(".persons .person").first.wait_for()
    desk.press("b", "Space")
    focus.locator("video").evaluate(AT_REST)
    desk.press("i", *["."] * 6, "o")
    assert "–" in focus.locator(".group", has_text="When").inner_text()
    box = focus.locator(".picture").bounding_box()
    scale = box["width"] / 512  # the film fills the width
    top = (box["height"] - 96 * scale) / 2
    desk.page.mouse.click(box["x"] + 75 * scale, box["y"] + top + 45 * scale)
    focus.locator(".person[aria-pressed=true]", has_text="2").wait_for()
    desk.press("2")
    desk.page.locator(".focus .when", has_text="0:02 – 0:04").wait_for()
    desk.all_saved()
    vote = next(v for v in votes_in(team, "ann") if v.clip_id == of_clip(team, "v5", 1))
    assert vote.track_ids == (2,)
    assert vote.start_s is not None
    assert vote.end_s is not None
    assert 1 <= vote.start_s < vote.end_s <= 3
    assert vote.end_s - vote.start_s == pytest.approx(7 / 12, abs=0.01)
    desk.press("Escape")
    handle = desk.card(1).locator(".handle.end_s")
    place = handle.bounding_box()
    desk.page.mouse.move(place["x"] + 4, place["y"] + 4)
    desk.page.mouse.down()
    desk.page.mouse.move(place["x"] + 40, place["y"] + 4, steps=4)
    desk.page.mouse.up()
    desk.all_saved()
    later = next(v for v in votes_in(team, "ann") if v.clip_id == of_clip(team, "v5", 1))
    assert later.end_s is not None
    assert later.end_s > vote.end_s
    assert later.label == vote.label


def test_clips_play_their_window_and_views_change(desk: Desk) -> None:
    desk.open_video(6)
    desk.card(1).locator("video").wait_for()
    seen = desk.page.evaluate(PLAYED)
    assert seen["muted"]
    assert "/media/raw/" in seen["src"]
    assert seen["looped"], "it must loop"
    assert min(seen["times"]) >= 0.99
    assert max(seen["times"]) <= 3.05 + seen["pause_s"]  # as late as the page itself is
    desk.press("v")
    desk.page.wait_for_function(
        """() => [...document.querySelectorAll('*')].some((one) => one.shadowRoot &&
          [...one.shadowRoot.querySelectorAll('.card video')].some(
            (video) => video.currentSrc.includes('/media/silhouette/')))"""
    )
    desk.press("k", "+", "l")
    for name in ("Silhouettes", "Skeletons"):
        button = desk.page.get_by_role("button", name=name)
        assert button.get_attribute("aria-pressed") == "true"
    assert desk.page.get_by_role("button", name="Loop").get_attribute("aria-pressed") == "false"
    assert desk.page.get_by_label("Speed").input_value() == "1.5"
    desk.press("?")
    desk.page.locator("dialog[open]", has_text="Next clip without your label").wait_for()
    desk.press("1", "Escape")
    assert desk.says(0) == "No label yet"


def test_keys_are_deaf_to_typing_and_work_under_a_hangul_input_method(
    desk: Desk, team: Project
) -> None:
    desk.open_video(7)
    threshold = desk.page.get_by_label("Least probability in percent")
    threshold.focus()
    desk.press("1")
    assert desk.says(0) == "No label yet"
    threshold.press("Escape")
    fire = "(options) => window.dispatchEvent(new KeyboardEvent('keydown', options))"
    desk.page.evaluate(fire, {"key": "2", "code": "Digit2", "isComposing": True})
    assert desk.says(0) == "No label yet"
    desk.page.evaluate(fire, {"key": "Process", "code": "Digit2", "keyCode": 229})
    desk.waits_for(0, CLASSES[1])
    desk.all_saved()
    desk.page.evaluate(fire, {"key": "ㅕ", "code": "KeyU"})
    desk.waits_for(0, "No label yet")
    desk.all_saved()
    assert not [vote for vote in votes_in(team, "ann") if vote.clip_id.startswith("v7")]


def test_the_queue_deals_clips_until_none_is_left(
    browser: Any, server: Server, team: Project
) -> None:
    desk = Desk(browser, server.address, "rita")
    desk.page.goto(f"{server.address}/queue")
    desk.card(0).wait_for()
    empty = desk.page.get_by_text("Nothing waits for you")
    while not empty.is_visible():
        first = desk.card(0).get_attribute("data-clip")
        desk.press("Shift+Digit1")
        desk.all_saved()
        desk.press("n")
        desk.page.locator(f".card[data-clip='{first}']").wait_for(state="detached")
    judged = {vote.clip_id for vote in votes_in(team)}
    assert judged == {clip.clip_id for clip in team.clips}
    desk.close()
