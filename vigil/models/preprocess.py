"""From keypoints in pixels to what a skeleton network reads: one module, trained and served alike.

It is part of the recognizer's graph, so a service sends pixels of the original frame and cannot
prepare them in another way than the training did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from vigil.errors import InputError
from vigil.models.layouts import from_coco, layout

Norm = Literal["image", "box", "body", "track", "pixels"]
PUBLISHED_STREAMS = ("j", "b", "k", "jm", "bm", "km")
STREAMS = (*PUBLISHED_STREAMS, "p", "pm")
_FAR = 1e6  # pixels; larger than any frame, stands for "no joint here" in minima and maxima
_REACH = 2.0  # body extents; how far off a partner's joint can seem
_LEAST_SCALE = 0.01  # of the frame's longer side; smaller people would be noise made large


def parse_streams(stream: str) -> tuple[str, ...]:
    """Split a stream parameter such as `j`, `bm` or `j+jm` into its parts.

    j joints, b bones (joint - parent), k two-hop bones, p the partner's joints (see
    `SkeletonInput`), jm/bm/km/pm their first differences in time. Papers know all but p and pm.
    Parts joined by `+` are stacked as channels of one network.

    Raises:
        InputError: an unknown part.
    """
    parts = tuple(stream.split("+"))
    for part in parts:
        if part not in STREAMS:
            raise InputError(f"stream: expected {', '.join(STREAMS)} joined by +, got {stream}")
    return parts


class SkeletonInput(nn.Module):
    """Normalize COCO-17 keypoints, change their layout and derive the streams.

    This is the door of what is served, and it is two-dimensional: cameras see pixels. A network for
    3-D joints (`nturgb+d`) is a backbone and a head without it, see
    `vigil.models.protogcn.upstream`.

    Joints whose score is not above `min_score` are missing: they count for nothing in the
    normalization and are 0 after it.

    norm `image`: x and y to [-1, 1] over the frame (the published 2-D recipe). `box`: relative to
    the box around all joints of all persons in the whole clip, so the place in the frame and the
    distance to the camera do not matter but the persons' places relative to each other do. `body`:
    the same center, in units of the persons' mean body extent. `track`: every person relative to
    the box around the joints of the whole track, in units of the own mean body extent: movement
    keeps its size however far apart people are, and where they stand is lost. `pixels`: as they
    are, for published weights that were trained without any normalization.

    Graph networks look at one person at a time. Stream `p` shows them the partner: on each frame,
    who has the mean of all joints nearest to that of the own ones. The partner's joints are given
    as seen from the own mean, in the persons' mean body extents (whatever `norm` is), a joint r
    away at r / (1 + r / 2), so that far-off people differ little. Who is alone sees zeros.
    """

    def __init__(
        self,
        layout_spec: str | Mapping[str, Any],
        stream: str,
        norm: Norm = "box",
        min_score: float = 0.0,
    ) -> None:
        """Prepare constant tables.

        Args:
            layout_spec: `coco`, `coco_new`, or a mapping, see `vigil.models.layouts`.
            stream: see `parse_streams`.
            norm: see the class.
            min_score: scores in [0, 1] at or below it mean a missing joint.

        Raises:
            InputError: an unknown layout, stream or norm.
        """
        super().__init__()
        if norm not in get_args(Norm):
            raise InputError(f"norm: expected {', '.join(get_args(Norm))}, got {norm}")
        self.norm, self.min_score = norm, min_score
        self.streams = parse_streams(stream)
        self.sees_partner = any(part[0] == "p" for part in self.streams)
        table = layout(layout_spec)
        self.num_joints = table.num_joints
        self.out_channels = 3 * len(self.streams)
        joints = torch.eye(table.num_joints)
        self.mapping: Tensor
        self.parent: Tensor
        self.grandparent: Tensor
        self.register_buffer("mapping", torch.from_numpy(from_coco(layout_spec)), persistent=False)
        self.register_buffer("parent", joints[list(table.parents)], persistent=False)
        self.register_buffer("grandparent", joints[list(table.grandparents)], persistent=False)

    def forward(self, keypoints: Tensor, image_size: Tensor) -> Tensor:
        """Prepare one batch.

        Args:
            keypoints: (B, M, T, 17, 3) float32: x, y in pixels of the original frame, score in
                [0, 1]; missing joints 0, 0, 0.
            image_size: (B, 2) float32 width, height of the original frame in pixels.

        Returns:
            (B, M, T, V, 3 * streams) float32: per stream x, y without unit and the score.
        """
        score = keypoints[..., 2:]
        valid = (score > self.min_score).to(keypoints.dtype)
        score, mapped = torch.matmul(self.mapping, score * valid), torch.matmul(self.mapping, valid)
        present = (mapped > 1.0 - 1e-4).to(score.dtype)

        def placed(norm: Norm) -> Tensor:
            xy = self._normalize(keypoints[..., :2], valid, image_size, norm) * valid
            return torch.matmul(self.mapping, xy) * present

        own = placed(self.norm), score, present
        near = _partner(placed("body"), score, present) if self.sees_partner else own
        derived = [self._stream(part, *(near if part[0] == "p" else own)) for part in self.streams]
        return torch.cat(derived, dim=-1)

    def present(self, keypoints: Tensor) -> Tensor:
        """Tell who is there: persons with a joint that is not missing in at least one frame.

        Args:
            keypoints: (B, M, T, 17, 3), see `forward`.

        Returns:
            (B, M) of 0 and 1 in the keypoints' type.
        """
        best = keypoints[..., 2].flatten(2).amax(dim=2)
        return (best > self.min_score).to(keypoints.dtype)

    @staticmethod
    def _normalize(xy: Tensor, valid: Tensor, image_size: Tensor, norm: Norm) -> Tensor:
        """Shift and scale (B, M, T, 17, 2) pixels by the frame, the clip's box or the body."""
        if norm == "pixels":
            return xy
        if norm == "image":
            half = image_size.reshape(-1, 1, 1, 1, 2) / 2
            return (xy - half) / half
        low, high = _bounds(xy, valid, (2, 3) if norm == "track" else (1, 2, 3))
        center = (low + high) / 2
        if norm == "box":
            scale = (high - low).amax(dim=-1, keepdim=True) / 2
        else:
            dims = (2,) if norm == "track" else (1, 2)
            low, high = _bounds(xy, valid, (3,))
            seen = valid.amax(dim=3, keepdim=True)
            extent = (high - low).amax(dim=-1, keepdim=True) * seen
            scale = extent.sum(dim=dims, keepdim=True)
            scale = scale / seen.sum(dim=dims, keepdim=True).clamp(min=1.0)
        least = image_size.amax(dim=1).reshape(-1, 1, 1, 1, 1) * _LEAST_SCALE
        return (xy - center) / torch.maximum(scale, least).clamp(min=1.0)

    def _stream(self, part: str, xy: Tensor, score: Tensor, present: Tensor) -> Tensor:
        """Return x, y and score (B, M, T, V, 3) of one stream; incomplete vectors are 0."""
        if part[0] in "bk":
            table = self.parent if part[0] == "b" else self.grandparent
            both = present * torch.matmul(table, present)
            xy = (xy - torch.matmul(table, xy)) * both
            score = (score + torch.matmul(table, score)) / 2
            present = both
        if part.endswith("m"):
            step = (xy[:, :, 1:] - xy[:, :, :-1]) * present[:, :, 1:] * present[:, :, :-1]
            xy = torch.cat([step, torch.zeros_like(xy[:, :, :1])], dim=2)
        return torch.cat([xy, score], dim=-1)


