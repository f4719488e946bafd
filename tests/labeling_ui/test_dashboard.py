"""What the dashboard may remember, and for how long."""

from __future__ import annotations

from pathlib import Path

from labeling_ui.views.dashboard import _key
from tests.labeling_ui.projects import CLASSES, make
from vigil.labels.project import open_store, sync
from vigil.labels.votes import Draft, Kind


def test_agreement_is_computed_anew_after_a_vote_a_gold_clip_and_a_rename(tmp_path: Path) -> None:
    project = make(tmp_path, people=False, videos=1)
    clip = project.clips[0].clip_id
    store = open_store(project.config, project.paths)
    sync(store, project.paths)
    keys = [_key(store.votes(), store.gold())]
    for change in (
        lambda: store.cast([Draft("token-12345", clip, "ann", Kind.LABEL, CLASSES[3])]),
        lambda: store.set_gold(project.clips[1].clip_id, CLASSES[1], "adam"),
        lambda: store.rename({CLASSES[3]: CLASSES[0]}, "adam"),
    ):
        change()
        keys.append(_key(store.votes(), store.gold()))
        assert keys[-1] == _key(store.votes(), store.gold())
    store.close()
    assert len(set(keys)) == len(keys)
