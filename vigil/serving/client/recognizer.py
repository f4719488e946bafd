"""A small typed client of a served recognizer: arrays in, labeled probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.errors import ModelError
from vigil.serving.repository import parse_labels
from vigil.session import Session, TransportName, TritonSession


@dataclass(frozen=True)
class Prediction:
    """What a recognizer says about one clip.

    Attributes:
        label: name of the most probable class.
        probabilities: probability of every class by name, in [0, 1].
    """

    label: str
    probabilities: dict[str, float]


class RecognizerClient:
    """A recognizer on a Triton server. Safe to call from several threads."""

    def __init__(
        self,
        url: str,
        protocol: TransportName = "grpc",
        model: str = "protogcn",
        timeout_s: float = 30.0,
    ) -> None:
        """Connect and read the model's class names.

        Args:
            url: `host:port` of the endpoint of that protocol.
            protocol: `http` or `grpc`.
            model: name of the served recognizer.
            timeout_s: longest wait for one answer, in seconds.

        Raises:
            ServerUnavailable, ModelNotFound, DeadlineExceeded: by cause.
            ModelError: the model's configuration has no parameter `labels`.
        """
        self.session: Session = TritonSession(url, model, protocol, timeout_s)
        if "labels" not in self.session.metadata:
            raise ModelError(f"{model}: expected parameter `labels` in config.pbtxt, got none")
        self.labels = parse_labels(self.session.metadata["labels"])

    def predict(
        self, keypoints: NDArray[np.float32], image_size: NDArray[np.float32]
    ) -> list[Prediction]:
        """Classify clips.

        Args:
            keypoints: (B, M, T, V, 3) float32: x and y in pixels of the original frame, score in
                [0, 1]; a missing joint or person is zeros.
            image_size: (B, 2) float32: width and height of each clip's frames in pixels.

        Returns:
            One prediction per clip, in order.

        Raises:
            InputError: an array is not of the shape or type that the model declares.
            ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded: by cause.
        """
        answer = self.probabilities({"keypoints": keypoints, "image_size": image_size})
        return [self.prediction(row) for row in answer]

    def probabilities(self, feeds: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        """Ask about rows of whatever the model reads, see `vigil.models.reading`.

        Args:
            feeds: one array of B rows per input of the model.

        Returns:
            (B, classes) float32.

        Raises:
            InputError: an array is not of the shape or type that the model declares.
            ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded: by cause.
        """
        return self.session.run(feeds)["probabilities"]

    def prediction(self, row: NDArray[np.float32]) -> Prediction:
        """Name the (classes,) probabilities of one clip.

        Raises:
            ModelError: another number of them than the model has labels.
        """
        if len(row) != len(self.labels):
            raise ModelError(f"expected {len(self.labels)} probabilities, got {len(row)}")
        probabilities = {label: float(p) for label, p in zip(self.labels, row, strict=True)}
        return Prediction(self.labels[int(row.argmax())], probabilities)
