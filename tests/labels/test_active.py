"""Which clips are worth a label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.stores import clips
from vigil.config import Config, Spread, load
from vigil.errors import InputError
from vigil.labels.active import (
    Pool,
    choose,
    divergence,
    entropy,
    margin,
    score,
    suspicion,
    vote_entropy,
)
from vigil.labels.suggested import clip_vectors, merged, queue_scores, read_all
from vigil.paths import Paths
from vigil.schema import Embeddings, Suggestion, write_suggestions

SURE, TORN, FLAT = [1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]
SAID = np.array([SURE, TORN, FLAT])


def test_scores_of_predictions_that_can_be_worked_out_by_hand() -> None:
    assert entropy(SAID) == pytest.approx([0.0, np.log(2) / np.log(3), 1.0])
    assert margin(SAID) == pytest.approx([0.0, 1.0, 1.0])
    assert suspicion(SAID, 0) == pytest.approx([0.0, 0.5, 2 / 3])
    members = np.array([[SURE, SURE], [SURE, [0.0, 1.0, 0.0]]])
    assert vote_entropy(members) == pytest.approx([0.0, np.log(2) / np.log(3)])
    assert divergence(members) == pytest.approx([0.0, np.log(2)])
    both_torn = np.array([[TORN], [TORN]])
    assert divergence(both_torn) == pytest.approx([0.0]), "agreed doubt is no disagreement"


def test_chance_is_the_same_for_a_seed() -> None:
    first, again, other = (score("random", SAID[None], 0, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def picked(how: Spread, weight: float, count: int = 3, labeled: str = "") -> list[int]:
    """Choose among a, a, a, b, c, whose scores fall."""
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    vectors = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0.0, 0.0, 1.0]}

    def pool(names: str) -> Pool:
        return Pool(list(names), np.array([vectors[name] for name in names]).reshape(-1, 3))

    return choose(scores, pool("aaabc"), pool(labeled), count, how, weight).tolist()


def test_alike_clips_are_not_chosen_together() -> None:
    assert picked("none", 1.0) == [0, 1, 2]
    assert picked("video", 1.0) == [0, 3, 4]
    assert picked("video", 0.0) == [0, 1, 2]
    assert picked("video", 1.0, labeled="ab") == [4, 0, 3]
    assert sorted(picked("relevance", 0.9)) == [0, 3, 4]
    assert picked("relevance", 0.0) == [0, 1, 2]
    assert sorted(picked("k_center", 0.0)) == [0, 3, 4]
    assert picked("k_center", 0.0, labeled="a")[0] == 3, "the farthest from what is labeled"


def test_vectors_that_are_missing_are_named() -> None:
    with pytest.raises(InputError, match="expected vectors of the clips, got none"):
        choose(np.ones(2), Pool(["a", "b"]), Pool([]), 1, "k_center", 0.5)
    with pytest.raises(InputError, match="expected 3 clips, got 2"):
        choose(np.ones(3), Pool(["a", "b"]), Pool([]), 1, "none", 0.5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999), count=st.integers(0, 30), weight=st.floats(0, 1),
    how=st.sampled_from(["none", "video", "relevance", "k_center"]),
)  # fmt: skip
def test_each_clip_is_chosen_once(seed: int, count: int, weight: float, how: Spread) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 20))
    pool = Pool([str(name) for name in rng.integers(4, size=size)], rng.normal(size=(size, 3)))
    found = choose(rng.random(size), pool, Pool([]), count, how, weight).tolist()
    assert len(found) == len(set(found)) == min(count, size)


# suggestions


@pytest.fixture
def project(tmp_path: Path) -> tuple[Config, Paths]:
    (tmp_path / "params.yaml").write_bytes((Path(__file__).parents[2] / "params.yaml").read_bytes())
    return load(tmp_path / "params.yaml")


def test_both_files_of_suggestions_are_read_together(project: tuple[Config, Paths]) -> None:
    config, paths = project
    assert read_all(paths, config.classes) == {}
    of_stage = [Suggestion("c", "zero_shot_box", (0.2, 0.3, 0.5))]
    write_suggestions(paths.suggestions, of_stage, config.classes)
    write_suggestions(paths.prelabels, [replace(of_stage[0], system="protogcn")], config.classes)
    assert read_all(paths, config.classes)["c"] == {
        "zero_shot_box": (0.2, 0.3, 0.5), "protogcn": (0.2, 0.3, 0.5)
    }  # fmt: skip


def test_new_suggestions_replace_those_of_their_system_only() -> None:
    old = [Suggestion("c", "a", (1.0,)), Suggestion("c", "b", (0.5,))]
    new = [Suggestion("c", "b", (0.7,))]
    assert merged(old, new) == [old[0], new[0]]


def ranked(
    project: tuple[Config, Paths], order: Any, said: Any, labeled: Any = (), **more: Any
) -> list[str]:
    scores = queue_scores(order, said, CLIPS, labeled, project[0], **more)
    return sorted(scores, key=lambda name: -scores[name])


CLIPS = [*clips(3, "cam1"), *clips(1, "cam2")]
IDS = [clip.clip_id for clip in CLIPS]
WHO = "zero_shot_box"
DOUBTS = {name: {WHO: (p, 1 - p, 0.0)} for name, p in zip(IDS, (0.1, 0.5, 0.6, 0.9), strict=True)}


def test_the_queue_goes_by_its_order_and_from_video_to_video(project: tuple[Config, Paths]) -> None:
    assert ranked(project, "chance", DOUBTS) == []
    assert ranked(project, "suspicion", DOUBTS) == [IDS[0], IDS[3], IDS[1], IDS[2]]
    assert ranked(project, "uncertainty", DOUBTS)[0] == IDS[1]
    assert ranked(project, "suspicion", DOUBTS, {IDS[0]}) == [IDS[3], IDS[1], IDS[2]]


def test_clips_of_which_nothing_is_said_have_no_score(project: tuple[Config, Paths]) -> None:
    assert ranked(project, "suspicion", {IDS[2]: DOUBTS[IDS[2]]}) == [IDS[2]]


def test_disagreement_is_between_systems(project: tuple[Config, Paths]) -> None:
    alike = {WHO: (0.5, 0.5, 0.0), "protogcn": (0.5, 0.5, 0.0)}
    apart = {WHO: (1.0, 0.0, 0.0), "protogcn": (0.0, 1.0, 0.0)}
    assert ranked(project, "disagreement", {IDS[0]: alike, IDS[1]: apart})[0] == IDS[1]


def test_clips_have_the_mean_of_their_embeddings(project: tuple[Config, Paths]) -> None:
    _, paths = project
    frame = np.array([0, 10, 60], np.int32)
    flat = np.zeros(3, np.float32)
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float16)
    alone = np.full(3, -1, np.int32)
    table = Embeddings("cam1", 64, 36, "demo/clip", frame, frame / 12, alone, alone, flat, flat,
                       flat, flat, vectors)  # fmt: skip
    table.write(paths.embeddings / "cam1.parquet")
    found = clip_vectors(CLIPS, paths)
    assert found[IDS[0]].tolist() == [0.5, 0.5]
    assert found[IDS[1]].tolist() == [1.0, 0.0]
    assert set(found) == set(IDS[:2])
