"""Votes over HTTP: checked on the way in, one's own on the way out, once however often sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.labeling_ui.projects import CLASSES, Project, make
from tests.labeling_ui.servers import Annotator, Server, serving, token
from vigil.labels.project import open_store
from vigil.labels.votes import Kind
from vigil.schema import write_clips

LABEL = {"kind": "label", "label": CLASSES[0]}


@pytest.fixture(scope="module")
def ann(server: Server) -> Annotator:
    return server.sign_in("ann")


@pytest.fixture(scope="module")
def bob(server: Server) -> Annotator:
    return server.sign_in("bob")


def test_videos_come_with_progress(ann: Annotator, bob: Annotator) -> None:
    before = ann.get("/api/videos")["videos"]
    assert [(video["video"], video["n_clips"]) for video in before] == [("v0", 5), ("v1", 5)]
    bob.vote({"clip": ann.clips(1)[0]["key"], **LABEL}).raise_for_status()
    after = ann.get("/api/videos")["videos"][1]
    assert (after["mine"], after["done"]) == (before[1]["mine"], before[1]["done"] + 1)
    assert bob.get("/api/videos")["videos"][1]["mine"] == 1


def test_clips_come_in_pages(ann: Annotator) -> None:
    first = ann.get("/api/clips", video=ann.clips()[0]["video_key"], page=0, size=2)
    last = ann.get("/api/clips", video=ann.clips()[0]["video_key"], page=2, size=2)
    assert (first["pages"], first["total"], len(first["clips"]), len(last["clips"])) == (3, 5, 2, 1)
    assert [clip["start_s"] for clip in (*first["clips"], *last["clips"])] == [0, 1, 4]
    assert ann.get("/api/clips", video=ann.clips()[0]["video_key"], page=9)["clips"] == []


@pytest.mark.parametrize("query", ["page=-1", "page=x", "page=٣", "size=0", "size=61", "size=1e9"])
def test_a_page_that_is_none_is_refused(ann: Annotator, query: str) -> None:
    video = ann.clips()[0]["video_key"]
    answer = ann.client.get(f"/api/clips?video={video}&{query}")
    assert answer.status_code == 400
    assert "expected a number" in answer.json()["error"]


@pytest.mark.parametrize("label", CLASSES)
def test_a_label_of_any_letters_comes_back_as_it_was(ann: Annotator, label: str) -> None:
    clip = ann.clips()[2]["key"]
    answer = ann.vote({"clip": clip, "kind": "label", "label": label})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert ann.clips()[2]["mine"]["label"] == label


def test_detail_of_a_vote_is_kept(ann: Annotator) -> None:
    clip = ann.clips()[3]
    sent = {
        "kind": "label", "label": CLASSES[4], "start_s": 3.25, "end_s": 4.5, "track_ids": [2, 1],
        "source": "accepted", "suggested": CLASSES[1], "seconds": 1.5,
    }  # fmt: skip
    ann.vote({"clip": clip["key"], **sent}).raise_for_status()
    mine = ann.clips()[3]["mine"]
    assert {name: mine[name] for name in sent if name != "seconds"} == {
        name: value for name, value in sent.items() if name != "seconds"
    } | {"track_ids": [1, 2]}  # fmt: skip


BAD: dict[str, dict[str, Any]] = {
    "unknown class": {"label": "no such class"},
    "no label": {"label": None},
    "empty label": {"label": ""},
    "bad kind": {"kind": "adjudicate"},
    "retraction": {"kind": "retract"},
    "imported": {"source": "imported"},
    "skip without a reason": {"kind": "skip", "label": None},
    "start before the clip": {"start_s": 0.0, "end_s": 1.0},
    "end after the clip": {"start_s": 1.5, "end_s": 3.5},
    "end before start": {"start_s": 2.0, "end_s": 1.5},
    "only a start": {"start_s": 1.5},
    "no number": {"start_s": "1.5", "end_s": 2.0},
    "a person who is not in it": {"track_ids": [3]},
    "a negative person": {"track_ids": [-1]},
    "too many persons": {"track_ids": list(range(101))},
    "unknown suggestion": {"suggested": "no such class"},
    "endless looking": {"seconds": 1e9},
    "from the future": {"age_s": -1},
    "short token": {"token": "x"},
    "odd token": {"token": "a b c d e f g h i"},
    "somebody else's name": {"annotator": "bob"},
    "long reason": {"reason": "x" * 201},
}


@pytest.mark.parametrize("name", BAD)
def test_a_vote_that_makes_no_sense_is_refused_whole(ann: Annotator, name: str) -> None:
    clips = ann.clips(1)
    good = {"clip": clips[3]["key"], **LABEL}
    answer = ann.vote(good, {"clip": clips[1]["key"], **LABEL, **BAD[name]})
    assert answer.status_code == 400, answer.text
    assert len(answer.json()["error"].splitlines()) == 1
    assert ann.clips(1)[3]["mine"] is None, "one bad vote: none of the page's is saved"


def test_a_body_that_is_none_is_refused(ann: Annotator) -> None:
    headers = {"X-Vigil-CSRF": ann.me["csrf"], "content-type": "application/json"}

    def post(body: bytes, **more: str) -> int:
        return ann.client.post("/api/votes", content=body, headers=headers | more).status_code

    assert post(b"") == 400
    assert post(b"[]") == 400
    assert post(b'{"votes": []}') == 400
    assert post(b'{"votes": [NaN]}') == 400
    assert post(b"\xff\xfe") == 400
    assert post(b"[" * 100_000) == 400
    assert post(b"{}", **{"content-type": "text/plain"}) == 415
    assert post(b" " * (300 << 10)) == 413
    many = [{"token": token(), "clip": "0" * 16, **LABEL} for _ in range(101)]
    assert ann.post("/api/votes", {"votes": many}).status_code == 400
    assert ann.vote({"clip": "0" * 16, **LABEL}).status_code == 404
    same = token()
    clips = ann.clips(1)
    twice = [{"clip": clip["key"], "token": same, **LABEL} for clip in clips[2:4]]
    assert ann.vote(*twice).status_code == 400


def test_a_route_that_is_none_says_so_in_json(ann: Annotator) -> None:
    for path in ("/api/none", "/api/", "/api/votes"):
        answer = ann.client.get(path)
        assert answer.status_code in {404, 405}
        assert "error" in answer.json()


def test_the_same_token_is_the_same_vote_once(ann: Annotator, team: Project) -> None:
    vote = {"clip": ann.clips(1)[4]["key"], "token": token(), **LABEL}
    first, again = ann.vote(vote), ann.vote(vote)
    assert first.json() == again.json()
    changed = ann.vote(vote | {"label": CLASSES[1]})
    assert changed.status_code == 409
    store = open_store(team.config, team.paths)
    saved = [one for one in store.votes() if one.token == vote["token"]]
    store.close()
    assert len(saved) == 1


def test_a_vote_from_an_old_tab_is_kept_and_the_newer_one_told(server: Server) -> None:
    adam = server.sign_in("adam")
    clip = adam.clips(1)[0]["key"]
    adam.vote({"clip": clip, "kind": "label", "label": CLASSES[1]}).raise_for_status()
    old = {"clip": clip, "token": token(), "kind": "label", "label": CLASSES[2]}
    for age in (3600.0, 3601.5):
        (answer,) = adam.vote(old | {"age_s": age}).raise_for_status().json()["votes"]
        assert (answer["token"], answer["late"]) == (old["token"], True)
        assert answer["stands"]["label"] == CLASSES[1]
    assert adam.clips(1)[0]["mine"]["label"] == CLASSES[1]
    (fresh,) = adam.vote(old | {"token": token(), "age_s": 0.2}).json()["votes"]
    assert "late" not in fresh
    assert adam.clips(1)[0]["mine"]["label"] == CLASSES[2]


def test_a_token_of_somebody_else_s_vote_is_refused(ann: Annotator, bob: Annotator) -> None:
    vote = {"clip": ann.clips(1)[4]["key"], "token": token(), **LABEL}
    ann.vote(vote).raise_for_status()
    assert bob.vote(vote).status_code == 409


def test_a_whole_page_is_one_action_for_undo_and_redo(ann: Annotator) -> None:
    keys = [clip["key"] for clip in ann.clips(1)[2:4]]
    page = {"kind": "label", "label": CLASSES[3], "source": "page"}
    ann.vote(*({"clip": key, **page} for key in keys)).raise_for_status()
    undone = ann.post("/api/undo", {"token": token()}).raise_for_status().json()
    assert undone["clips"] == [{"key": key, "mine": None} for key in keys]
    assert [clip["mine"] for clip in ann.clips(1)[2:4]] == [None, None]
    again = token()
    redone = ann.post("/api/redo", {"token": again}).raise_for_status().json()
    assert [clip["mine"]["label"] for clip in redone["clips"]] == [CLASSES[3]] * 2
    assert ann.post("/api/redo", {"token": again}).json() == redone, "the same token once"
    ann.post("/api/undo", {"token": token()}).raise_for_status()


def test_the_next_unlabeled_clip_is_found_past_the_page_and_round_the_end(
    server: Server, team: Project
) -> None:
    adam = server.sign_in("adam")
    clips = adam.clips()
    video = clips[0]["video_key"]
    adam.vote({"clip": clips[0]["key"], **LABEL}, {"clip": clips[2]["key"], **LABEL})

    def after(clip: int) -> Any:
        return adam.get("/api/next", video=video, after=clips[clip]["key"], size=2)

    assert after(1) == {"clip": clips[3]["key"], "page": 1}
    assert after(4) == {"clip": clips[1]["key"], "page": 0}
    adam.vote(*({"clip": clips[n]["key"], **LABEL} for n in (1, 3, 4)))
    assert after(0) == {"clip": None, "page": None}


def test_two_people_on_one_clip_do_not_see_or_lose_each_other_s_votes(
    ann: Annotator, bob: Annotator, server: Server
) -> None:
    clip = ann.clips(1)[2]["key"]
    ann.vote({"clip": clip, "kind": "label", "label": CLASSES[0]})
    bob.vote({"clip": clip, "kind": "label", "label": CLASSES[1]})
    assert ann.clips(1)[2]["mine"]["label"] == CLASSES[0]
    assert bob.clips(1)[2]["mine"]["label"] == CLASSES[1]
    assert "annotator" not in str(bob.client.get("/api/clips", params={
        "video": bob.clips(1)[0]["video_key"]
    }).json()["clips"])  # fmt: skip
    rita = server.sign_in("rita")
    disputed = rita.get("/api/disputed")["clips"]
    both = next(one for one in disputed if one["key"] == clip)["votes"]
    assert {(vote["annotator"], vote["label"]) for vote in both} == {
        ("ann", CLASSES[0]), ("bob", CLASSES[1])
    }  # fmt: skip
    decision = {"token": token(), "clip": clip, "label": CLASSES[1], "reason": "seen twice"}
    assert rita.post("/api/adjudicate", {"votes": [decision]}).status_code == 201
    assert clip not in [one["key"] for one in rita.get("/api/disputed")["clips"]]
    assert ann.clips(1)[2]["mine"]["label"] == CLASSES[0], "no vote is ever taken away"


def test_the_order_of_a_page_of_the_queue_tells_nothing(server: Server) -> None:
    keys = [clip["key"] for clip in server.sign_in("adam").get("/api/queue", n=5)["clips"]]
    assert len(keys) > 1
    assert keys == sorted(keys), "keys are random, and so is their order"


def test_the_queue_gives_clips_that_are_not_labeled_yet(server: Server) -> None:
    rita = server.sign_in("rita")
    clips = rita.get("/api/queue", n=3)["clips"]
    assert all(clip["mine"] is None for clip in clips)
    assert [clip["key"] for clip in rita.get("/api/queue", n=3)["clips"]] == [
        clip["key"] for clip in clips
    ], "a lease holds"


def test_suggestions_are_those_of_the_configured_system_until_they_are_hidden(
    ann: Annotator, team: Project
) -> None:
    assert ann.clips()[0]["suggestion"] == {
        "label": CLASSES[1], "probability": 0.91, "system": "zero_shot_box"
    }  # fmt: skip
    store = open_store(team.config, team.paths)
    store.set_setting("show_suggestions", False, "adam")
    assert ann.clips()[0]["suggestion"] is None
    store.set_setting("show_suggestions", True, "adam")
    store.close()
    store = open_store(team.config, team.paths)
    store.set_setting("suggestions", "zero_shot_frame", "adam")
    assert ann.clips()[0]["suggestion"]["system"] == "zero_shot_frame"
    store.close()


def test_a_page_s_connection_that_breaks_leaves_the_api_up(ann: Annotator, server: Server) -> None:
    cookie = {"Cookie": f"vigil_session={ann.client.cookies['vigil_session']}"}
    address = server.address.replace("http://", "ws://") + "/_stcore/stream"
    for message in (b"\xff" * 1000, "text", b""):
        with connect(
            address, origin=Origin(server.address), additional_headers=cookie,
            subprotocols=[Subprotocol("streamlit")],
        ) as page:  # fmt: skip
            page.send(message)
        assert ann.get("/api/me")["name"] == "ann"
    ann.vote({"clip": ann.clips()[0]["key"], **LABEL}).raise_for_status()


@pytest.mark.slow
def test_a_clip_cut_anew_keeps_its_vote_and_says_so(tmp_path: Path) -> None:
    project = make(tmp_path, videos=1)
    with serving(project.params) as server:
        ann = server.sign_in("ann")
        ann.vote({"clip": ann.clips()[0]["key"], **LABEL}).raise_for_status()
        server.stop()
        cut = project.clips[0]
        moved = type(cut)(**vars(cut) | {"end_frame": cut.end_frame - 1})
        write_clips(project.paths.clips, [moved, *project.clips[1:]])
        server.start()
        clip = server.sign_in("ann").clips()[0]
    assert clip["stale"]
    assert clip["mine"]["label"] == CLASSES[0]
    assert Kind(clip["mine"]["kind"]) is Kind.LABEL
