"""Ask a running server about every test clip, over HTTP and over gRPC, and count what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.ensemble import reads_of
from vigil.paths import Paths
from vigil.serving.client import Prediction, RecognizerClient
from vigil.session import TransportName


@dataclass(frozen=True)
class Answers:
    """What the server said of the test clips.

    Attributes:
        clip_ids: N clips of the test split.
        truth: N class names that people (or the ground truth) gave.
        predictions: N answers over gRPC.
        agree: largest difference of a probability between HTTP and gRPC.
    """

    clip_ids: list[str]
    truth: list[str]
    predictions: list[Prediction]
    agree: float

    @property
    def right(self) -> int:
        """How many predicted classes are the labeled ones."""
        pairs = zip(self.predictions, self.truth, strict=True)
        return sum(said.label == truth for said, truth in pairs)


def ask(config: Config, paths: Paths, model: str, urls: dict[TransportName, str]) -> Answers:
    """Ask a running server about every test clip over HTTP and over gRPC.

    Args:
        config: all parameters.
        paths: of the project.
        model: name of the served recognizer.
        urls: `host:port` by protocol.

    Raises:
        InputError: there is no test split.
        ServerError: the server refuses or does not answer.
    """
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    chosen = select(splits, rows, "test")
    reads = reads_of(model, config)
    batch = reads.batch(chosen)
    answers: dict[TransportName, list[Prediction]] = {}
    for protocol, url in urls.items():
        client = RecognizerClient(url, protocol, model)
        settled = reads.settle(client.probabilities(batch.feeds), batch.owner, len(chosen))
        answers[protocol] = [client.prediction(row) for row in settled]
    http, grpc = (_matrix(answers[name]) for name in ("http", "grpc"))
    return Answers(
        [str(row["frame_dir"]) for row in chosen],
        [config.classes[int(row["label"])] for row in chosen],
        answers["grpc"],
        float(np.abs(http - grpc).max()),
    )


def _matrix(predictions: Sequence[Prediction]) -> np.ndarray[Any, Any]:
    return np.array([list(said.probabilities.values()) for said in predictions])