def _bounds(xy: Tensor, valid: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the least and greatest x, y over `dims` (kept), of valid joints only."""
    low = torch.where(valid > 0, xy, torch.full_like(xy, _FAR)).amin(dim=dims, keepdim=True)
    high = torch.where(valid > 0, xy, torch.full_like(xy, -_FAR)).amax(dim=dims, keepdim=True)
    return low, torch.maximum(high, low)


def _partner(xy: Tensor, score: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return every person's nearest other person on each frame, seen from the own middle.

    Args:
        xy: (B, M, T, V, 2) in body extents, 0 where missing.
        score: (B, M, T, V, 1).
        present: (B, M, T, V, 1) of 0 and 1.

    Returns:
        As they came: where the partner's joints are, by at most `_REACH` body extents off; the
        scores; and which of them are there. All 0 where one of the two is not there.
    """
    count = present.sum(dim=3)
    middle = (xy * present).sum(dim=3) / count.clamp(min=1.0)  # (B, M, T, 2)
    there = (count > 0).to(xy.dtype)  # (B, M, T, 1)
    apart = (middle.unsqueeze(2) - middle.unsqueeze(1)).square().sum(dim=-1, keepdim=True)
    both = there.unsqueeze(2) * there.unsqueeze(1)  # (B, M, M, T, 1)
    others = 1.0 - torch.eye(xy.shape[1], dtype=xy.dtype, device=xy.device)
    both = both * others.reshape(1, xy.shape[1], xy.shape[1], 1, 1)
    apart = torch.where(both > 0, apart, torch.full_like(apart, _FAR))
    nearest = (apart <= apart.amin(dim=2, keepdim=True)).to(xy.dtype) * both
    nearest = nearest / nearest.sum(dim=2, keepdim=True).clamp(min=1.0)  # (B, own, other, T, 1)

    def of_partner(values: Tensor) -> Tensor:
        return (nearest.unsqueeze(-1) * values.unsqueeze(1)).sum(dim=2)

    seen = (of_partner(present) > 0).to(xy.dtype)
    offset = (of_partner(xy) - middle.unsqueeze(3)) * seen
    length = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
    return offset / (1.0 + length / _REACH), of_partner(score) * seen, seen
