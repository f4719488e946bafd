"""The head that graph networks share: class scores from the persons who are there.

A clip holds a fixed number of person slots and an empty slot is all zeros. It still passes through
the network, so averaging over all slots would let the number of empty ones move the scores. The
convention here, in training, export and serving alike:

- a person is there when at least one joint of one frame is not missing;
- the mean is taken over the persons who are there, and adding empty slots changes no score;
- in a clip with nobody the slots are all alike and their mean stands: what the network has learned
  to say of an empty clip.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from mmaction.models.heads import GCNHead
from mmaction.registry import MODELS
from torch import Tensor

from vigil.errors import InputError

Persons = Literal["present", "max", "all"]
_LEAST = -1e30  # below every feature; in half precision the least number there is


def mean_over_persons(x: Tensor, present: Tensor) -> Tensor:
    """Average over the persons who are there, or over all slots where nobody is.

    Args:
        x: (B, M, ...) values per person.
        present: (B, M) of 0 and 1, see `SkeletonInput.present`.

    Returns:
        (B, ...) means.
    """
    weight = _counted(x, present)
    return (x * (weight / weight.sum(dim=1, keepdim=True))).sum(dim=1)


def max_over_persons(x: Tensor, present: Tensor) -> Tensor:
    """Take the greatest value over the persons who are there, or over all slots where nobody is.

    Args:
        x: (B, M, ...) values per person.
        present: (B, M) of 0 and 1, see `SkeletonInput.present`.

    Returns:
        (B, ...) greatest values.
    """
    least = max(_LEAST, torch.finfo(x.dtype).min)
    return torch.where(_counted(x, present) > 0, x, torch.full_like(x, least)).amax(dim=1)


def _counted(x: Tensor, present: Tensor) -> Tensor:
    """Return 1 for each slot of (B, M, ...) that counts, else 0, in a shape that x multiplies."""
    present = present.to(x.dtype)
    counted = present + (1.0 - present.amax(dim=1, keepdim=True))
    return counted.reshape(-1, x.shape[1], *(1 for _ in x.shape[2:]))


@MODELS.register_module()
class PresentPersonsHead(GCNHead):  # type: ignore[misc]
    """Mean over time and joints, then over persons as `persons` says, dropout, one linear layer."""

    def __init__(
        self, num_classes: int, in_channels: int, persons: Persons = "present", **options: Any
    ) -> None:
        """Build the head.

        Args:
            num_classes: classes.
            in_channels: channels of the backbone's features.
            persons: `present` averages over who is there, `max` takes the greatest value over
                them; `all` averages over every slot, as the published networks do, for weights that
                were trained that way.
            options: of mmaction2's `GCNHead`: dropout, label_smooth_eps, ...

        Raises:
            InputError: an unknown value of `persons`.
        """
        super().__init__(num_classes, in_channels, **options)
        if persons not in get_args(Persons):
            raise InputError(f"persons: expected {', '.join(get_args(Persons))}, got {persons}")
        self.persons = persons

    def over_persons(self, x: Tensor, present: Tensor) -> Tensor:
        """Pool (B, M, ...) over persons as this head does, given who is there (B, M)."""
        if self.persons == "all":
            return x.mean(dim=1)
        pool = max_over_persons if self.persons == "max" else mean_over_persons
        return pool(x, present)

    def forward(self, x: Tensor | tuple[Tensor, ...], present: Tensor, **_: Any) -> Tensor:
        """Compute the class scores.

        Args:
            x: (B, M, C, T, V) features, or a tuple that begins with them.
            present: (B, M) who is there, see `SkeletonInput.present`.

        Returns:
            (B, classes) logits.
        """
        features = x[0] if isinstance(x, tuple) else x
        pooled = self.over_persons(features.mean(dim=(3, 4)), present)
        if self.dropout is not None:
            pooled = self.dropout(pooled)
        logits: Tensor = self.fc(pooled)
        return logits
