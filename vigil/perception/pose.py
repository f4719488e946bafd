"""Keypoints of every person in a frame, by RTMO or by YOLO-pose, behind one class.

Knows: YOLO-pose's raw output and which network wants which preparation. Does not know: RTMO's
numbers (`rtmo`), nor whose pose it is (`skeletons`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, SkeletonsSection
from vigil.errors import ModelError
from vigil.paths import Paths
from vigil.perception import rtmo, yolo
from vigil.perception.detector import BATCH, input_size
from vigil.perception.poses import Poses
from vigil.schema import JOINTS
from vigil.session import OnnxSession, Session

Array = NDArray[np.float32]
_YOLO_VALUES = 5 + 3 * JOINTS  # box center and size, score, and x, y, score of every joint
_RTMO_OUTPUTS = ({"boxes", "scores", "keypoints"}, {"dets", "keypoints"})


class PoseEstimator:
    """A bottom-up pose network behind a `Session`."""

    def __init__(self, session: Session, config: SkeletonsSection) -> None:
        """Check that the network fits the parameters.

        Args:
            session: RTMO's graph (see `rtmo`) or YOLO-pose's with its raw output.
            config: kind of network, thresholds and input size.

        Raises:
            ModelError: another input size or outputs of another kind of network.
        """
        self._session = session
        self._config = config
        self._width, self._height = input_size("pose", session, config.input_size)
        _check_outputs(session, config.pose)

    def estimate(self, frames: Sequence[NDArray[np.uint8]]) -> list[Poses]:
        """Find the people of each frame and their joints.

        Args:
            frames: (H, W, 3) uint8 RGB each.

        Returns:
            One set of poses a frame, in pixels of that frame; an empty one where nobody is.
        """
        run = self._rtmo if self._config.pose == "rtmo" else self._yolo
        poses: list[Poses] = []
        for start in range(0, len(frames), BATCH):
            poses.extend(run(frames[start : start + BATCH]))
        return poses

    def _rtmo(self, frames: Sequence[NDArray[np.uint8]]) -> list[Poses]:
        size = (self._width, self._height)
        fitted = [rtmo.preprocess(frame, size) for frame in frames]
        outputs = self._run([image for image, _ in fitted])
        return [
            rtmo.postprocess(
                {name: values[i] for name, values in outputs.items()},
                scale,
                size,
                self._config.score_threshold,
                self._config.nms_threshold,
            )
            for i, (_, scale) in enumerate(fitted)
        ]

    def _yolo(self, frames: Sequence[NDArray[np.uint8]]) -> list[Poses]:
        fitted = [yolo.preprocess(frame, self._height, self._width) for frame in frames]
        (rows,) = self._run([image for image, _ in fitted]).values()
        return [
            yolo_poses(row, box, self._config.score_threshold, self._config.nms_threshold)
            for row, (_, box) in zip(rows, fitted, strict=True)
        ]

    def _run(self, images: Sequence[Array]) -> dict[str, Array]:
        return self._session.run({self._session.inputs[0].name: np.stack(images)})


def yolo_poses(
    output: Array, letterbox: yolo.Letterbox, score_threshold: float, nms_threshold: float
) -> Poses:
    """Turn one image's raw YOLO-pose output into its persons.

    Args:
        output: (56, anchors): center x, center y, width, height, score, then x, y and score of 17
            joints, all in input pixels.
        letterbox: where the image lies in the input.
        score_threshold: persons scored at or below this are dropped.
        nms_threshold: of two persons whose boxes overlap more than this, the weaker is dropped.

    Returns:
        The persons in pixels of the image, by falling score. Joints may lie outside the image.
    """
    rows = output[:, output[4] > score_threshold].T
    center, half = rows[:, :2], rows[:, 2:4] / 2
    boxes = np.concatenate([center - half, center + half], axis=1)
    kept = yolo.suppress(boxes, rows[:, 4], nms_threshold)
    joints = rows[kept, 5:].reshape(-1, JOINTS, 3)
    offset = np.asarray(letterbox.offset, dtype=np.float32)
    scale = np.asarray(letterbox.scale, dtype=np.float32)
    return Poses(
        boxes=letterbox.to_original(boxes[kept]),
        scores=rows[kept, 4],
        keypoints=((joints[..., :2] - offset) / scale).astype(np.float32),
        keypoint_scores=joints[..., 2],
    )


def load_pose(config: Config, paths: Paths) -> PoseEstimator:
    """Load the pose network that the parameters name, for this process.

    Raises:
        ModelError: the file is missing or does not fit the parameters.
    """
    return PoseEstimator(OnnxSession(paths.onnx(config.skeletons.pose)), config.skeletons)


def _check_outputs(session: Session, pose: Literal["rtmo", "yolo-pose"]) -> None:
    """Refuse a graph whose outputs are those of another network."""
    got = ", ".join(str(spec) for spec in session.outputs)
    if pose == "rtmo":
        if {spec.name for spec in session.outputs} not in _RTMO_OUTPUTS:
            raise ModelError(f"pose: rtmo: expected boxes, scores and keypoints, got {got}")
        return
    shapes = [spec.shape for spec in session.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][1] != _YOLO_VALUES:
        raise ModelError(f"pose: yolo-pose: expected (batch, {_YOLO_VALUES}, anchors), got {got}")
