"""Find people in frames with YOLO11, whoever runs the network.

Knows: batches, which of the network's outputs is which. Does not know: how YOLO11's numbers are
made boxes (`yolo`), nor who is who from frame to frame (`tracker`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, DetectorSection
from vigil.errors import ModelError
from vigil.paths import Paths
from vigil.perception import yolo
from vigil.session import OnnxSession, Session, TensorSpec

BATCH = 8  # frames per call of the network; more costs memory and gains nothing on a CPU


class PersonDetector:
    """YOLO11 or YOLO11-seg behind a `Session`."""

    def __init__(self, session: Session, config: DetectorSection, max_persons: int) -> None:
        """Check that the network fits the parameters.

        Args:
            session: a graph of one image input and YOLO's raw outputs.
            config: kind of network, thresholds and input size.
            max_persons: persons kept per frame, best scores first.

        Raises:
            ModelError: another input size, or masks promised or present against the parameters.
        """
        self._session = session
        self._config = config
        self._max_persons = max_persons
        self._width, self._height = input_size("detector", session, config.input_size)
        self._scores, self._prototypes = _outputs(session, config.name)

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[yolo.Detections]:
        """Find the people in each frame.

        Args:
            frames: (H, W, 3) uint8 RGB each; sizes may differ.

        Returns:
            One set of detections a frame, persons only, with masks if the network is `-seg`.
        """
        found: list[yolo.Detections] = []
        for start in range(0, len(frames), BATCH):
            found.extend(self._detect(frames[start : start + BATCH]))
        return found

    def _detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[yolo.Detections]:
        fitted = [yolo.preprocess(frame, self._height, self._width) for frame in frames]
        images = np.stack([image for image, _ in fitted])
        outputs = self._session.run({self._session.inputs[0].name: images})
        return yolo.postprocess(
            outputs[self._scores],
            [letterbox for _, letterbox in fitted],
            outputs[self._prototypes] if self._prototypes else None,
            confidence=self._config.score_threshold,
            iou=self._config.nms_threshold,
            max_detections=self._max_persons,
        )


def load_detector(config: Config, paths: Paths) -> PersonDetector:
    """Load the detector that the parameters name, for this process.

    Raises:
        ModelError: the file is missing or does not fit the parameters.
    """
    session = OnnxSession(paths.onnx(config.mask.detector.name))
    return PersonDetector(session, config.mask.detector, config.mask.max_persons)


def input_size(what: str, session: Session, wanted: tuple[int, int]) -> tuple[int, int]:
    """Return a network's input width and height, checked against the parameters.

    Args:
        what: who asks, for the message.
        session: a graph whose only input is (batch, 3, height, width).
        wanted: (width, height) of the parameters.

    Raises:
        ModelError: the graph's input is no image batch, or has another fixed size.
    """
    shape = session.inputs[0].shape
    if len(session.inputs) != 1 or len(shape) != 4 or shape[1] != 3:
        got = ", ".join(str(spec) for spec in session.inputs)
        raise ModelError(f"{what}: input: expected one of shape (batch, 3, H, W), got {got}")
    width, height = wanted
    if not session.inputs[0].accepts((shape[0] or 1, 3, height, width)):
        raise ModelError(
            f"{what}: input_size: expected the network's {shape[3]}x{shape[2]}, "
            f"got {width}x{height}"
        )
    return width, height


def _outputs(session: Session, name: str) -> tuple[str, str | None]:
    """Name the outputs that hold boxes with scores and, for `-seg`, mask prototypes."""
    scores = _one(session, dimensions=3)
    prototypes = _one(session, dimensions=4)
    if scores is None:
        got = ", ".join(str(spec) for spec in session.outputs)
        raise ModelError(f"detector: outputs: expected (batch, values, anchors), got {got}")
    if (prototypes is not None) != (name == "yolo11-seg"):
        has = "with" if prototypes else "without"
        raise ModelError(f"detector: expected a {name} network, got one {has} mask prototypes")
    return scores.name, prototypes.name if prototypes else None


def _one(session: Session, dimensions: int) -> TensorSpec | None:
    return next((spec for spec in session.outputs if len(spec.shape) == dimensions), None)
