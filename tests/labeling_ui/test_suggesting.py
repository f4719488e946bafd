"""What systems say of clips: read anew when it changes, and what the queue goes by."""

from __future__ import annotations

from pathlib import Path

from labeling_ui.suggesting import Ranker, Suggester
from tests.labeling_ui.projects import CLASSES, make
from vigil.labels.project import open_store, sync
from vigil.labels.votes import Draft, Kind
from vigil.schema import Suggestion, write_suggestions


def test_suggestions_are_read_anew_when_their_file_changes(tmp_path: Path) -> None:
    project = make(tmp_path, people=False, videos=1)
    suggester, clip_id = Suggester(project.paths, project.config), project.clips[0].clip_id
    first = suggester.suggest(clip_id, "zero_shot_box")
    assert first is not None
    assert first.label == CLASSES[1]
    one = Suggestion(clip_id, "zero_shot_box", (0.9, 0.1, 0.0, 0.0, 0.0))
    write_suggestions(project.paths.suggestions, [one], CLASSES)
    second = suggester.suggest(clip_id, "zero_shot_box")
    assert second is not None
    assert second.label == CLASSES[0]
    assert suggester.suggest(clip_id, "no such system") is None
    project.paths.suggestions.write_text("damaged", "utf-8")
    assert suggester.suggest(clip_id, "zero_shot_box") is None, "people can label without"
    project.paths.suggestions.unlink()
    assert suggester.suggest(clip_id, "zero_shot_box") is None


def test_the_queue_goes_by_what_is_suspected_and_ranks_once_a_minute(tmp_path: Path) -> None:
    project = make(tmp_path, people=False, videos=2)
    worst = project.clips[7].clip_id
    odd, usual = (0.1, 0.9, 0.0, 0.0, 0.0), (0.9, 0.1, 0.0, 0.0, 0.0)
    said = [
        Suggestion(clip.clip_id, "zero_shot_box", odd if clip.clip_id == worst else usual)
        for clip in project.clips
    ]
    write_suggestions(project.paths.suggestions, said, CLASSES)
    store, now = open_store(project.config, project.paths), [0.0]
    sync(store, project.paths)
    suggester = Suggester(project.paths, project.config)
    ranker = Ranker(store, suggester, project.paths, project.config, lambda: now[0])
    scores = ranker.scores("suspicion")
    assert max(scores, key=scores.__getitem__) == worst
    assert ranker.scores("chance") == {}
    store.cast([Draft("token-12345", worst, "ann", Kind.LABEL, CLASSES[0])])
    assert ranker.scores("suspicion") is scores
    now[0] = 61
    assert worst not in ranker.scores("suspicion")
    store.close()
