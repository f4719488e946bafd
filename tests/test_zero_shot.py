"""CLIP asked in words judges frames, persons and pairs, and suggests labels for clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.embeddings import CLIP, DIM, FRAME, Who, embeddings
from vigil.errors import InputError, ModelError
from vigil.schema import Clip
from vigil.zero_shot import ZeroShot, ask, looks, moments, suggest

PROMPTS = {"normal": ("walking",), "assault": ("fighting", "kicking"), "faint": ("lying",)}
WORDS = ["walking", "fighting", "kicking", "lying"]
SCALE = 20.0
ONE: Who = (1, -1)
TWO: Who = (2, -1)
BOTH: Who = (1, 2)


def encode(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Look at the class that a word means; `kicking` leans to another axis and is 3 long."""
    table = np.eye(DIM, dtype=np.float32)[[0, 1, 1, 2]]
    table[2, 6] = 1.0
    table[2] *= 3
    return table[[WORDS.index(word) for word in sentences]]


def asked() -> ZeroShot:
    return ask(PROMPTS, encode, SCALE, "normal", CLIP)


def clip(start: float = 0.0, end: float = 4.0, video: str = "v") -> Clip:
    return Clip(f"{video}@0-4000", video, start, end, int(start * 12), int(end * 12), 1)


def test_a_class_is_the_mean_of_its_prompts_directions_of_length_one() -> None:
    found = asked()
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)
    fighting, kicking = np.eye(DIM)[1], (np.eye(DIM)[1] + np.eye(DIM)[6]) / np.sqrt(2)
    mean = (fighting + kicking) / 2
    np.testing.assert_allclose(found.vectors[1], mean / np.linalg.norm(mean), atol=1e-6)


def test_probabilities_are_the_softmax_of_similarity_at_clips_scale() -> None:
    table = embeddings([{FRAME: 0, ONE: 1}])
    vectors = asked().vectors
    logits = SCALE * table.embedding.astype(np.float64) @ vectors.T
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(asked().judge(table), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("view", "tracks"),
    [("frame", [FRAME]), ("box", [ONE, TWO]), ("pair", [ONE, BOTH, TWO])],
)
def test_a_view_looks_at_its_own_rows(view: str, tracks: list[Who]) -> None:
    table = embeddings([{FRAME: 0, ONE: 0, TWO: 0, BOTH: 1}])
    seen = looks(table, view)  # type: ignore[arg-type]
    rows = zip(table.track_id[seen].tolist(), table.other_id[seen].tolist(), strict=True)
    assert list(rows) == tracks


def test_a_frame_is_as_abnormal_as_its_most_abnormal_person() -> None:
    table = embeddings([{FRAME: 0, ONE: 0, TWO: 2}, {FRAME: 0}, {FRAME: 1, ONE: 0}])
    found = moments(table, asked().judge(table), "box", 0)
    assert found.time_s.tolist() == [0.0, 0.25, 0.5]
    assert found.judged[0].argmax() == 2
    assert np.isnan(found.judged[1]).all(), "nobody is there: the score is not 0 but unknown"
    assert found.judged[2].argmax() == 0
    assert found.fallback.argmax(1).tolist() == [0, 0, 1]


def test_pairs_show_what_single_persons_do_not() -> None:
    table = embeddings([{FRAME: 0, ONE: 0, TWO: 0, BOTH: 1}])
    said = asked().judge(table)
    assert moments(table, said, "box", 0).judged[0].argmax() == 0
    assert moments(table, said, "pair", 0).judged[0].argmax() == 1


def test_a_person_seen_once_is_judged_once() -> None:
    table = embeddings([{FRAME: 0}, {FRAME: 0, ONE: 1}, {FRAME: 0}])
    judged = moments(table, asked().judge(table), "box", 0).judged
    assert np.isfinite(judged[:, 0]).tolist() == [False, True, False]


def test_a_short_event_decides_the_suggestion_for_a_clip() -> None:
    table = embeddings([{FRAME: 0, ONE: 0}] * 12 + [{FRAME: 0, ONE: 1}] * 4)
    assert suggest(clip(), table, asked(), "box", 0.25).argmax() == 1
    assert suggest(clip(), table, asked(), "box", 1.0).argmax() == 0
    assert suggest(clip(end=3.0), table, asked(), "box", 0.25).argmax() == 0


def test_a_clip_without_anybody_is_suggested_by_the_whole_frame() -> None:
    table = embeddings([{FRAME: 1}] * 16)
    found = suggest(clip(), table, asked(), "box", 0.25)
    assert found.argmax() == 1
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_suggestions_for_another_video_or_an_unseen_window_are_one_clear_line() -> None:
    table = embeddings([{FRAME: 0}] * 4)
    with pytest.raises(InputError, match="zero_shot: w@0-4000: expected embeddings of its video"):
        suggest(clip(video="w"), table, asked(), "box", 0.25)
    with pytest.raises(InputError, match="expected embeddings within it, got none"):
        suggest(clip(2.0, 3.0), table, asked(), "box", 0.25)


def test_a_video_without_whole_frames_is_one_clear_line() -> None:
    table = embeddings([{ONE: 0}])
    with pytest.raises(InputError, match="zero_shot: v: expected embeddings of whole frames"):
        moments(table, asked().judge(table), "box", 0)


def test_embeddings_of_another_clip_are_refused() -> None:
    with pytest.raises(ModelError, match="expected embeddings of test/clip with 8 values, got x"):
        asked().judge(embeddings([{FRAME: 0}], clip="x"))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(ModelError, match="expected a logit scale above 0"):
        ask(PROMPTS, encode, scale, "normal", CLIP)


def test_vectors_without_a_direction_are_refused() -> None:
    with pytest.raises(ModelError, match="expected vectors of finite length"):
        ask(PROMPTS, lambda words: np.zeros((len(words), DIM), np.float32), 1.0, "normal", CLIP)
