"""Pixels of each tracked person: SAM2 prompted by the boxes, or an instance segmenter's own masks.

Knows: when a mask counts as lost, how far it may reach and how it is grown. Does not know: SAM2's
inside (`sam2`), files or footage. Masks live in the rectangle they cover, so that a crowd in a
large frame stays small in memory.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.perception.tracker import TrackedPersons

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Source = Literal["sam2", "detector", "box"]

REACH = 0.15  # a mask may pass its box by this share of the box's mean side: hands, hair, shoes
LOST = 0.02  # a mask that covers less of its box than this is lost
AGREE_IOU = 0.5  # a propagated mask whose extent overlaps the track's box less is done again
_CHUNK_BYTES = 256 << 20  # footage and masks held at once
_MAX_CHUNK = 64


class Segmenter(Protocol):
    """Draws every tracked person's mask."""

    chunk_s: float
    """Seconds of footage it wants to see at once."""

    def chunk_frames(self, height: int, width: int, max_persons: int) -> int:
        """Return how many frames of this size it may be given at once."""

    def segment(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons]
    ) -> Iterator[list[PersonMask]]:
        """Yield one list of masks a frame, in the order of its persons.

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
            masks: Any = [None] * len(people) if people.masks is None else people.masks
            yield finish(masks, people.xyxy, frame.shape[:2], "detector", self._dilate_px)


class ImageSegmenter:
    """SAM2 looking at each frame by itself, prompted by the boxes; frames without people are free."""

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
        return finish(masks, boxes, frame.shape[:2], "sam2", self._dilate_px)


class VideoSegmenter:
    """SAM2 propagating masks from key frame to key frame.

    Footage comes in chunks that begin with a key frame; each person is prompted with the box
    where the chunk first shows them. A propagated mask that leaves its track's box is drawn again
    from the box, frame by itself: identities are always the tracker's.
    """

    def __init__(self, model: Any, keyframe_s: float, crop: bool, dilate_px: int) -> None:
        """Wrap a SAM2 video network; see `ImageSegmenter` for the other arguments.

        Args:
            model: of `vigil.perception.sam2.build_sam2` with `video=True`.
            keyframe_s: seconds between key frames.
            crop: look at the region in which people appear during the chunk.
            dilate_px: pixels by which masks grow.
        """
        self.chunk_s = keyframe_s
        self._model = model
        self._crop = crop
        self._dilate_px = dilate_px
        self._again = ImageSegmenter(model, crop, dilate_px)

    def chunk_frames(self, height: int, width: int, max_persons: int) -> int:
        """See `Segmenter`; SAM2 keeps every frame of a chunk as float32."""
        return _fitting(height * width * 3 + self._model.image_size**2 * 12, limit=_MAX_CHUNK)

    def segment(
        self, frames: Sequence[Image], persons: Sequence[TrackedPersons]
    ) -> Iterator[list[PersonMask]]:
        """See `Segmenter`."""
        first = next((i for i, people in enumerate(persons) if len(people)), len(frames))
        for _ in range(first):
            yield []
        if first == len(frames):
            return
        height, width = frames[0].shape[:2]
        boxes = np.concatenate([people.xyxy for people in persons])
        region = _region(boxes, height, width) if self._crop else (0, 0, width, height)
        steps = self._propagate(frames[first:], persons[first:], region)
        for frame, people, logits in zip(frames[first:], persons[first:], steps, strict=True):
            yield self._accept(frame, people, logits, region)

    def _accept(
        self,
        frame: Image,
        people: TrackedPersons,
        logits: dict[int, NDArray[np.float32]],
        region: tuple[int, int, int, int],
    ) -> list[PersonMask]:
        """Keep the propagated masks that agree with their boxes; draw the others again."""
        left, top, right, bottom = region
        masks = np.zeros((len(people), *frame.shape[:2]), dtype=np.bool_)
        for mask, track_id in zip(masks, people.track_id, strict=True):
            sized = cv2.resize(logits[int(track_id)], (right - left, bottom - top))
            mask[top:bottom, left:right] = sized > 0
        done = finish(masks, people.xyxy, frame.shape[:2], "sam2", self._dilate_px)
        astray = [
            i for i, box in enumerate(people.xyxy) if _extent_iou(masks[i], box) < AGREE_IOU
        ]
        if astray:
            redone = self._again.segment_boxes(frame, people.xyxy[astray])
            for i, mask in zip(astray, redone, strict=True):
                done[i] = mask
        return done

    def _propagate(
        self,
        frames: Sequence[Image],
        persons: Sequence[TrackedPersons],
        region: tuple[int, int, int, int],
    ) -> Iterator[dict[int, NDArray[np.float32]]]:
        """Yield each frame's mask logits by track id, (size, size) over the region."""
        size = self._model.image_size
        with redirect_stderr(io.StringIO()):  # SAM2 draws progress bars of its own
            state = self._initial_state(frames, region)
            for index, track_id, box in _prompts(persons, region, size):
                self._model.add_new_points_or_box(
                    state, frame_idx=index, obj_id=track_id, box=box
                )
            steps = self._model.propagate_in_video(state, start_frame_idx=0)
            first = next(steps)
        for _, track_ids, logits in chain([first], steps):
            yield {
                track_id: logit[0].float().cpu().numpy()
                for track_id, logit in zip(track_ids, logits, strict=True)
            }

    def _initial_state(
        self, frames: Sequence[Image], region: tuple[int, int, int, int]
    ) -> dict[str, Any]:
        """Hand the chunk to SAM2, whose only door for frames in memory is a folder of JPEGs."""
        left, top, right, bottom = region
        size = self._model.image_size
        with tempfile.TemporaryDirectory(prefix="vigil-sam2-") as folder:
            for i, frame in enumerate(frames):
                small = cv2.resize(
                    frame[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA
                )
                bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
                path = Path(folder) / f"{i}.jpg"
                cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, 98])
            state: dict[str, Any] = self._model.init_state(folder)
        return state


def _region(boxes: Boxes, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of the frame that holds all boxes with room around them."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    around = np.concatenate([low, high]).astype(np.float32)
    return _inside(around, REACH * float((high - low).max()), height, width)


def _prompts(
    persons: Sequence[TrackedPersons], region: tuple[int, int, int, int], size: int
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Yield (frame, track id, box) where each person is first seen; boxes in the network's input."""
    left, top, right, bottom = region
    scale = np.float32([size / (right - left), size / (bottom - top)] * 2)
    origin = np.float32([left, top, left, top])
    seen: set[int] = set()
    for index, people in enumerate(persons):
        for track_id, box in zip(people.track_id.tolist(), people.xyxy, strict=True):
            if track_id not in seen:
                seen.add(track_id)
                yield index, track_id, (box - origin) * scale


def _fitting(frame_bytes: int, limit: int) -> int:
    """Return how many frames of so many bytes fit into a chunk."""
    return max(1, min(limit, _CHUNK_BYTES // frame_bytes))
