"""Train the demo's CLIP from nothing on crops of synthetic scenes, within given processor time.

    python -m vigil.demo.train_clip --data DIR --out DIR --minutes N

`--data` holds `train*/crops.npz` and `val/crops.npz` (see `vigil.demo.clip_data`). The network is
open_clip's `CLIP` of a small configuration; the loss is its symmetric contrastive one, with every
sentence of a batch that is true of a crop counted as right. A third of the batches says only the
class, a third the action, a third everything. The learning rate follows the processor time used,
so that a busy machine costs patience and not quality. Killed and
started again with the same `--out`, it goes on from its last checkpoint. Written there:
`checkpoint.pt`, `log.csv`, `metrics.json` and `clip.safetensors` (moving average, float16).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vigil.demo import captions
from vigil.demo.captions import ACTIONS, KINDS, LABELS
from vigil.demo.checkpoints import Run, descend, export_weights, report, resume, save
from vigil.demo.clip_augment import Motion, inputs, motions, move
from vigil.demo.clip_heads import Taught
from vigil.demo.clip_metrics import zero_shot
from vigil.demo.precision import half
from vigil.errors import InputError
from vigil.perception import clip_network
from vigil.schema import write_json

FIGHT: Final = tuple(ACTIONS.index(name) for name in ("victim", "push", "kick", "punch"))
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Recipe:
    """Numbers of the training; `minutes` is the whole budget of processor time.

    `shares` says how often normal, assault and faint crops are drawn; `joints` and `actions` weigh
    those losses beside that of sentences.
    """

    minutes: float = 40.0
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    clip: float = 1.0
    warm_up: float = 0.03
    shares: tuple[float, float, float] = (0.5, 0.27, 0.23)
    motion: Motion = field(default_factory=Motion)
    joints: float = 4.0
    actions: float = 1.0
    averaging: float = 0.995
    checkpoint_minutes: float = 0.5
    validate_minutes: float = 4.0
    seed: int = 0


def load_crops(data: Path, pattern: str) -> Columns:
    """Join the `crops.npz` of the folders that match.

    Raises:
        InputError: there is none.
    """
    parts = []
    for path in sorted(data.glob(f"{pattern}/crops.npz")):
        with np.load(path, allow_pickle=False) as found:
            parts.append({name: found[name] for name in found.files})
    if not parts:
        raise InputError(f"train_clip: {data}: expected {pattern}/crops.npz, got none")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def start(recipe: Recipe) -> Run:
    """A network, its moving average and its optimizer, fresh from the seed."""
    torch.manual_seed(recipe.seed)
    model = Taught(clip_network.build("demo"), clip_network.DIMENSIONS["demo"])
    model.clip.visual.to(memory_format=torch.channels_last)
    model.clip.token_embedding.requires_grad_(False)  # chance vectors of words serve as well
    free = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in free if p.ndim > 1]
    others = [p for p in free if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay},
         {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate, betas=(0.9, 0.98),
    )  # fmt: skip
    return Run(model, copy.deepcopy(model).eval(), optimizer)


def draw(columns: Columns, recipe: Recipe, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the rows of one batch, classes by the recipe's shares where they are there."""
    rows = [np.flatnonzero(columns["label"] == label) for label in range(len(LABELS))]
    wanted = rng.choice(len(LABELS), recipe.batch, p=recipe.shares)
    everything = np.arange(len(columns["label"]))
    return np.array([rng.choice(rows[label] if len(rows[label]) else everything)
                     for label in wanted], dtype=np.int64)  # fmt: skip


def sentences(
    columns: Columns, rows: NDArray[np.int64], mode: int, rng: np.random.Generator
) -> tuple[list[str], NDArray[np.bool_]]:
    """Return one sentence a crop and the (B, B) table of which sentence is true of which crop.

    Args:
        columns: the crops.
        rows: the B of this batch.
        mode: 0 the class, 1 the action, 2 everything.
        rng: chooses the words.
    """
    kind, label, action = (columns[name][rows] for name in ("kind", "label", "action"))
    if mode == 0:
        texts = [captions.class_caption(k, n, rng) for k, n in zip(kind, label, strict=True)]
        return texts, label[:, None] == label[None]
    if mode == 1:
        texts = [captions.action_caption(k, a, rng) for k, a in zip(kind, action, strict=True)]
        group = np.where(np.isin(action, FIGHT), FIGHT[0], action)
        same = (group[:, None] == group[None]) & (kind[:, None] == kind[None])
    else:
        colors = zip(columns["shirt"][rows].tolist(), columns["trousers"][rows].tolist(),
                     strict=True)  # fmt: skip
        night = columns["night"][rows].astype(bool).tolist()
        texts = [captions.full_caption(k, a, c, n, rng)
                 for k, a, c, n in zip(kind, action, colors, night, strict=True)]  # fmt: skip
        same = np.eye(len(rows), dtype=bool)
    words = np.array(texts)
    return texts, same | (words[:, None] == words[None])


def contrast(images: Tensor, texts: Tensor, scale: Tensor, right: Tensor) -> Tensor:
    """Symmetric contrastive loss in which several sentences may be true of a crop.

    Args:
        images: (B, D) of length 1.
        texts: (B, D) of length 1.
        scale: what cosines are multiplied by.
        right: (B, B) bool, sentence (column) true of crop (row); every row and column has one.
    """
    logits = scale * images @ texts.T
    truth = right.float()
    rows = -(torch.log_softmax(logits, 1) * truth).sum(1) / truth.sum(1)
    columns = -(torch.log_softmax(logits, 0) * truth).sum(0) / truth.sum(0)
    return (rows.mean() + columns.mean()) / 2


