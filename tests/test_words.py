"""Prompts go through CLIP's text network; what does not fit is one clear line."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from vigil.errors import InputError, ModelError
from vigil.session import Array, TensorSpec
from vigil.words import ask_session

PROMPTS = {"normal": ("walking",), "assault": ("fighting", "kicking")}
LENGTH = 6


def tokenize(sentences: list[str]) -> np.ndarray:
    """Number words by their length; a sentence longer than five words is cut."""
    tokens = np.zeros((len(sentences), LENGTH), np.int64)
    for row, sentence in enumerate(sentences):
        numbers = [len(word) for word in sentence.split()][:LENGTH]
        tokens[row, : len(numbers)] = numbers
    return tokens


class Network:
    """A text network whose vector points to the axis of the first token."""

    def __init__(self, **metadata: str) -> None:
        self.metadata = metadata
        self.provider = "test"
        self.inputs = (TensorSpec("tokens", np.dtype(np.int64), (None, LENGTH)),)
        self.outputs = (TensorSpec("embedding", np.dtype(np.float32), (None, 10)),)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"embedding": np.eye(10, dtype=np.float32)[feeds["tokens"][:, 0]]}


def test_every_class_becomes_a_vector_of_the_network_at_its_scale() -> None:
    found = ask_session(PROMPTS, Network(clip="demo/clip", logit_scale="31.5"), tokenize, "normal")
    assert (found.clip, found.scale, found.normal) == ("demo/clip", 31.5, 0)
    np.testing.assert_allclose(found.vectors[0], np.eye(10)[7])
    np.testing.assert_allclose(found.vectors[1], (np.eye(10)[8] + np.eye(10)[7]) / np.sqrt(2))


def test_a_prompt_that_would_be_cut_is_one_clear_line() -> None:
    long = {"normal": ("a", "one two three four five six seven"), "assault": ("b",)}
    with pytest.raises(InputError, match="fewer than 6 tokens, got 'one two three"):
        ask_session(long, Network(clip="c", logit_scale="1"), tokenize, "normal")


@pytest.mark.parametrize("notes", [{}, {"clip": "c"}, {"clip": "c", "logit_scale": "big"}])
def test_a_network_that_does_not_say_what_it_is_is_refused(notes: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="expected a text network that tells its clip"):
        ask_session(PROMPTS, Network(**notes), tokenize, "normal")
