"""Pictures: in ranges, by opaque key, and no other file of this computer."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling_ui.media import inside
from labeling_ui.overlay import Overlays, persons
from tests.labeling_ui.projects import Project, make
from tests.labeling_ui.servers import Annotator, Server
from vigil.errors import NotFound


@pytest.fixture(scope="module")
def ann(server: Server) -> Annotator:
    return server.sign_in("ann")


@pytest.fixture(scope="module")
def raw(ann: Annotator) -> str:
    found: str = ann.clips()[0]["media"]["raw"]
    return found


@pytest.fixture(scope="module")
def film(team: Project) -> bytes:
    return (team.paths.proxies / "v0.mp4").read_bytes()


def test_the_whole_file_comes_with_what_a_player_needs(
    ann: Annotator, raw: str, film: bytes
) -> None:
    answer = ann.client.get(raw)
    assert (answer.status_code, answer.content) == (200, film)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"].startswith("private")
    assert "content-encoding" not in answer.headers
    head = ann.client.head(raw)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(film))


RANGES = st.one_of(
    st.tuples(st.integers(0, 30_000), st.one_of(st.none(), st.integers(0, 30_000))),
    st.tuples(st.none(), st.integers(0, 30_000)),
)


@settings(max_examples=60, deadline=None)
@given(wanted=RANGES)
def test_any_single_range_gives_just_its_bytes(
    ann: Annotator, raw: str, film: bytes, wanted: tuple[int | None, int | None]
) -> None:
    first, last = wanted
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    answer = ann.client.get(raw, headers={"Range": text})
    begin, end = bounds(first, last, len(film))
    if first is not None and last is not None and last < first < len(film):
        assert answer.status_code in {200, 400, 416}, "RFC 9110 lets a server choose"
    elif begin >= end:
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(film)}"
    else:
        assert answer.status_code == 206
        assert answer.content == film[begin:end]
        assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(film)}"
        assert answer.headers["content-length"] == str(end - begin)


def bounds(first: int | None, last: int | None, size: int) -> tuple[int, int]:
    if first is None:
        return max(size - (last or 0), 0), size
    return first, size if last is None else min(last + 1, size)


@pytest.mark.parametrize(
    "text", ["bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes", "bytes=0-1;", "bytes=9e9-"]
)
def test_a_range_that_is_none_is_refused_or_passed_over(
    ann: Annotator, raw: str, text: str
) -> None:
    assert ann.client.get(raw, headers={"Range": text}).status_code in {200, 206, 400, 416}


def test_many_ranges_at_once_get_the_whole(ann: Annotator, raw: str, film: bytes) -> None:
    answer = ann.client.get(raw, headers={"Range": "bytes=0-1,4-5," + "9-9," * 2000})
    assert (answer.status_code, answer.content) == (200, film)


def test_a_range_of_another_version_gets_the_whole(ann: Annotator, raw: str, film: bytes) -> None:
    etag = ann.client.head(raw).headers["etag"]
    part = {"Range": "bytes=0-3"}
    assert ann.client.get(raw, headers=part | {"If-Range": etag}).status_code == 206
    assert ann.client.get(raw, headers=part | {"If-Range": '"other"'}).content == film
    assert ann.client.get(raw, headers={"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    assert ann.client.get(raw, headers={"If-None-Match": '"x"'}).status_code == 200
    assert ann.client.get(raw, headers={"If-None-Match": "*"}).status_code == 304


def test_thumbnails_and_silhouettes_are_files_of_their_own(
    ann: Annotator, team: Project, film: bytes
) -> None:
    media = ann.clips()[0]["media"]
    assert ann.client.get(media["thumb"]).content.startswith(b"\xff\xd8")
    assert ann.client.get(media["silhouette"]).content == film


KEYS = [
    "../../params.yaml", "..%2f..%2fparams.yaml", "%2e%2e/%2e%2e/params.yaml", "v0", "v0.mp4",
    "....//params.yaml", "%2fetc%2fpasswd", "\\..\\params.yaml", "%00", "0" * 16, "a" * 3000, "%ff",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["raw", "silhouette", "thumb", "overlay", "nothing", "."])
@pytest.mark.parametrize("key", KEYS)
def test_nothing_but_a_key_of_the_store_reaches_a_file(
    ann: Annotator, server: Server, kind: str, key: str
) -> None:
    line = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=120)
    cookie = ann.client.cookies["vigil_session"]
    line.request("GET", f"/media/{kind}/{key}", headers={"Cookie": f"vigil_session={cookie}"})
    answer = line.getresponse()
    said = answer.read()
    line.close()
    assert answer.status in {400, 404}
    assert b"root:" not in said
    assert b"classes:" not in said


@pytest.mark.parametrize("name", ["../x.mp4", "a/b.mp4", "/etc/passwd", ".hidden", "a\0.mp4", ""])
def test_a_name_that_leads_out_of_its_folder_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        inside(tmp_path, name)


@pytest.fixture
def without(team: Project) -> Iterator[Path]:
    """The proxy of a video, away for the length of a test."""
    path = team.paths.proxies / "v1.mp4"
    away = path.with_suffix(".away")
    path.rename(away)
    yield path
    away.rename(path)


def test_a_missing_file_is_told_and_shown(ann: Annotator, without: Path) -> None:
    clips = ann.clips(1)
    assert all(clip["gone"] for clip in clips)
    assert not any(clip["gone"] for clip in ann.clips(0))
    answer = ann.client.get(clips[0]["media"]["raw"])
    assert answer.status_code == 404
    assert answer.json() == {"error": "v1: expected its raw file, got none"}
    without.mkdir()
    assert ann.client.get(clips[0]["media"]["raw"]).status_code == 404
    without.rmdir()


def test_an_overlay_holds_the_clip_s_people_and_no_others(ann: Annotator) -> None:
    clip = ann.clips()[1]
    answer = ann.client.get(clip["media"]["overlay"])
    found = answer.json()
    assert (found["width"], found["height"]) == (512, 96)
    times = [frame["t"] for frame in found["frames"]]
    assert times == sorted(times)
    assert len(times) == 24
    assert clip["start_s"] <= times[0] <= times[-1] < clip["end_s"]
    first, second = found["frames"][0]["persons"]
    assert (first["track_id"], first["xyxy"]) == (1, [10.0, 10.0, 40.0, 80.0])
    assert len(first["keypoints"]) == 17
    assert first["keypoints"][1] == [2.0, 3.0, 1.0]
    assert first["keypoints"][4] == [None, None, 0]
    assert second["keypoints"] == []
    etag = {"If-None-Match": answer.headers["etag"]}
    assert ann.client.get(clip["media"]["overlay"], headers=etag).status_code == 304


def test_an_overlay_follows_its_files_and_few_stay_in_memory(tmp_path: Path) -> None:
    project = make(tmp_path, people=False, videos=1)
    overlays, clip = Overlays(project.paths), project.clips[0]
    first, tag = overlays.packed(clip)
    assert json.loads(gzip.decompress(first))["frames"]
    skeletons = project.paths.skeletons / "v0.parquet"
    skeletons.unlink()
    assert overlays.packed(clip)[1] != tag
    assert persons(clip, project.paths) == {1, 2}
    (project.paths.tracks / "v0.parquet").unlink()
    assert persons(clip, project.paths) == frozenset()
    with pytest.raises(NotFound, match="tracks"):
        overlays.packed(clip)


def test_a_long_video_is_sent_in_constant_memory(
    ann: Annotator, team: Project, server: Server
) -> None:
    path = team.paths.masked / "v0.mp4"
    before, process = path.read_bytes(), psutil.Process(server.process.pid)
    silhouette = ann.clips()[0]["media"]["silhouette"]
    with path.open("r+b") as file:
        file.truncate(200 << 20)
    try:
        resident = most = process.memory_info().rss
        received = 0
        with ann.client.stream("GET", silhouette) as stream:
            for chunk in stream.iter_raw(1 << 20):
                received += len(chunk)
                most = max(most, process.memory_info().rss)
        assert received == 200 << 20
        assert most - resident < 30 << 20
    finally:
        path.write_bytes(before)
