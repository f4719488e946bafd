"""How well a CLIP tells the classes of crops by prompts alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.demo.captions import KINDS, LABELS, prompts
from vigil.perception.clip_network import Clip, ImageGraph, TextGraph, tokenize

_BATCH = 64


def zero_shot(clip: Clip, columns: dict[str, NDArray[Any]], resamples: int = 1000) -> dict[str, Any]:  # fmt: skip  # noqa: E501
    """Judge crops by each class's averaged prompts; figures by kind of crop.

    Args:
        clip: the network.
        columns: crops as `vigil.demo.clip_data` writes them.
        resamples: bootstrap samples of whole scenes for the interval; 0 leaves it out.

    Returns:
        By kind: `n`, `accuracy` (share of crops), `balanced` (mean over classes), `recall` by
        class, `auc` (any event against normal), and `interval` of `balanced`, 95 %.
    """
    figures = {}
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero((columns["kind"] == number) & (columns["label"] >= 0))
        if not len(rows):
            continue
        chances = _chances(clip, columns["crops"][rows], kind)
        label, scene = columns["label"][rows], columns["scene"][rows]
        found = _figures(chances, label)
        if resamples:
            found["interval"] = _interval(chances, label, scene, resamples)
        figures[kind] = found
    return figures


def _chances(clip: Clip, crops: NDArray[np.uint8], kind: str) -> NDArray[np.float64]:
    """Return (N, 3) probabilities of the classes."""
    texts = prompts(kind)
    graph = ImageGraph(clip, crops.shape[1]).eval()
    with torch.no_grad():
        rows = [graph(torch.from_numpy(crops[i : i + _BATCH])).numpy()
                for i in range(0, len(crops), _BATCH)]  # fmt: skip
        means = [TextGraph(clip)(torch.from_numpy(tokenize(texts[label]))).numpy().mean(axis=0)
                 for label in LABELS]  # fmt: skip
    classes = np.stack([mean / np.linalg.norm(mean) for mean in means])
    logits = clip.logit_scale * np.concatenate(rows).astype(np.float64) @ classes.T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _figures(chances: NDArray[np.float64], label: NDArray[Any]) -> dict[str, Any]:
    right = chances.argmax(axis=1) == label
    recall = {name: float(right[label == i].mean()) for i, name in enumerate(LABELS)
              if (label == i).any()}  # fmt: skip
    return {"n": len(label), "n_by_class": np.bincount(label, minlength=len(LABELS)).tolist(),
            "accuracy": float(right.mean()), "balanced": float(np.mean(list(recall.values()))),
            "recall": recall, "auc": _auc(1 - chances[:, 0], label > 0)}  # fmt: skip


def _auc(score: NDArray[np.float64], event: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve, ties counted half; None without both classes."""
    positive, negative = score[event], np.sort(score[~event])
    if not len(positive) or not len(negative):
        return None
    below = np.searchsorted(negative, positive, "left")
    upto = np.searchsorted(negative, positive, "right")
    return float((below + upto).mean() / 2 / len(negative))


def _interval(
    chances: NDArray[np.float64], label: NDArray[Any], scene: NDArray[Any], resamples: int
) -> list[float]:
    """Return the 95 % interval of balanced accuracy, scenes drawn whole."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(scene == one) for one in np.unique(scene)]
    values = []
    for _ in range(resamples):
        drawn = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        values.append(_figures(chances[drawn], label[drawn])["balanced"])
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]
