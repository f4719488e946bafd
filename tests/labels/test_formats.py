"""What is exported comes back the same, as far as the format can hold it."""

from __future__ import annotations

import contextlib
import csv
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.footage import CLASSES, PEOPLE, VIDEOS, footage, timeline
from vigil.errors import InputError
from vigil.labels.formats import FORMATS, OPTIONAL
from vigil.labels.formats.reading import safe, unsafe
from vigil.labels.formats.records import Record
from vigil.labels.votes import Kind

FOOTAGE = footage()
CLIPS = list(FOOTAGE.clips.values())
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"),
                              exclude_characters="\ufffe\uffff"), max_size=12)  # fmt: skip
NAMES = st.sampled_from(["kim", "", "=lee", "-이", "'+", "a,b", 'q"', "<b>"]) | PLAIN
TIMES = st.sampled_from(["", "2026-01-02T03:04:05+09:00"])


@st.composite
def records(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> list[Record]:
    """Draw at most one judgment of a clip."""
    chosen = draw(st.lists(st.sampled_from(CLIPS), min_size=1, max_size=6, unique=True))
    found = []
    for clip in chosen:
        kind = draw(st.sampled_from([k for k in Kind if k is not Kind.RETRACT]))
        unlabeled = kind is Kind.SKIP or (kind is Kind.UNSURE and draw(st.booleans()))
        ends = sorted(draw(st.lists(st.integers(0, 4000), min_size=2, max_size=2, unique=True)))
        span = tuple(clip.start_s + end / 1000 for end in ends) if draw(st.booleans()) else None
        near = [who for who in PEOPLE if who != PEOPLE[-1] or clip.start_s < 5]
        found.append(
            Record(
                clip,
                None if unlabeled else draw(st.sampled_from(CLASSES)),
                kind,
                draw(names),
                draw(names) if kind is Kind.SKIP else "",
                span and span[0],
                span and span[1],
                tuple(sorted(draw(st.sets(st.sampled_from(near))))),
                draw(TIMES),
            )
        )
    return found


def order(found: list[Record]) -> list[Record]:
    return sorted(found, key=lambda one: one.clip.clip_id)


@pytest.mark.parametrize("name", sorted(FORMATS))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_export_then_import_gives_what_the_format_holds(name: str, data: st.DataObject) -> None:
    form = FORMATS[name]
    written = data.draw(records())
    held = [kept for one in written if (kept := form.held(one)) is not None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels"
        if not held:
            with pytest.raises(InputError, match="expected judgments that"):
                form.export(path, written, FOOTAGE)
            return
        assert form.export(path, written, FOOTAGE) == len(held)
        assert order(form.read(path, FOOTAGE)) == order(held)


@given(st.text())
def test_a_cell_made_safe_comes_back(text: str) -> None:
    assert unsafe(safe(text)) == text
    assert safe(text)[:1] not in set("=+-@\t\r\n＝＋－＠")


@given(names=st.text(st.characters(codec="utf-8"), max_size=20))
def test_our_csv_holds_any_text(names: str) -> None:
    one = Record(CLIPS[0], None, Kind.SKIP, names, names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        FORMATS["csv"].export(path, [one], FOOTAGE)
        assert FORMATS["csv"].read(path, FOOTAGE) == [one]


def test_a_spreadsheet_runs_nothing_and_reads_hangul(tmp_path: Path) -> None:
    one = Record(CLIPS[0], CLASSES[2], annotator="@SUM(A1)", reason="\t=1")
    FORMATS["csv"].export(tmp_path / "x.csv", [one], FOOTAGE)
    raw = (tmp_path / "x.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    for row in csv.reader(raw.decode("utf-8-sig").splitlines()):
        assert not [cell for cell in row if cell[:1] in "=+-@\t\r" and cell]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_sheet_saved_with_other_delimiters_is_read(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "x.csv").write_text(
        f'clip_id{delimiter}label\n"{CLIPS[0].clip_id}"{delimiter}normal\n', "utf-8"
    )
    assert FORMATS["csv"].read(tmp_path / "x.csv", FOOTAGE) == [Record(CLIPS[0], "normal")]


def test_seconds_and_frames_agree_at_variable_frame_rates() -> None:
    for video in VIDEOS:
        time_s = timeline(video).time_s
        for frame in range(len(time_s)):
            start_s, end_s = (FOOTAGE.seconds(video, f, "") for f in (frame, frame + 1))
            assert FOOTAGE.frames(video, start_s, end_s) == (frame, frame + 1)
        for clip in FOOTAGE.videos[video]:
            assert FOOTAGE.frames(video, clip.start_s, clip.end_s) == (
                clip.start_frame,
                clip.end_frame,
            )
    uneven = timeline(VIDEOS[1]).time_s
    assert np.ptp(np.diff(uneven)) > 0.05, "the second video's frame rate varies"


def test_the_table_of_what_is_lost_is_true() -> None:
    text = (Path(__file__).parents[2] / "docs/labeling-formats.md").read_text("utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    header, *body = [[cell.strip() for cell in row] for row in rows]
    assert header[1:7] == list(OPTIONAL)
    told = {row[0].strip("`"): row[1:7] for row in body if row[0].strip("`") in FORMATS}
    for name, form in FORMATS.items():
        kept = [what for what, cell in zip(OPTIONAL, told[name], strict=True) if cell == "yes"]
        assert set(kept) == form.holds, name


def written(tmp_path: Path, text: str, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


CVAT = "<annotations><meta><source>{source}</source></meta>{body}</annotations>"
TRACK = (
    '<track id="0" label="normal"><box frame="{first}" outside="0" xtl="{x}" ytl="60" '
    'xbr="{right}" ybr="220"/><box frame="{after}" outside="1" xtl="0" ytl="0" xbr="1" ybr="1"/>'
    "</track>"
)
HEAD = "Observation id,Subject,Behavior,Behavior type,"
NETBOX = {"version": "1.3", "database": {VIDEOS[0]: {"annotations": []}}}


def test_a_foreign_segment_goes_to_the_clips_that_it_covers_by_half(tmp_path: Path) -> None:
    base = {"segment": [2.0, 6.0], "label": "normal"}
    file = written(tmp_path, json.dumps({"database": {VIDEOS[0]: {"annotations": [base]}}}))
    found = FORMATS["activitynet"].read(file, FOOTAGE)
    assert [one.clip.start_s for one in found] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found[2] == Record(FOOTAGE.clips[f"{VIDEOS[0]}@2000-6000"], "normal")
    assert (found[0].start_s, found[0].end_s) == (2.0, 4.0)


def test_foreign_cvat_tracks_find_their_clips_and_persons(tmp_path: Path) -> None:
    """Frames 50 to 100 of the first video are its seconds 4 to 8."""
    body = TRACK.format(first=50, after=100, x=80 * 2 + 50, right=80 * 2 + 90)
    file = written(tmp_path, CVAT.format(source=f"videos/{VIDEOS[0]}.mp4", body=body))
    found = FORMATS["cvat"].read(file, FOOTAGE)
    whole = [one for one in found if one.start_s is None]
    assert [(one.clip.start_s, one.track_ids) for one in whole] == [(4.0, (2,))]


def test_tags_of_cvat_frames_become_segments(tmp_path: Path) -> None:
    images = "".join(
        f'<image id="{frame}" name="f"><tag label="normal"/></image>' for frame in range(25, 75)
    )
    file = written(tmp_path, CVAT.format(source=VIDEOS[0], body=images))
    assert [one.clip.start_s for one in FORMATS["cvat"].read(file, FOOTAGE) if not one.start_s] == [
        2.0
    ]


def test_tabular_boris_events_are_paired(tmp_path: Path) -> None:
    rows = f"{HEAD}Time,Media file name\n" + "".join(
        f'x,"No focal subject",normal,{kind},{time},{VIDEOS[0]}.mp4\n'
        for kind, time in (("START", 1.0), ("STOP", 5.0))
    )
    found = FORMATS["boris"].read(written(tmp_path, rows), FOOTAGE)
    assert [one.clip.start_s for one in found if one.start_s is None] == [1.0]


def test_boris_image_indices_stand_in_for_seconds(tmp_path: Path) -> None:
    head = f"{HEAD}Start (s),Stop (s),Image index start,Image index stop,Media file name\n"
    rows = f"{head}x,7,normal,STATE,NA,NA,25,74,{VIDEOS[0]}\n"
    found = FORMATS["boris"].read(written(tmp_path, rows), FOOTAGE)
    assert [one.clip.start_s for one in found if one.start_s is None] == [2.0]
    assert {one.track_ids for one in found} == {(7,)}


BAD: list[tuple[str, str, str]] = [
    ("csv", "", "expected the columns"),
    ("csv", "clip_id,label\nnowhere@0-1,normal\n", r"line 2: expected a clip"),
    ("csv", f'clip_id,label\n"{CLIPS[0].clip_id}",odd\n', r"line 2: expected one of .*'odd'"),
    ("csv", f'clip_id,label,kind\n"{CLIPS[0].clip_id}",normal,retract\n', "expected a kind"),
    ("csv", 'clip_id,label\n"open', "expected CSV"),
    ("csv", "clip_id,label\na,b,c\n", "line 2: expected 2 cells, got 3"),
    ("mmaction2", "a b c d e\n", "line 1: expected 2 to 4 columns"),
    ("mmaction2", "\nnowhere.mp4 0\n", "line 2: expected a clip"),
    ("mmaction2", f"{CLIPS[4].clip_id.replace(' ', '%20')}.mp4 6\n", "expected a class from 0 to"),
    ("ava", "x,1,0,0,1,1,1,1\n", "line 1: expected a video"),
    ("ava", f"{VIDEOS[0]},nan,0,0,1,1,1,1\n", "expected a number"),
    ("ava", f"{VIDEOS[0]},99,0,0,1,1,1,1\n", "expected a moment of a clip"),
    ("activitynet", "{\n  oops", "line 2: "),
    ("activitynet", "[" * 100_000, "too deep|expected|Invalid|recursion"),
    ("activitynet", '{"database": {"x": {"annotations": [{"label": "normal"}]}}}', "segment"),
    ("activitynet", json.dumps({"database": {VIDEOS[0]: {"annotations": [
        {"segment": [3, 2], "label": "normal"}]}}}), "expected 0 <= start < end"),
    ("boris", f"{HEAD}Time\n{VIDEOS[0]},1,normal,STOP,1\n", "expected a START"),
    ("boris", f"{HEAD}Time\n{VIDEOS[0]},1,normal,START,1\n", "expected a STOP"),
    ("cvat", "<annotations>\n<track>", "line 2: expected XML"),
    ("cvat", "<html/>", "expected <annotations>"),
    ("cvat", CVAT.format(source="none", body=TRACK.format(first=0, after=9, x=0, right=9)),
     "expected a video"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        FORMATS[name].read(written(tmp_path, text), FOOTAGE)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_no_file_gets_in_through_xml(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret", "secret")
    doctype = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    bombs = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]>'
    for head in (doctype, bombs):
        body = "<annotations><meta><source>&x;</source></meta></annotations>"
        with pytest.raises(InputError, match="line 1: expected XML without a document type"):
            FORMATS["cvat"].read(written(tmp_path, head + body), FOOTAGE)


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.labels.formats.reading.MAX_BYTES", 10)
    with pytest.raises(InputError, match="expected at most 10 bytes, got 13"):
        FORMATS["csv"].read(written(tmp_path, "clip_id,label"), FOOTAGE)


def test_text_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    one = replace(Record(CLIPS[0], "normal"), annotator="a\x08b")
    with pytest.raises(InputError, match="without control characters"):
        FORMATS["cvat"].export(tmp_path / "x", [one], FOOTAGE)


Reader = Callable[[Path], list[Record]]


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), junk=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(junk)
        with contextlib.suppress(InputError):
            FORMATS[name].read(path, FOOTAGE)
