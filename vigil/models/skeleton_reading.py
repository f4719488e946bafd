"""What a skeleton recognizer reads of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vigil.config import AugmentSection
from vigil.dataset import tensors
from vigil.models.doors import Batch, InputTensor, Row
from vigil.models.layouts import layout
from vigil.sampling import Sampling
from vigil.schema import JOINTS
from vigil.sequences import pool


@dataclass(frozen=True)
class SkeletonReading:
    """Keypoints in pixels: one row a clip, or one per view of it whose answers are averaged.

    Attributes:
        clip_len: frames T.
        max_persons: persons M.
        sampling: how the frames are chosen.
        test_clips: how many samplings of a clip are judged (PYSKL's `num_clips` of a test).
        test_mirror: whether the mirror image of each is judged too.
        kind: tells the readings apart on disk.
    """

    clip_len: int
    max_persons: int
    sampling: Sampling
    test_clips: int = 1
    test_mirror: bool = False
    kind: Literal["skeletons"] = "skeletons"

    @property
    def inputs(self) -> tuple[InputTensor, ...]:
        """See `Door`."""
        keypoints = (self.max_persons, self.clip_len, JOINTS, 3)
        return (
            InputTensor("keypoints", keypoints, (
                "(persons, frames, joints, x y score): pixels of the original frame, score in\n"
                "[0, 1], and zeros where a joint or person is missing. Normalization happens "
                "inside.")),
            InputTensor("image_size", (2,), "width and height of the original frame in pixels"),
        )  # fmt: skip

    @property
    def facts(self) -> dict[str, Any]:
        """See `Door`."""
        return {
            "clip_len": self.clip_len,
            "max_persons": self.max_persons,
            "sampling": self.sampling,
            "input_layout": "coco",
            "input_units": "x and y in pixels of the original frame, score in [0, 1]",
            **({"test_clips": self.test_clips} if self.test_clips > 1 else {}),
            **({"test_mirror": "true"} if self.test_mirror else {}),
        }

    @property
    def views(self) -> int:
        """Rows of a clip."""
        return self.test_clips * (2 if self.test_mirror else 1)

    def batch(self, rows: Sequence[Row]) -> Batch:
        """See `Reading`; the views of a clip lie beside each other, mirror images last."""
        views = []
        for view in range(self.test_clips):
            keypoints, sizes, _ = tensors(rows, self, view)
            views.append(keypoints)
        if self.test_mirror:
            views += [mirrored(keypoints, sizes) for keypoints in views]
        feeds = {"keypoints": np.stack(views, 1).reshape(-1, *keypoints.shape[1:]),
                 "image_size": np.repeat(sizes, self.views, axis=0)}  # fmt: skip
        return Batch(feeds, np.repeat(np.arange(len(rows)), self.views))

    def settle(
        self, probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int
    ) -> NDArray[np.float32]:
        """See `Reading`: the mean over a clip's views."""
        said = np.asarray(probabilities, np.float32)
        if self.views == 1:
            return said
        return pool(said, owner, count, "mean", top_k=1, normal=0)

    def pipeline(self, augment: AugmentSection | None) -> list[dict[str, Any]]:
        """Return mmaction2's pipeline config; `augment` is for training."""
        from vigil.models.pipeline import pipeline

        return pipeline(self, augment)


def mirrored(
    keypoints: NDArray[np.float32], image_size: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the mirror image of clips: right is left in place and in name.

    Args:
        keypoints: (N, M, T, 17, 3) float32 pixels and score; missing joints 0, 0, 0.
        image_size: (N, 2) float32 width and height in pixels.
    """
    turned = keypoints[..., list(layout("coco").mirror), :].copy()
    width = image_size[:, 0].reshape(-1, 1, 1, 1)
    turned[..., 0] = np.where(turned[..., 2] > 0, width - 1 - turned[..., 0], 0.0)
    return turned
