"""Errors of the demo's own networks, learned from drawn scenes, for simulated skeletons.

`vigil.demo.disturbances` shakes joints by sizes measured once, nearly alike whatever people do.
Real errors depend on it: on who covers whom, how small somebody is, where an arm is. So a small
network learns, for each joint and from what is known of the person (`vigil.demo.sightings`), the
median and the scale of a Laplace distribution of where it is found, its score, and whether the
person is found at all. The residuals, divided by the scale, are kept as blocks of consecutive
frames; simulated people get such blocks one after another (a block bootstrap), so that errors last,
and joints err together, as they do. Identities are disturbed as ever.

Knows: pairs of truth and findings. Does not know: which networks made them, nor what is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.special import expit, ndtr
from torch import Tensor, nn

from vigil.demo.disturbances import Disturbance, People, identities, lasting, with_others
from vigil.demo.sightings import Sightings, circumstances
from vigil.demo.visibility import Floats
from vigil.demo.world.scenes import Scene
from vigil.errors import InputError
from vigil.files import atomic
from vigil.models.layouts import layout
from vigil.schema import JOINTS

# As the tracker does now; who is found, and where, is learned.
IDENTITIES: Final = Disturbance(exchange=0.4, broken=0.2, fall=0.3, phantom=0.1, double=0.05)
LEAST_SCENES: Final = 2  # one to learn from and one to judge
LEAST_SCORE: Final = 0.1  # joints below are missing, as `skeletons.keypoint_threshold` says
_MIRROR: Final = list(layout("coco").mirror)
_KEEP: Final = 0.9  # from frame to frame, of the chance of being lost
_LEAST_BLOCK: Final = 6  # frames
_MOST: Final = 15.0  # scales; residuals beyond are cut
_BATCH, _RATE, _DECAY = 512, 2e-3, 0.02


class NobodyFoundError(InputError):
    """Nobody is found for long enough to learn from: the networks have hardly learned."""


class ErrorNetwork(nn.Module):
    """What is found of a person on a frame, given the circumstances."""

    def __init__(self, features: int, width: int = 256, dropout: float = 0.2) -> None:
        """Set up for F features of `vigil.demo.sightings`."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(width, 5 * JOINTS + 1),
        )  # fmt: skip
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Judge (N, F) features.

        Returns:
            (N, 17, 2) error in body extents, (N, 17) logarithm of its scale, (N, 17) score,
            (N, 17) logarithm of its scale, (N,) logit of being found.
        """
        known = ((features - self.mean) / self.deviation).clamp(-4, 4)
        out = self.layers(known)
        error, scale, score, score_scale, found = out.split(
            [2 * JOINTS, JOINTS, JOINTS, JOINTS, 1], dim=1
        )
        placed = 0.1 * error.reshape(-1, JOINTS, 2)
        return placed, scale - 3, 0.3 * score + 0.8, score_scale - 2, found[:, 0]


@dataclass(frozen=True, eq=False)
class LearnedErrors:
    """What `learn` learned.

    Attributes:
        network: judges circumstances.
        blocks: of residuals: (T, 17, 3) float32 each, x and y of the error and the score.
        tracking: how identities go wrong.
    """

    network: ErrorNetwork
    blocks: Sequence[NDArray[np.float32]]
    tracking: Disturbance = IDENTITIES

    def people(self, scene: Scene, rng: np.random.Generator) -> People:
        """Make of a scene's people what the stage `skeletons` would have written of them.

        Args:
            scene: what happens.
            rng: source of every choice.
        """
        truth = circumstances(scene)
        error, scale, score, score_scale, found = judge(self.network, truth.features)
        shape = truth.there.shape
        left = np.stack([resample(self.blocks, shape[1], rng) for _ in range(shape[0])])
        error = error + left[..., :2] * np.exp(scale)[..., None]
        uv = truth.uv + error * truth.extent[..., None, None]
        score = np.clip(score + left[..., 2] * np.exp(score_scale), 0, 1)
        score[score < LEAST_SCORE] = 0
        seen = truth.there & (ndtr(lasting(shape, _KEEP, rng)) < expit(found))
        identity = identities(truth.uv, truth.boxes, scene.fps, self.tracking, rng)
        people = People(uv, truth.depth, truth.seen, score * seen[..., None], identity)
        size = (scene.width, scene.height)
        return with_others(people, scene.fps, size, self.tracking, rng)

    def write(self, path: Path) -> None:
        """Write everything as safetensors, atomically."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state["residuals"] = torch.from_numpy(np.concatenate(self.blocks)).half()
        state["lengths"] = torch.tensor([len(block) for block in self.blocks])
        with atomic(path) as partial:
            save_file({name: value.contiguous() for name, value in state.items()}, partial)


def resample(
    blocks: Sequence[NDArray[np.float32]], frames: int, rng: np.random.Generator
) -> Floats:
    """Return (T, 17, 3) residuals of one person: blocks, each perhaps mirrored and reversed.

    Args:
        blocks: of residuals, see `LearnedErrors`.
        frames: T.
        rng: source of every choice.
    """
    parts: list[Floats] = []
    missing = frames
    while missing > 0:
        block = blocks[rng.integers(len(blocks))].astype(np.float64)
        first = int(rng.integers(len(block))) if len(block) > missing else 0
        part = block[first : first + missing]
        if rng.random() < 0.5:
            part = part[:, _MIRROR] * np.array([-1.0, 1.0, 1.0])
        parts.append(part[::-1] if rng.random() < 0.5 else part)
        missing -= len(part)
    return np.concatenate(parts)


