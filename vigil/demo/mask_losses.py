"""What the demo's SAM 2.1 is trained to make small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def loss(
    logits: torch.Tensor, iou: torch.Tensor, presence: torch.Tensor, masks: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Focal, dice, IoU and presence losses, each already weighted.

    Args:
        logits: (N, 1, s, s) mask logits, upsampled to the masks' size here.
        iou: (N, 1) estimated IoU.
        presence: (N, 1) logit of an object being there.
        masks: (N, S, S) in [0, 1]; empty for background prompts, which train presence alone.

    Returns:
        Scalars by name.
    """
    import torch
    from torch.nn import functional

    real = masks.flatten(1).amax(dim=1) > 0.5
    seen = functional.binary_cross_entropy_with_logits(presence[:, 0], real.float())
    large = functional.interpolate(logits, masks.shape[1:], mode="bilinear")[:, 0]
    large, masks, iou = large[real].flatten(1), masks[real].flatten(1), iou[real, 0]
    probability = large.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(large, masks, reduction="none")
    focal = (entropy * (probability - masks).detach().abs().add(0.1)).mean()
    overlap = 2 * (probability * masks).sum(1) + 1
    dice = 1 - overlap / (probability.sum(1) + masks.sum(1) + 1)
    with torch.no_grad():
        inside, truth = large > 0, masks > 0.5
        actual = (inside & truth).sum(1) / (inside | truth).sum(1).clamp(min=1)
    quality = functional.l1_loss(iou, actual)
    return {
        "focal": 10 * focal,
        "dice": dice.mean(),
        "iou": 0.3 * quality,
        "presence": 0.1 * seen,
    }


def people_loss(scores: Sequence[torch.Tensor], people: torch.Tensor) -> torch.Tensor:
    """Cross entropy of helper heads that tell persons from background at each feature level.

    They exist in training alone: without them the encoder learns only through the decoder.

    Args:
        scores: per level (B, 1, s, s) logits.
        people: (B, S, S) in [0, 1].

    Returns:
        Weighted scalar.
    """
    import torch
    from torch.nn import functional

    losses = []
    for score in scores:
        target = functional.adaptive_avg_pool2d(people[:, None], score.shape[-1])
        losses.append(functional.binary_cross_entropy_with_logits(score.float(), target))
    return 2 * torch.stack(losses).mean()
