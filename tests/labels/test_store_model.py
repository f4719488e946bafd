"""Whatever people do in whatever order, the store says what a few lines of Python say."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.labels.stores import clips, draft, filled, open_sqlite
from vigil.labels.votes import Draft, Kind

PEOPLE = ["kim", "이"]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (much syncing)
LABELS = ["a", "b", "<script>", "🥊"]
CLIPS = [clip.clip_id for clip in clips(3)]


class Said:
    """A decision as the model has it."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.label = draft.label


class StoreMachine(RuleBasedStateMachine):
    """Casts, repeats, undoes, redoes and renames on a real store and on a model of lists."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.store = open_sqlite(self.folder)
        filled(self.store, clips(3))
        self.said: list[Said] = []
        self.done: dict[str, list[list[Said]]] = {name: [] for name in PEOPLE}
        self.undone: dict[str, list[list[Said]]] = {name: [] for name in PEOPLE}
        self.sent: list[list[Draft]] = []
        self.rows = 0

    def teardown(self) -> None:
        assert self.store.check() == []
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(
        by=st.sampled_from(PEOPLE),
        of=st.lists(st.sampled_from(CLIPS), min_size=1, max_size=3, unique=True),
        label=st.sampled_from(LABELS),
        decides=st.booleans(),
    )
    def cast(self, by: str, of: list[str], label: str, decides: bool) -> None:
        kind = Kind.ADJUDICATE if decides else Kind.LABEL
        drafts = [draft(clip, label, by=by, kind=kind) for clip in of]
        assert [vote.clip_id for vote in self.store.cast(drafts)] == of
        action = [Said(one) for one in drafts]
        self.said += action
        self.done[by].append(action)
        self.undone[by].clear()
        self.sent.append(drafts)
        self.rows += len(drafts)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.store.cast(data.draw(st.sampled_from(self.sent)))

    @rule(by=st.sampled_from(PEOPLE))
    def undo(self, by: str) -> None:
        self._move(by, self.done[by], self.undone[by], self.store.undo(by, f"u{self.rows}"))

    @rule(by=st.sampled_from(PEOPLE))
    def redo(self, by: str) -> None:
        self._move(by, self.undone[by], self.done[by], self.store.redo(by, f"r{self.rows}"))

    def _move(self, by: str, start: list, end: list, votes: list) -> None:
        action = start.pop() if start else []
        if action:
            end.append(action)
        assert {vote.clip_id for vote in votes} == {one.draft.clip_id for one in action}
        self.rows += len(votes)

    @rule(old=st.sampled_from(LABELS), new=st.sampled_from(LABELS))
    def rename(self, old: str, new: str) -> None:
        if old != new:
            self.store.rename({old: new}, "boss")
            for one in self.said:
                one.label = new if one.label == old else one.label

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = open_sqlite(self.folder)

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        live = {id(one) for name in PEOPLE for action in self.done[name] for one in action}
        stand = {}
        for one in self.said:
            if id(one) in live:
                who = (one.draft.clip_id, one.draft.annotator, one.draft.kind)
                stand[who] = (one.draft.token, one.label)
        found = {
            (vote.clip_id, vote.annotator, vote.kind): (vote.token, vote.label)
            for vote in self.store.votes(standing=True)
        }
        assert found == stand
        assert len(self.store.votes()) == self.rows


StoreMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStoreMachine = pytest.mark.slow(StoreMachine.TestCase)
