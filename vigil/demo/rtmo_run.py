"""A training of the demo's RTMO in progress: its numbers, its network, its checkpoints."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from vigil.demo.checkpoints import Run
from vigil.perception import rtmo_network

OUTSIDE_COST: Final = 1e4  # SimOTA adds 1e5 for a cell outside a person's box or center


# Face and shoulders, elbows, wrists, hips to ankles: what hands do is what blows are told by.
JOINT_WEIGHTS: Final = (*[1.0] * 7, *[1.5] * 2, *[3.0] * 2, *[1.0] * 6)


@dataclass(frozen=True)
class Recipe:
    """Numbers of the training; `minutes` is the whole budget of wall-clock time.

    Shares are of that budget. `encoder_factor` slows the attention layer, as RTMO's authors do.
    """

    minutes: float = 80.0
    batch: int = 16
    learning_rate: float = 6e-4
    encoder_factor: float = 0.2
    weight_decay: float = 0.05
    clip: float = 10.0
    warm_up: float = 0.02
    crops_until: float = 0.88
    crop_zoom: tuple[float, float] = (1.4, 2.6)
    focus: float = 0.9
    zoom: tuple[float, float] = (0.8, 1.25)
    averaging: float = 0.998
    checkpoint_minutes: float = 3.0
    validate_minutes: float = 6.0
    validate_images: int = 150
    seed: int = 0


@dataclass
class AveragedRun(Run):
    """A run whose averaged tensors are paired once, so that all move in one call."""

    def __post_init__(self) -> None:
        """Pair the tensors of the network with those of its average."""
        own, new = self.average.state_dict().values(), self.model.state_dict().values()
        pairs = [pair for pair in zip(own, new, strict=True) if pair[0].is_floating_point()]
        self.pairs = [list(tensors) for tensors in zip(*pairs, strict=True)]


def start(recipe: Recipe, device: torch.device, init: Path | None = None) -> AveragedRun:
    """A network, its moving average and its optimizer: from `init`, or fresh from the seed."""
    torch.manual_seed(recipe.seed)
    model: Any = rtmo_network.build_rtmo("demo")
    model.init_weights()
    if init is not None:
        rtmo_network.load_weights(model, init)
    _adapt(model.head)
    model = model.to(device, memory_format=torch.channels_last)
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = ("neck.encoder" in name, parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": parameters,
                "factor": recipe.encoder_factor if encoder else 1.0,
                "weight_decay": recipe.weight_decay if matrix else 0.0,
            }
            for (encoder, matrix), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
        fused=True,
    )
    return AveragedRun(model, copy.deepcopy(model).eval(), optimizer)


def _adapt(head: Any) -> None:
    """Set mmpose's head up for learning fast from nothing.

    The losses weigh as in the second stage of RTMO's authors from the beginning: scores and proxy
    poses learn from the coordinate classifier. And SimOTA gives a person up to ten of the cells
    inside its box instead of as many as already fit it well, which is one for a fresh network. The
    coordinate classifier learns joints by `JOINT_WEIGHTS`.
    """
    head.proxy_target_cc = True
    head.loss_mle.loss_weight = 5.0
    head.loss_oks.loss_weight = 10.0
    head.use_aux_loss = True  # L1 on the boxes
    head.assigner.candidate_topk = 6
    match = head.assigner.dynamic_k_matching

    def generous(
        cost: torch.Tensor, quality: torch.Tensor, persons: int, valid: torch.Tensor
    ) -> Any:
        return match(cost, (cost < OUTSIDE_COST).to(quality.dtype), persons, valid)

    head.assigner.dynamic_k_matching = generous
    classify, weights = head.loss_mle.forward, torch.tensor(JOINT_WEIGHTS)

    def weighted(outputs: torch.Tensor, targets: torch.Tensor, visible: torch.Tensor) -> Any:
        return classify(outputs, targets, visible * weights.to(visible))

    head.loss_mle.forward = weighted


@torch.no_grad()
def average(run: AveragedRun, recipe: Recipe) -> None:
    """Move the averaged weights and statistics a little towards the present ones."""
    decay = min(recipe.averaging, (1 + run.iteration) / (10 + run.iteration))
    own, new = run.pairs
    torch._foreach_lerp_(own, new, 1 - decay)
