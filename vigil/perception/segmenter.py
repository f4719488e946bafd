"""Draw each tracked person: SAM2 prompted by the boxes, or an instance segmenter's own masks.

Knows: SAM2's image and video mode and how footage is portioned for each. Does not know: SAM2's
inside (`sam2`), what becomes of a raw mask (`person_mask`), files of footage.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.config import Config
from vigil.errors import ModelError
from vigil.paths import Paths
from vigil.perception.person_mask import PersonMask, extent_iou, finish
from vigil.perception.tracker import TrackedPersons
from vigil.weights import entry

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Region = tuple[int, int, int, int]  # left, top, right, bottom in whole pixels of the frame

AGREE_IOU = 0.5  # a propagated mask whose extent overlaps its track's box less is drawn again
_CHUNK_BYTES = 256 << 20  # footage and raw masks held at once


class Segmenter(Protocol):
    """Draws every tracked person's mask."""

    @property
    def chunk_s(self) -> float:
        """Longest stretch of footage it takes at once, in seconds."""

    def chunk_frames(self, height: int, width: int, max_persons: int) -> int:
        """Return how many frames of this size, and so crowded, it takes at once."""

    def segment(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons]
    ) -> Iterator[list[PersonMask]]:
        """Yield one list of masks a frame, in the order of the frame's persons.

        Args:
            frames: consecutive frames, (H, W, 3) uint8 RGB of one size.
            persons: who is where in each of them.
        """


class DetectorSegmenter:
    """Takes the masks that the detector brought; the fast path."""

    chunk_s = float("inf")

    def __init__(self, dilate_px: int) -> None:
        """Grow masks by `dilate_px` pixels."""
        self._dilate_px = dilate_px

    def chunk_frames(self, height: int, width: int, max_persons: int) -> int:
        """See `Segmenter`; each person comes with a mask of the frame's size."""
        return _fitting(height * width * (3 + max_persons), limit=8)

    def segment(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons]
    ) -> Iterator[list[PersonMask]]:
        """See `Segmenter`."""
        for frame, people in zip(frames, persons, strict=True):
            raw: Any = [None] * len(people) if people.masks is None else people.masks
            yield [
                finish(mask, box, (frame.shape[0], frame.shape[1]), "detector", self._dilate_px)
                for mask, box in zip(raw, people.xyxy, strict=True)
            ]


class ImageSegmenter:
    """SAM2 looking at each frame by itself; a frame without people costs nothing."""

    chunk_s = float("inf")

    def __init__(self, model: Any, crop: bool, dilate_px: int) -> None:
        """Wrap a SAM2 network.

        Args:
            model: of `vigil.perception.sam2.build_sam2`, weights loaded.
            crop: look at the region around the people instead of the whole frame.
            dilate_px: pixels by which masks grow.
        """
        self._model = model
        self._crop = crop
        self._dilate_px = dilate_px

    def chunk_frames(self, height: int, width: int, max_persons: int) -> int:
        """See `Segmenter`."""
        return _fitting(height * width * 3, limit=8)

    def segment(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons]
    ) -> Iterator[list[PersonMask]]:
        """See `Segmenter`."""
        for frame, people in zip(frames, persons, strict=True):
            yield self.segment_boxes(frame, people.xyxy)

    def segment_boxes(self, frame: Image, boxes: Boxes) -> list[PersonMask]:
        """Draw the person in each of the (N, 4) boxes of one frame."""
        from vigil.perception.sam2 import predict_masks

        if not len(boxes):
            return []
        masks, _ = predict_masks(self._model, frame, boxes, crop=self._crop)
        return [
            finish(mask, box, (frame.shape[0], frame.shape[1]), "sam2", self._dilate_px)
            for mask, box in zip(masks, boxes, strict=True)
        ]


