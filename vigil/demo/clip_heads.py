"""What teaches the demo's CLIP beside sentences: where the joints in a crop lie, and what is done.

Linear heads on the vector that is shipped, so what they read off it is in it. They are not shipped.
Knows: crops' joints and actions. Does not know: sentences, nor how crops are made.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vigil.demo.captions import ACTIONS, KINDS
from vigil.schema import JOINTS

PEOPLE: Final = 2


class Taught(nn.Module):
    """A CLIP and its heads, which are trained together."""

    def __init__(self, clip: Any, dim: int) -> None:
        """Take the network and the length of its vectors."""
        super().__init__()
        self.clip, self.gain = clip, dim**0.5
        self.joints = nn.Linear(dim, PEOPLE * JOINTS * 2)
        self.action = nn.Linear(dim, len(KINDS) * len(ACTIONS))

    def joint_loss(self, vectors: Tensor, joints: Tensor, visible: Tensor) -> Tensor:
        """Return the smooth L1 distance of the joints that lie in the crops.

        Args:
            vectors: (B, D) of length 1.
            joints: (B, 2, 17, 2), -1 to 1 across the crop.
            visible: (B, 2, 17) of 0 and 1.
        """
        guess = self.joints(vectors * self.gain).unflatten(1, (PEOPLE, JOINTS, 2))
        away = functional.smooth_l1_loss(guess, joints, beta=0.1, reduction="none").sum(-1)
        return (away * visible).sum() / visible.sum().clamp(min=1)

    def action_loss(self, vectors: Tensor, kind: Tensor, action: Tensor) -> Tensor:
        """Return the cross-entropy of the (B,) actions, judged by crops of the same kind."""
        logits = self.action(vectors * self.gain).unflatten(1, (len(KINDS), len(ACTIONS)))
        own = logits[torch.arange(len(kind)), kind]
        return functional.cross_entropy(own, action, label_smoothing=0.05)
