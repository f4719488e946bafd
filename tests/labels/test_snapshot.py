"""What is published of votes, and where it may be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.labels.ballots import vote
from tests.labels.stores import clips, draft, filled
from vigil.config import Config, load
from vigil.errors import InputError
from vigil.labels.consensus import State, settle
from vigil.labels.detail import Detail, detail, events_of
from vigil.labels.migrating import head
from vigil.labels.project import open_store
from vigil.labels.publishing import Published, publish
from vigil.labels.snapshot import Snapshot, snapshot
from vigil.labels.store import LabelStore
from vigil.labels.votes import Kind, Vote
from vigil.paths import Paths
from vigil.schema import Clip, Event, Label, read_events, read_labels, write_labels

CLASSES = ("normal", "assault", "faint")
CLIPS = clips(4)
IDS = [clip.clip_id for clip in CLIPS]


def made(votes: list[Vote], of: list[Clip] = CLIPS, keep_stale: bool = False) -> Snapshot:
    return snapshot(votes, of, CLASSES, "normal", "majority", 1, keep_stale)


def test_a_row_says_who_agreed_and_when() -> None:
    votes = [vote(IDS[0], "lee", "faint"), vote(IDS[0], "kim", "faint"),
             vote(IDS[0], "odd", "normal"), vote(IDS[1], "kim", "faint"),
             vote(IDS[1], "lee", "normal")]  # fmt: skip
    found = made(votes)
    assert found.labels == (Label(IDS[0], "faint", "kim+lee", votes[1].voted_at),)
    assert (found.states[State.AGREED], found.states[State.DISPUTED]) == (1, 1)
    assert found.classes == {"normal": 0, "assault": 0, "faint": 1}


def test_stale_and_gone_clips_are_left_out_and_counted() -> None:
    votes = [vote(IDS[0], "kim", "faint", stale=True), vote("gone@0-1", "kim", "faint"),
             vote(IDS[1], "kim", "normal")]  # fmt: skip
    found = made(votes)
    assert [row.clip_id for row in found.labels] == [IDS[1]]
    assert (found.stale, found.gone) == (1, 1)
    assert len(made(votes, keep_stale=True).labels) == 2


def test_a_label_that_is_no_class_stops_it() -> None:
    with pytest.raises(InputError, match=r"expected normal, assault, faint, got 'theft'; `rename`"):
        made([vote(IDS[0], "kim", "theft")])


def test_times_are_medians_and_persons_those_of_half() -> None:
    votes = [vote("c", "a", "faint", start_s=1.0, end_s=3.0, track_ids=(1, 2)),
             vote("c", "b", "faint", start_s=2.0, end_s=3.5, track_ids=(2,)),
             vote("c", "d", "faint", start_s=1.2, track_ids=(3, 2)),
             vote("c", "e", "normal", start_s=0.0, end_s=0.1, track_ids=(9,))]  # fmt: skip
    assert detail(settle(votes, "majority", 1)["c"]) == Detail("faint", 1.2, 3.25, (2,))


def window(start_s: float, label: str, *told: Any) -> tuple[Clip, Detail]:
    clip = Clip(f"v@{start_s}", "v", start_s, start_s + 4, 0, 1, 1)
    return clip, Detail(label, *(told or (None, None, ())))


def test_one_event_told_in_overlapping_windows_is_one_again() -> None:
    judged = [window(0, "faint", 2.0, 4.0, (1,)), window(1, "faint", 2.5, 4.9, (1, 2)),
              window(6, "faint", 7.0, 8.0, (1,))]  # fmt: skip
    assert events_of(judged, "normal") == [
        Event("v", "faint", 2.0, 4.9, (1, 2)), Event("v", "faint", 7.0, 8.0, (1,))
    ]  # fmt: skip


def test_two_assaults_by_others_at_one_time_stay_two() -> None:
    judged = [window(0, "assault", 1.0, 3.0, (1, 2)), window(0, "assault", 2.0, 4.0, (5,))]
    assert len(events_of(judged, "normal")) == 2


def test_an_untold_event_is_its_window_without_the_normal_ones() -> None:
    judged = [window(0, "normal"), window(1, "faint"), window(2, "faint")]
    assert events_of(judged, "normal") == [Event("v", "faint", 4.0, 6.0)]
    told = [*judged, window(3, "faint", 4.5, 5.5, ())]
    assert events_of(told, "normal") == [Event("v", "faint", 4.5, 5.5)], "the told one explains it"
    covered = [window(0, "normal"), window(2, "normal"), window(1, "faint")]
    assert events_of(covered, "normal") == [Event("v", "faint", 1.0, 5.0)]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(CLASSES), st.booleans()), max_size=8))
def test_every_event_clip_has_an_event_and_none_lies_outside(
    drawn: list[tuple[int, str, bool]],
) -> None:
    judged = [
        window(start, label, *((start + 1.0, start + 2.0, ()) if told else ()))
        for start, label, told in {d[0]: d for d in drawn}.values()
    ]
    events = events_of(judged, "normal")
    for clip, one in judged:
        if one.label != "normal":
            touching = [e for e in events if e.label == one.label and e.start_s < clip.end_s
                        and clip.start_s < e.end_s]  # fmt: skip
            assert touching
    bounds = [(clip.start_s, clip.end_s) for clip, one in judged if one.label != "normal"]
    for event in events:
        assert min(a for a, _ in bounds) <= event.start_s < event.end_s <= max(b for _, b in bounds)


# publishing


@pytest.fixture
def project(tmp_path: Path) -> Iterator[tuple[Config, Paths, LabelStore]]:
    """A project with a pipeline, four clips and a store with a vote."""
    root = Path(__file__).parents[2]
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    config, paths = load(tmp_path / "params.yaml")
    store = open_store(config, paths)
    filled(store, CLIPS)
    store.cast([draft(IDS[0], "faint", start_s=1.0, end_s=2.5, track_ids=(3,)),
                draft(IDS[1], "normal"), draft(IDS[2], None, kind=Kind.UNSURE)])  # fmt: skip
    yield config, paths, store
    store.close()


Project = tuple[Config, Paths, LabelStore]


def run(project: Project) -> Published:
    config, paths, store = project
    return publish(store, config, paths, "boss")


def test_the_same_votes_give_the_same_bytes(project: Project) -> None:
    first = run(project)
    bytes_ = first.path.read_bytes(), first.events.read_bytes()
    again = run(project)
    assert (again.path.read_bytes(), again.events.read_bytes()) == bytes_
    assert again.sha256 == first.sha256 == hashlib.sha256(bytes_[0]).hexdigest()
    assert [row.label for row in read_labels(first.path)] == ["faint", "normal"]
    assert read_events(first.events, CLASSES) == [Event("cam1", "faint", 1.0, 2.5, (3,))]
    told = json.loads(first.path.with_suffix(".json").read_text())
    assert told["labels"] == {"file": "labels.csv", "sha256": first.sha256, "rows": 2}
    assert told["events"]["sha256"] == hashlib.sha256(bytes_[1]).hexdigest()
    assert (told["consensus"], told["min_votes"], told["store_schema"]) == ("majority", 1, head())
    assert told["states"]["disputed"] == 1
    assert project[2].audit(1)[0].action == "publish"


def test_dvc_notices_when_only_a_time_was_told_anew(project: Project) -> None:
    """The pipeline watches the labels; whatever changes the events changes them as well."""
    before = run(project)
    project[2].cast([draft(IDS[0], "faint", start_s=1.5, end_s=2.5, track_ids=(3,))])
    after = run(project)
    assert read_events(after.events, CLASSES)[0].start_s == 1.5
    assert after.sha256 != before.sha256


def test_it_says_which_lines_of_the_parameters_to_change(project: Project) -> None:
    found = run(project)
    assert found.advice == ("labels: data/labels.csv", "events: data/labels.events.csv")
    config, paths, store = project
    values = yaml.safe_load((paths.root / "params.yaml").read_text("utf-8"))
    values["paths"] |= dict(line.split(": ") for line in found.advice)
    (paths.root / "params.yaml").write_text(yaml.safe_dump(values))
    config, paths = load(paths.root / "params.yaml")
    assert publish(store, config, paths, "boss").advice == ()


@pytest.mark.parametrize("place", ["data/demo/labels.csv", "data/dataset/labels.csv",
                                   "reports/protogcn/labels.csv"])  # fmt: skip
def test_it_never_writes_where_a_stage_does(project: Project, place: str) -> None:
    config, paths, store = project
    changed = config.labeling.model_copy(update={"publish": place})
    config = config.model_copy(update={"labeling": changed})
    with pytest.raises(InputError, match="expected a place that no stage writes, got an output of"):
        publish(store, config, paths, "boss")
    assert not (paths.root / place).exists()


def test_it_never_replaces_a_file_from_elsewhere(project: Project) -> None:
    target = project[1].root / "data/labels.csv"
    target.parent.mkdir(exist_ok=True)
    target.write_text("clip_id,label\nmine,normal\n")
    with pytest.raises(InputError, match="or one that publish wrote"):
        run(project)
    assert target.read_text() == "clip_id,label\nmine,normal\n"
    target.unlink()
    found = run(project)
    found.events.write_text("edited by hand")
    with pytest.raises(InputError, match=r"labels\.events\.csv: expected no file"):
        run(project)


def test_it_goes_on_after_it_was_stopped_halfway(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project)
    project[2].cast([draft(IDS[3], "assault")])
    with monkeypatch.context() as broken:
        broken.setattr("vigil.labels.publishing.write_labels", stopping_after(1))
        with pytest.raises(OSError, match="gone"):
            run(project)
    assert len(read_labels(run(project).path)) == 3


def stopping_after(whole: int) -> Any:
    left = iter(range(whole))

    def write(path: Path, labels: Any) -> None:
        if next(left, None) is None:
            raise OSError("gone")
        write_labels(path, labels)

    return write


def test_nothing_settled_publishes_nothing(tmp_path: Path, project: Project) -> None:
    config, paths, store = project
    for row in store.votes():
        store.undo("kim", f"undo{row.vote_id}")
    with pytest.raises(InputError, match="expected at least one settled clip"):
        publish(store, config, paths, "boss")
    assert not (paths.root / "data/labels.csv").exists()