def read(path: Path) -> LearnedErrors:
    """Read what `LearnedErrors.write` wrote.

    Raises:
        InputError: no such file, or another.
    """
    try:
        state = load_file(path)
        lengths, left = state.pop("lengths"), state.pop("residuals").float().numpy()
        named = {name.removeprefix("network."): value for name, value in state.items()}
        network = ErrorNetwork(len(named["mean"]))
        network.load_state_dict(named)
        if lengths.min() < 1 or lengths.sum() != len(left):
            raise ValueError(f"{len(left)} residuals for blocks of {int(lengths.sum())}")
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected learned errors, got {reason}") from error
    ends = np.cumsum(lengths.numpy())[:-1]
    return LearnedErrors(network.eval(), np.split(left, ends))


def learn(
    scenes: Sequence[Sightings], passes: int = 12, seed: int = 0
) -> tuple[LearnedErrors, tuple[float, float]]:
    """Learn errors from scenes.

    Residuals are those of a network that has not seen the scene: one learns from every other scene
    and judges the rest, and the other way round. A third learns from all.

    Args:
        scenes: `LEAST_SCENES` or more.
        passes: over the person-frames.
        seed: of the weights and the order.

    Returns:
        What was learned, and the mean loss of `loss` of the first two on the scenes they have not
        seen and on those they have.

    Raises:
        InputError: fewer than `LEAST_SCENES`.
        NobodyFoundError: nobody found for `_LEAST_BLOCK` frames.
    """
    if len(scenes) < LEAST_SCENES:
        raise InputError(f"errors: expected {LEAST_SCENES} scenes or more, got {len(scenes)}")
    blocks: list[NDArray[np.float32]] = []
    losses = []
    for part in (0, 1):
        own, others = scenes[part::2], scenes[1 - part :: 2]
        network = fit(others, passes, seed + part)
        with torch.no_grad():
            losses.append([float(loss(network, *joined(some)).mean()) for some in (own, others)])
        for scene in own:
            blocks += residuals(network, scene)
    if not blocks:
        raise NobodyFoundError("errors: expected people who are found for a while, got none")
    unseen, seen = np.mean(losses, axis=0)
    return LearnedErrors(fit(scenes, passes, seed + 2), blocks), (float(unseen), float(seen))


def joined(scenes: Sequence[Sightings]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features, errors, scores and who was found of all who could be, one row each."""
    columns = [
        np.concatenate([getattr(scene, name)[scene.there] for scene in scenes])
        for name in ("features", "error", "score", "found")
    ]
    features, error, score, found = (torch.from_numpy(column) for column in columns)
    return features, error, score, found


def fit(scenes: Sequence[Sightings], passes: int, seed: int) -> ErrorNetwork:
    """Return a network that has learned from scenes."""
    torch.manual_seed(seed)
    features, *found = joined(scenes)
    network = ErrorNetwork(features.shape[1])
    network.mean.copy_(features.mean(0))
    network.deviation.copy_(features.std(0, correction=0) + 0.05)
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    steps = math.ceil(len(features) / _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=passes * steps)
    for _ in range(passes):
        for rows in torch.tensor_split(torch.randperm(len(features)), steps):
            value = loss(network, features[rows], *(column[rows] for column in found)).mean()
            optimizer.zero_grad()
            torch.autograd.backward(value)
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
    return network.eval()


def loss(
    network: ErrorNetwork, features: Tensor, error: Tensor, score: Tensor, found: Tensor
) -> Tensor:
    """Return (N,) losses: negative log-likelihoods, up to constants, of joints, scores and finding.

    Those of joints and scores are averaged over joints, that of being found counts twice.

    Args:
        network: judges.
        features: (N, F).
        error: (N, 17, 2) body extents, NaN where missing.
        score: (N, 17).
        found: (N,) who was found; the others' errors and scores do not count.
    """
    median, scale, usual, score_scale, logit = network(features)
    known = torch.isfinite(error).all(dim=-1) & found[:, None]
    gap = (torch.nan_to_num(error) - median).abs().sum(dim=-1)
    placed = ((gap / scale.exp() + 2 * scale) * known).sum(dim=1) / JOINTS
    rated = (score - usual).abs() / score_scale.exp() + score_scale
    rated = (rated * found[:, None]).sum(dim=1) / JOINTS
    there = nn.functional.binary_cross_entropy_with_logits(logit, found.float(), reduction="none")
    total: Tensor = placed + rated + 2 * there
    return total


@torch.no_grad()
def judge(network: ErrorNetwork, features: NDArray[np.float32]) -> list[Floats]:
    """Return what the network says of (A, T, F) features, as float64 arrays over (A, T)."""
    shape = features.shape[:2]
    flat = torch.from_numpy(np.ascontiguousarray(features.reshape(-1, features.shape[2])))
    said = [value.numpy().astype(np.float64) for value in network(flat)]
    return [value.reshape(*shape, *value.shape[1:]) for value in said]


def residuals(network: ErrorNetwork, scene: Sightings) -> list[NDArray[np.float32]]:
    """Return the blocks of a scene in which somebody is found: (T, 17, 3) residuals in scales.

    Joints that are missing err by nothing.
    """
    median, scale, usual, score_scale, _ = judge(network, scene.features)
    placed = np.nan_to_num((scene.error - median) / np.exp(scale)[..., None])
    rated = (scene.score - usual) / np.exp(score_scale)
    left = np.clip(np.concatenate([placed, rated[..., None]], axis=-1), -_MOST, _MOST)
    blocks = []
    for person, found in enumerate(scene.found & scene.there):
        frames = np.flatnonzero(found)
        for run in np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1):
            if len(run) >= _LEAST_BLOCK:
                blocks.append(left[person, run].astype(np.float32))
    return blocks
