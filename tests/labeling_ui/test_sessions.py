"""Sessions: kept over a restart without their tokens, ended by time, dropped where damaged."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from labeling_ui.sessions import Door, Sessions
from tests.labeling_ui.projects import make
from tests.labeling_ui.servers import serving


@pytest.mark.parametrize(
    "kept",
    ['{"x": {"name": "ann", "started_at": 1.0}}', '["ann"]', '{"x": "ann"}', "{", "", "\udcff",
     '{"x": {"name": "ann", "door": "window", "started_at": 1.0, "stamp": ""}}', "[" * 100_000],
)  # fmt: skip
def test_sessions_of_another_form_are_dropped_and_everybody_signs_in_again(
    tmp_path: Path, kept: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions.json"
    path.write_bytes(kept.encode("utf-8", "surrogateescape"))
    sessions = Sessions(path, 60)
    assert "everybody signs in again" in caplog.text
    assert sessions.find("x") is None
    token = sessions.start("ann", Door.PASSWORD)
    assert Sessions(path, 60).find(token) is not None


def test_a_session_ends_with_its_time_and_the_oldest_makes_room(tmp_path: Path) -> None:
    now = [0.0]
    sessions = Sessions(tmp_path / "sessions.json", 60, lambda: now[0], most=5)
    first, second = sessions.start("ann", Door.PASSWORD), sessions.start("bob", Door.PASSWORD)
    now[0] = 59.9
    assert sessions.find(first) is not None
    now[0] = 60.0
    assert sessions.find(first) is None
    assert sessions.find(second) is None
    for _ in range(7):
        sessions.start("ann", Door.PASSWORD)
    assert len(json.loads((tmp_path / "sessions.json").read_text("utf-8"))) == 5


@pytest.mark.slow
def test_a_session_outlives_the_server_and_its_token_is_not_on_disk(tmp_path: Path) -> None:
    project = make(tmp_path)
    with serving(project.params) as server:
        ann = server.sign_in("ann")
        cookie = ann.client.cookies["vigil_session"]
        assert server.stop() == 0
        server.start()
        answer = httpx.get(
            f"{server.address}/api/me", timeout=60, cookies={"vigil_session": cookie}
        )
        assert answer.json()["name"] == "ann"
        assert answer.json()["csrf"] == ann.me["csrf"]
    for file in project.paths.labeling.iterdir():
        assert cookie.encode() not in file.read_bytes(), file.name
