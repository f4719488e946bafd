"""ProtoGCN's head: class scores, and in training the weighted contrastive loss beside them."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.registry import MODELS
from torch import Tensor

from vigil.models.heads import PresentPersonsHead, mean_over_persons
from vigil.models.protogcn.prototypes import ClassContrast, PrototypeReconstruction


@MODELS.register_module()
class ProtoGCNHead(PresentPersonsHead):
    """`PresentPersonsHead` on the features, and in training the prototype branch on the topology.

    With `w_csc` above 0 it also holds the prototype branch and adds w_csc * CSC to the loss; with 0
    the branch does not exist and the network is the DG-STGCN that is deployed in either case.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_joints: int,
        w_csc: float = 0.2,
        prototypes: int = 400,
        **options: Any,
    ) -> None:
        """Build the head.

        Args:
            num_classes: classes.
            in_channels: channels of the backbone's features and topology.
            num_joints: joints V; the descriptor has V * V values.
            w_csc: weight of the contrastive loss.
            prototypes: number of prototypes of the reconstruction.
            options: of `PresentPersonsHead`: persons, dropout, label_smooth_eps, ...
        """
        only_fc = {"type": "Normal", "std": 0.01, "override": {"name": "fc"}}
        super().__init__(num_classes, in_channels, **{"init_cfg": only_fc, **options})
        self.w_csc = w_csc
        if w_csc > 0:
            self.reconstruction = PrototypeReconstruction(in_channels, prototypes)
            self.contrast = ClassContrast(num_joints**2, num_classes)

    def loss(
        self,
        feats: tuple[Tensor, Tensor],
        data_samples: list[Any],
        present: Tensor,
        **_: Any,
    ) -> dict[str, Tensor]:
        """Compute the training losses.

        Args:
            feats: features (B, M, C, T, V) and topology (B, M, C, V, V).
            data_samples: B mmaction2 samples with `gt_labels`.
            present: (B, M) who is there.

        Returns:
            `loss_cls`, and `loss_csc` already weighted.
        """
        logits = self(feats, present)
        losses: dict[str, Tensor] = self.loss_by_feat(logits, data_samples)
        if self.w_csc > 0:
            labels = torch.cat([sample.gt_labels.item for sample in data_samples])
            everybody = torch.ones_like(present) if self.persons == "all" else present
            descriptor = self.reconstruction(mean_over_persons(feats[1], everybody))
            loss = self.contrast(descriptor, logits, labels.to(logits.device))
            losses["loss_csc"] = self.w_csc * loss
        return losses