def step(run: Run, columns: Columns, tokens: dict[str, Any], recipe: Recipe) -> dict[str, float]:
    """One update of the weights and of their average; returns the parts of the loss.

    Args:
        run: changed in place; the same iteration always sees the same batch.
        columns: the training crops.
        tokens: keeps the tokens of sentences seen before.
        recipe: numbers of the training.
    """
    rng = np.random.default_rng([recipe.seed, run.iteration])
    rows = draw(columns, recipe, rng)
    theta = motions(len(rows), recipe.motion, rng)
    run.model.train()
    clip = run.model.clip
    with half(torch.device("cpu")):
        seen = clip.encode_image(inputs(columns["crops"][rows], theta, recipe.motion, rng))
    seen = torch.nn.functional.normalize(seen.float(), dim=-1)
    kind, action = (torch.from_numpy(columns[name][rows]) for name in ("kind", "action"))
    places = move(columns["joints"][rows], columns["visible"][rows], theta, columns["kind"][rows])
    parts = {"joints": run.model.joint_loss(seen, *places),
             "actions": run.model.action_loss(seen, kind, action)}  # fmt: skip
    loss = recipe.joints * parts["joints"] + recipe.actions * parts["actions"]
    if run.iteration % 2 == 0:
        texts, right = sentences(columns, rows, run.iteration // 2 % 3, rng)
        said = _said(clip, texts, tokens)
        parts["contrast"] = contrast(seen, said, clip.logit_scale.exp(), torch.from_numpy(right))
        loss = loss + parts["contrast"]
    _update(run, loss, recipe)
    return {name: float(value.detach()) for name, value in parts.items()}


def _said(clip: Any, texts: list[str], tokens: dict[str, Any]) -> Tensor:
    """Return (B, D) vectors, of length 1, of sentences; equal ones go through the network once."""
    each = sorted(set(texts))
    new = [text for text in each if text not in tokens]
    if new:
        tokens.update(zip(new, torch.from_numpy(clip_network.tokenize(new)), strict=True))
    with half(torch.device("cpu")):
        said = clip.encode_text(torch.stack([tokens[text] for text in each]))
    place = {text: number for number, text in enumerate(each)}
    said = torch.nn.functional.normalize(said.float(), dim=-1)
    return said[[place[text] for text in texts]]


def _update(run: Run, loss: Tensor, recipe: Recipe) -> None:
    """Follow the loss's gradient, and let the average follow the weights."""
    descend(run, loss, recipe.clip)
    keep = min(recipe.averaging, (1 + run.iteration) / (10 + run.iteration))
    with torch.no_grad():
        run.model.clip.logit_scale.clamp_(0, math.log(100))
        mean, now = run.average.state_dict(), run.model.state_dict()
        names = [n for n, v in now.items() if v.is_floating_point() and "token_emb" not in n]
        torch._foreach_lerp_([mean[n] for n in names], [now[n] for n in names], 1 - keep)


def set_schedule(run: Run, recipe: Recipe, progress: float) -> float:
    """Set the learning rate for this share of the budget; returns it."""
    warm = min(1.0, progress / recipe.warm_up) if recipe.warm_up else 1.0
    falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    rate = recipe.learning_rate * max(warm, 0.01) * falling
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    return rate


def train(data: Path, out: Path, recipe: Recipe) -> dict[str, Any]:
    """Train until the recipe's minutes are over; returns the final held-out figures.

    Raises:
        InputError: crops are missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = start(recipe)
    resume(run, out / "checkpoint.pt")
    columns, held_out = load_crops(data, "train*"), load_crops(data, "val")
    tokens: dict[str, Any] = {}
    begun = time.process_time() - run.seconds
    saved = validated = run.seconds
    losses: dict[str, list[float]] = defaultdict(list)
    while run.seconds < 60 * recipe.minutes:
        rate = set_schedule(run, recipe, run.seconds / (60 * recipe.minutes))
        for name, value in step(run, columns, tokens, recipe).items():
            losses[name].append(value)
        if run.iteration % 60 == 0:
            means = {name: float(np.mean(values)) for name, values in losses.items()}
            report(out, run, {"rate": rate, **means})
            losses.clear()
        run.seconds = time.process_time() - begun
        if run.seconds - saved > 60 * recipe.checkpoint_minutes:
            saved = run.seconds
            save(run, out / "checkpoint.pt")
        if run.seconds - validated > 60 * recipe.validate_minutes:
            validated = run.seconds
            export_weights(run.average.clip, out / "clip.safetensors", "clip")
            figures = zero_shot(clip_network.wrap(run.average.clip), held_out, resamples=0)
            report(out, run, {kind: figures[kind]["accuracy"] for kind in figures})
    save(run, out / "checkpoint.pt")
    export_weights(run.average.clip, out / "clip.safetensors", "clip")
    kept = clip_network.load(out / "clip.safetensors", "demo")
    found: dict[str, Any] = dict(zero_shot(kept, held_out))
    found |= {"minutes": run.seconds / 60, "iterations": run.iteration,
              "train_crops": len(columns["label"]),
              "train_scenes": len(set(columns["scene"].tolist())),
              "val_scenes": len(set(held_out["scene"].tolist())),
              "kinds": {name: int((columns["kind"] == i).sum()) for i, name in enumerate(KINDS)}
              }  # fmt: skip
    write_json(out / "metrics.json", found)
    return found


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train*/ and val/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes, help="processor time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = train(arguments.data, arguments.out, Recipe(minutes=arguments.minutes))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
