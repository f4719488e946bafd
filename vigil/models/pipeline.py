"""Training data in mmaction2's terms: the annotation file read safely, and skeletons varied.

Registers `AnnotationDataset`, `SampleSkeleton` and `AugmentSkeleton`; the rest of the pipeline
(PoseDecode, FormatGCNInput, PackActionInputs) is mmaction2's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmaction.datasets import PoseDataset
from mmaction.registry import DATASETS, TRANSFORMS
from numpy.typing import NDArray

from vigil.config import AugmentSection
from vigil.dataset import read_annotations, select
from vigil.models.layouts import layout
from vigil.sampling import ClipShape, Sampling, body_extent, sample_indices

_LIMBS = ((5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16), (0, 1, 2, 3, 4))
_MIRROR = list(layout("coco").mirror)
_SHORTEST_CROP = 8  # frames


@DATASETS.register_module()
class AnnotationDataset(PoseDataset):  # type: ignore[misc]
    """mmaction2's PoseDataset over `vigil.dataset`'s restricted reader."""

    def __init__(self, *args: Any, embeddings: bool = False, **options: Any) -> None:
        """Build it; with `embeddings` the clips have those of their tracks beside the skeletons."""
        self.embeddings = embeddings
        super().__init__(*args, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotations of the split.

        Raises:
            InputError: a bad file or an unknown split.
        """
        splits, rows = read_annotations(Path(self.ann_file), embeddings=self.embeddings)
        return select(splits, rows, self.split)


@TRANSFORMS.register_module()
class SampleSkeleton:
    """Choose frames with `vigil.sampling`, so that training and serving cannot differ."""

    def __init__(self, clip_len: int, sampling: Sampling, training: bool) -> None:
        """Sample `clip_len` frames, at random within their segments when `training`."""
        self.clip_len, self.sampling, self.training = clip_len, sampling, training

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Set `frame_inds`, `clip_len` and `num_clips`, which PoseDecode reads."""
        rng = _rng() if self.training else None
        chosen = sample_indices(results["total_frames"], self.clip_len, self.sampling, rng)
        return results | {"frame_inds": chosen, "clip_len": self.clip_len, "num_clips": 1}


@TRANSFORMS.register_module()
class AugmentSkeleton:
    """Vary a whole clip: its time, mirror, rotate, scale, shake and lose joints.

    Works on `keypoint` (M, n, 17, 2) in pixels and `keypoint_score` (M, n, 17); missing joints stay
    missing.
    """

    def __init__(self, **params: Any) -> None:
        """Take the fields of `AugmentSection`."""
        self.params = AugmentSection.model_validate(params)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `results` with changed copies of both arrays."""
        rng = _rng()
        joints = np.array(results["keypoint"], np.float32)
        score = np.array(results["keypoint_score"], np.float32)
        shown = self._crop(score.shape[1], rng)
        shown = self._roll(shown[self._retime(len(shown), rng)], rng)
        joints, score = joints[:, shown], score[:, shown]
        if rng.random() < self.params.flip:
            joints[..., 0] = results["img_shape"][1] - 1 - joints[..., 0]
            joints, score = joints[:, :, _MIRROR], score[:, :, _MIRROR]
        joints = self._move(joints, score, rng)
        score = self._lose(score, rng)
        joints[score <= 0] = 0.0
        frames = score.shape[1]
        return results | {"keypoint": joints, "keypoint_score": score, "total_frames": frames}

    def _crop(self, frames: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the frames left when a random share of the time is cut off the ends."""
        keep = round(frames * (1.0 - rng.random() * self.params.crop))
        keep = min(frames, max(keep, _SHORTEST_CROP))
        start = int(rng.integers(frames - keep + 1))
        return np.arange(start, start + keep)

    def _retime(self, frames: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return which of `frames` is shown at each moment of a faster, slower or shifted clip.

        Clips of other lengths fill the same number of samples, so their people move at another
        pace: the pace is varied by up to a factor of 1 + time_scale either way. Beyond its ends the
        clip runs backward, so that no joint jumps.
        """
        pace = (1.0 + self.params.time_scale) ** rng.uniform(-1, 1)
        start = rng.uniform(-1, 1) * self.params.offset * frames
        start += rng.random() * max(0.0, frames * (1.0 - pace))
        moments = np.asarray(np.floor(start + (np.arange(frames) + 0.5) * pace), np.intp)
        turned = moments % (2 * frames)
        return np.minimum(turned, 2 * frames - 1 - turned)

    def _roll(self, shown: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
        """Put a random part of the end before the beginning, with the probability `roll`.

        What happens keeps its order but for one cut, where every joint jumps: the network learns
        that a jump of everything at once is no event, and to look for events at any moment.
        """
        if rng.random() >= self.params.roll:
            return shown
        return np.roll(shown, int(rng.integers(len(shown))))

    def _move(
        self, joints: NDArray[np.float32], score: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Rotate and scale about the clip's center, and add noise to every joint."""
        seen = score > 0
        if not seen.any():
            return joints
        angle = np.deg2rad(rng.uniform(-1, 1) * self.params.rotate_deg)
        sizes = 1.0 + rng.uniform(-1, 1, 2) * self.params.scale
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        center = joints[seen].mean(0)
        moved = (joints - center) @ (rotation * sizes).T.astype(np.float32) + center
        for person, there in enumerate(seen):
            noise = self.params.jitter * body_extent(joints[person], there)
            moved[person] += rng.normal(0.0, 1.0, moved[person].shape) * noise
        return np.asarray(moved, np.float32)

    def _lose(self, score: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Drop single joints, and now and then a limb of one person for a while."""
        kept = np.where(rng.random(score.shape) < self.params.drop_joint, 0.0, score)
        persons, frames = score.shape[:2]
        if persons and rng.random() < self.params.drop_span:
            person, limb = int(rng.integers(persons)), _LIMBS[int(rng.integers(len(_LIMBS)))]
            start, end = np.sort(rng.integers(0, frames + 1, 2))
            kept[person, start:end, list(limb)] = 0.0
        return np.asarray(kept, np.float32)


def _rng() -> np.random.Generator:
    """Return a generator seeded from NumPy's global one, which mmengine seeds per worker."""
    return np.random.default_rng(np.random.randint(0, 2**31 - 1))


def pipeline(dataset: ClipShape, augment: AugmentSection | None) -> list[dict[str, Any]]:
    """Return mmaction2's pipeline config, with augmentation for training and without for tests."""
    changes = (
        [] if augment is None else [{"type": "mmaction.AugmentSkeleton", **augment.model_dump()}]
    )
    sample = {"type": "mmaction.SampleSkeleton", "clip_len": dataset.clip_len,
              "sampling": dataset.sampling, "training": augment is not None}  # fmt: skip
    return [
        *changes,
        sample,
        {"type": "mmaction.PoseDecode"},
        {"type": "mmaction.FormatGCNInput", "num_person": dataset.max_persons},
        {"type": "mmaction.PackActionInputs"},
    ]
