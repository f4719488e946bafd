"""What the demo's CLIP learns from: crops whose words follow the scene's script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vigil.demo import captions
from vigil.demo.captions import ACTIONS, KINDS, LABELS
from vigil.demo.clip_data import SIZE, look, make_crops, make_rows
from vigil.demo.doings import observe, shown, together
from vigil.demo.images import scene_seeds
from vigil.demo.world.scenes import Scene, make_scene

SEED = scene_seeds("train", 2, 1)[0]


def scene(behavior: str) -> Scene:
    return make_scene(SEED, behavior, size=(320, 180), duration_s=9.0)


def test_before_a_faint_a_person_is_normal_and_after_it_lies() -> None:
    film = scene("collapse_forward")
    (event,) = [event for event in film.events if event.label == "faint"]
    fallen = film.actors[event.person_ids[0] - 1]
    late = observe(film, fallen, event.end_s - 0.2)
    assert late is not None
    assert (LABELS[late.label], ACTIONS[late.action]) == ("faint", "lie")
    early = observe(film, fallen, max(event.start_s - 0.3, 0.0))
    assert early is None or LABELS[early.label] == "normal"


def test_of_a_fight_one_strikes_and_one_is_struck() -> None:
    film = scene("punch")
    (event,) = [event for event in film.events if event.label == "assault"]
    middle = (event.start_s + event.end_s) / 2
    one, two = (observe(film, film.actors[who - 1], middle) for who in event.person_ids)
    assert one is not None
    assert two is not None
    assert (ACTIONS[one.action], ACTIONS[two.action]) == ("punch", "victim")
    assert {LABELS[one.label], LABELS[two.label]} == {"assault"}


def test_people_who_talk_are_normal() -> None:
    film = scene("talk")
    (event,) = [event for event in film.events if event.behavior == "talk"]
    found = observe(film, film.actors[0], (event.start_s + event.end_s) / 2)
    assert found is not None
    assert (LABELS[found.label], ACTIONS[found.action]) == ("normal", "talk")


def test_of_a_pair_the_event_decides_and_not_who_stands_by() -> None:
    film = scene("punch")
    (event,) = [event for event in film.events if event.label == "assault"]
    middle = (event.start_s + event.end_s) / 2
    one, two = event.person_ids
    done = [observe(film, film.actors[who - 1], middle) for who in (one, two)]
    found = together(film, (one, two), (done[0], done[1]), middle)
    assert found is not None
    assert ACTIONS[found.action] == "punch"
    assert together(film, (one, two), (done[0], None), middle) is None
    assert LABELS[shown(film, [one, 99], middle)] == LABELS[shown(film, [], middle)] == "assault"
    assert LABELS[shown(film, [99], middle)] == "normal"
    assert LABELS[shown(film, [one], event.start_s - 0.1)] == "normal"


@pytest.mark.slow
def test_looks_every_fifth_of_a_second_are_that_far_apart() -> None:
    rows = make_rows(SEED, 0.2)
    times = np.unique([row["time_s"] for row in rows])
    np.testing.assert_allclose(np.diff(times), 0.2, atol=1 / 12)
    assert abs(len(times) / (times.max() - times.min()) - 5) < 0.3


def test_a_frame_gives_persons_and_the_whole_frame() -> None:
    film = scene("talk")
    rows = look(film, film.n_frames // 2, np.random.default_rng(0))
    kinds = [KINDS[row["kind"]] for row in rows]
    assert kinds.count("frame") == 1
    assert "person" in kinds
    people = [row for row in rows if KINDS[row["kind"]] == "person"]
    assert any(row["visible"][0].sum() > 8 for row in people)
    assert not any(row["visible"][1].any() for row in people)
    assert all(row["crops"].shape == (SIZE, SIZE, 3) for row in rows)


def test_crops_come_back_from_the_file_and_again_the_same(tmp_path: Path) -> None:
    tables = []
    for name in ("a", "b"):
        path = make_crops(tmp_path / name, 1, 2, "train", workers=1)
        with np.load(path, allow_pickle=False) as found:
            tables.append({key: found[key] for key in found.files})
    one, two = tables
    assert len({len(column) for column in one.values()}) == 1
    for key, column in one.items():
        np.testing.assert_array_equal(column, two[key])


@pytest.mark.parametrize("kind", range(len(KINDS)))
@pytest.mark.parametrize("action", range(len(ACTIONS)))
def test_every_action_has_words_for_every_kind_of_crop(kind: int, action: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert "{" not in captions.action_caption(kind, action, rng)
        assert len(captions.full_caption(kind, action, (0, 1), False, rng)) > 5


def test_colors_are_named_by_day_only() -> None:
    rng = np.random.default_rng(0)
    walk = ACTIONS.index("walk")
    red = list(captions.COLORS).index("red")
    said = [captions.full_caption(0, walk, (red, -1), night, rng)
            for night in (False, True) for _ in range(40)]  # fmt: skip
    assert any("red" in text for text in said[:40])
    assert not any("red shirt" in text for text in said[40:])


def test_every_class_has_prompts_of_its_own() -> None:
    for kind in KINDS:
        found = captions.prompts(kind)
        assert list(found) == list(LABELS)
        texts = [text for options in found.values() for text in options]
        assert len(set(texts)) == len(texts)