class VideoSegmenter:
    """SAM2 propagating masks from key frame to key frame.

    Footage comes in chunks that begin with a key frame; each person is prompted with the box
    where the chunk first shows them. A propagated mask that leaves its track's box is drawn again
    from the box, frame by itself: identities are always the tracker's.
    """

    def __init__(self, model: Any, keyframe_s: float, crop: bool, dilate_px: int) -> None:
        """Wrap a SAM2 network; see `ImageSegmenter` for what is not named here.

        Args:
            model: of `vigil.perception.sam2.build_sam2`, a video predictor.
            keyframe_s: most seconds between key frames.
            crop: look at the region in which people appear during the chunk.
            dilate_px: pixels by which masks grow.
        """
        self.chunk_s = keyframe_s
        self._model = model
        self._crop = crop
        self._dilate_px = dilate_px
        self._again = ImageSegmenter(model, crop, dilate_px)
        model.memory_attention.register_forward_pre_hook(_full_precision, with_kwargs=True)

    def chunk_frames(self, height: int, width: int, max_persons: int) -> int:
        """See `Segmenter`; SAM2 holds every frame of a chunk as float32."""
        return _fitting(height * width * 3 + self._model.image_size**2 * 12, limit=64)

    def segment(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons]
    ) -> Iterator[list[PersonMask]]:
        """See `Segmenter`."""
        from vigil.perception.sam2_crops import square_region

        first = next((i for i, people in enumerate(persons) if len(people)), len(frames))
        for _ in range(first):
            yield []
        if first == len(frames):
            return
        height, width = frames[0].shape[:2]
        region: Region = (0, 0, width, height)
        if self._crop:
            boxes = np.concatenate([people.xyxy for people in persons])
            union = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
            region = square_region(union.astype(np.float64), height, width)
        steps = self._propagate(frames[first:], persons[first:], region)
        for frame, people, logits in zip(frames[first:], persons[first:], steps, strict=True):
            yield self._accept(frame, people, logits, region)

    def _accept(
        self, frame: Image, people: TrackedPersons, logits: dict[int, NDArray[np.float32]],
        region: Region,
    ) -> list[PersonMask]:  # fmt: skip
        """Keep the propagated masks that agree with their boxes; draw the others again."""
        size = (frame.shape[0], frame.shape[1])
        left, top, right, bottom = region
        kept: list[PersonMask | None] = []
        for track_id, box in zip(people.track_id.tolist(), people.xyxy, strict=True):
            raw = np.zeros(size, dtype=np.bool_)
            sized = cv2.resize(logits[track_id], (right - left, bottom - top))
            raw[top:bottom, left:right] = sized > 0
            agrees = extent_iou(raw, box) >= AGREE_IOU
            kept.append(finish(raw, box, size, "sam2", self._dilate_px) if agrees else None)
        astray = [i for i, mask in enumerate(kept) if mask is None]
        again = iter(self._again.segment_boxes(frame, people.xyxy[astray]))
        return [mask or next(again) for mask in kept]

    def _propagate(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons], region: Region
    ) -> Iterator[dict[int, NDArray[np.float32]]]:
        """Yield each frame's (size, size) mask logits over the region, by track id."""
        with redirect_stderr(io.StringIO()):  # SAM2 draws progress bars of its own
            state = self._state(frames, region)
            for index, track_id, box in _prompts(persons, region, self._model.image_size):
                self._model.add_new_points_or_box(state, frame_idx=index, obj_id=track_id, box=box)
            steps = self._model.propagate_in_video(state, start_frame_idx=0)
            first = next(steps)
        for _, track_ids, logits in chain([first], steps):
            drawn = logits[:, 0].float().cpu().numpy()
            yield dict(zip(track_ids, drawn, strict=True))

    def _state(self, frames: Sequence[Image], region: Region) -> dict[str, Any]:
        """Hand a chunk to SAM2, whose only public door for frames is a folder of JPEG files."""
        left, top, right, bottom = region
        size = (self._model.image_size,) * 2
        with tempfile.TemporaryDirectory(prefix="vigil-sam2-") as folder:
            for i, frame in enumerate(frames):
                part = frame[top:bottom, left:right]
                small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
                bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
                path = str(Path(folder) / f"{i}.jpg")
                cv2.imwrite(path, bgr, [cv2.IMWRITE_JPEG_QUALITY, 98])
            state: dict[str, Any] = self._model.init_state(folder)
        return state


def weights_file(config: Config, paths: Paths) -> Path | None:
    """Return SAM2's file, or None where the detector brings the masks.

    Raises:
        ModelError: SAM2 is needed and its file is missing.
    """
    if config.mask.detector.name == "yolo11-seg":
        return None
    path = paths.segmenter
    if not path.is_file():
        raise ModelError(f"segmenter: {path}: expected SAM2's weights, got no file")
    return path


def load_segmenter(config: Config, paths: Paths) -> Segmenter:
    """Load the segmenter that the parameters name, for this process.

    Raises:
        ModelError: SAM2's file is missing or is not of the variant that the parameters name.
    """
    settings = config.mask.segmenter
    path = weights_file(config, paths)
    if path is None:
        return DetectorSegmenter(settings.dilate_px)
    import torch

    from vigil.perception.sam2 import load_sam2

    variant = entry(config.weights.set, config.weights.segmenter).architecture
    model = load_sam2(path, variant, video=settings.mode == "video")
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    if settings.mode == "video":
        return VideoSegmenter(model, settings.keyframe_s, settings.crop, settings.dilate_px)
    return ImageSegmenter(model, settings.crop, settings.dilate_px)


def _prompts(
    persons: Sequence[TrackedPersons], region: Region, size: int
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Yield (frame, track id, box) where each person is first seen, in pixels of SAM2's input."""
    from vigil.perception.sam2_crops import boxes_in_crop

    seen: set[int] = set()
    for index, people in enumerate(persons):
        boxes = boxes_in_crop(people.xyxy, region, size)
        for track_id, box in zip(people.track_id.tolist(), boxes, strict=True):
            if track_id not in seen:
                seen.add(track_id)
                yield index, track_id, box


def _full_precision(
    _: Any, positional: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give SAM2's memory attention back as float32 what SAM2 remembers as bfloat16."""
    return positional, {**named, "memory": named["memory"].float()}


def _fitting(frame_bytes: int, limit: int) -> int:
    """Return how many frames of so many bytes fit into a chunk."""
    return max(1, min(limit, _CHUNK_BYTES // frame_bytes))
