"""What RTMO's cells shall learn, for a whole batch at once.

mmpose's head assigns persons to cells image by image, some sixty small operations each, which
leaves a GPU idle. The rule here is the same: SimOTA as `vigil.demo.rtmo_run` sets it up, with as
many cells for a person as lie inside its box and near its joints, at most `candidate_topk`.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from vigil.demo.image_store import Targets
from vigil.demo.rtmo_run import OUTSIDE_COST

_OUTSIDE: Final = 1e5  # what SimOTA adds for a cell outside box or center
_NEVER: Final = 1e9
_EPS: Final = 1e-7


def assign_at_once(head: Any) -> None:
    """Let mmpose's `RTMOHead` take its targets from here; it is given `Targets` for samples."""

    def targets(
        priors: Tensor, logits: Tensor, _: Tensor, boxes: Tensor, keypoints: Tensor, __: Tensor,
        persons: Targets,
    ) -> tuple[Any, ...]:  # fmt: skip
        return batch_targets(head.assigner, priors, logits, boxes, keypoints, persons)

    head._get_targets = targets


@torch.no_grad()
def batch_targets(
    assigner: Any, priors: Tensor, logits: Tensor, boxes: Tensor, keypoints: Tensor,
    persons: Targets,
) -> tuple[Any, ...]:  # fmt: skip
    """Return what `RTMOHead._get_targets` returns.

    Args:
        assigner: mmpose's `SimOTAAssigner`, for its weights.
        priors: (N, 4) cells: center x, y and stride twice, pixels.
        logits: (B, N, 1) scores.
        boxes: (B, N, 4) xyxy, pixels.
        keypoints: (B, N, 17, 2) pixels.
        persons: the truth.
    """
    matched, whose = _match(assigner, priors, logits, boxes, keypoints, persons)
    image, cell = matched.nonzero(as_tuple=True)
    person = whose[image, cell]
    grid, box = priors[cell], persons.boxes[image, person]
    joints, visible = persons.keypoints[image, person], persons.visible[image, person]
    middle, extent = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    aux = [(middle - grid[:, :2]) / grid[:, 2:], torch.log(extent / grid[:, 2:] + 1e-8)]
    joint_aux = (joints - grid[:, None, :2]) / grid[:, None, 2:]
    flat = matched.reshape(-1)
    found = len(image)
    return (
        flat, logits.new_ones(found, 1), flat[:, None].to(logits.dtype),
        logits.new_ones(len(flat), 1), box, torch.cat(aux, dim=-1), joints, joint_aux, visible,
        torch.ones_like(visible), persons.areas[image, person], grid, [], [found],
    )  # fmt: skip


def _match(
    assigner: Any, priors: Tensor, logits: Tensor, boxes: Tensor, keypoints: Tensor,
    persons: Targets,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return (B, N) which cells are somebody's, and whose."""
    inside, near = _inside(priors, persons), _near(assigner, priors, persons)
    score = torch.nan_to_num(logits.clip(-1e4, 1e4).sigmoid()).sqrt()  # (B, N, 1)
    cost = (~(inside & near)) * _OUTSIDE
    cost = cost - assigner.iou_weight * torch.log(_overlap(boxes, persons.boxes) + _EPS)
    cost = cost - assigner.oks_weight * torch.log(_oks(assigner, keypoints, persons) + _EPS)
    cost = cost - assigner.cls_weight * score.log().clamp(min=-100)
    usable = (inside | near).any(dim=-1, keepdim=True) & persons.there[:, None]
    wanted = ((cost < OUTSIDE_COST) & usable).sum(dim=1).clamp(1, assigner.candidate_topk)
    cost = torch.where(usable, cost, torch.full_like(cost, _NEVER))
    best, rows = cost.topk(assigner.candidate_topk, dim=1, largest=False)  # (B, K, P)
    rank = torch.arange(assigner.candidate_topk, device=cost.device)[None, :, None]
    taken = (rank < wanted[:, None]) & (best < _NEVER)
    match = torch.zeros_like(cost, dtype=torch.bool).scatter(1, rows, taken)
    count = match.sum(dim=-1)
    whose = torch.where(count > 1, cost.argmin(dim=-1), match.int().argmax(dim=-1))
    return count > 0, whose


def _inside(priors: Tensor, persons: Targets) -> Tensor:
    """Return (B, N, P) whether a cell's center lies in a person's box."""
    center, boxes = priors[None, :, None, :2], persons.boxes[:, None]
    within = (center > boxes[..., :2]) & (center < boxes[..., 2:])
    return within.all(dim=-1) & persons.there[:, None]


def _near(assigner: Any, priors: Tensor, persons: Targets) -> Tensor:
    """Return (B, N, P) whether a cell lies within so many strides of the middle of the joints."""
    weight = persons.visible[..., None]
    joints = (persons.keypoints * weight).sum(dim=2) / weight.sum(dim=2).clamp(min=1e-9)
    middle = (persons.boxes[..., :2] + persons.boxes[..., 2:]) / 2
    middle = torch.where(weight.sum(dim=2) > 0, joints, middle)
    away = (priors[None, :, None, :2] - middle[:, None]).abs()
    reach = assigner.center_radius * priors[None, :, None, 2:]
    near: Tensor = (away < reach).all(dim=-1) & persons.there[:, None]
    return near


def _overlap(boxes: Tensor, truth: Tensor) -> Tensor:
    """Return (B, N, P) intersection over union."""
    low = torch.maximum(boxes[:, :, None, :2], truth[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], truth[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    own, other = ((box[..., 2:] - box[..., :2]).prod(dim=-1) for box in (boxes, truth))
    union = own[:, :, None] + other[:, None] - shared
    ratio: Tensor = shared / union.clamp(min=1e-6)
    return ratio


def _oks(assigner: Any, keypoints: Tensor, persons: Targets) -> Tensor:
    """Return (B, N, P) object keypoint similarity, weighted by who is seen how well."""
    away = torch.linalg.vector_norm(keypoints[:, :, None] - persons.keypoints[:, None], dim=-1)
    away = away / persons.areas.sqrt().clamp(min=1e-8)[:, None, :, None]
    sigmas = assigner.oks_calculator.sigmas.to(away)
    weight = persons.visible / persons.visible.sum(dim=-1, keepdim=True).clamp(min=1e-8)
    similar: Tensor = (torch.exp(-((away / (2 * sigmas)) ** 2) / 2) * weight[:, None]).sum(dim=-1)
    return similar
