"""Which clips train, which choose and which test: whole groups, stratified, checked for leaks."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError


@dataclass(frozen=True)
class Item:
    """What a split must know of a clip.

    Attributes:
        clip_id: the clip.
        video_id: its video.
        group: scene, camera or session; never divided between parts.
        label: class index.
    """

    clip_id: str
    video_id: str
    group: str
    label: int


def split_name(part: str, fold: int | None) -> str:
    """Return `train`, or `train_2` for fold 2."""
    return part if fold is None else f"{part}_{fold}"


def assign(items: Sequence[Item], shares: Sequence[float], seed: int) -> list[int]:
    """Give every group to a part so that each part nears its share of every class.

    Groups are taken largest first (equal ones in random order); each goes where it lessens most
    the squared distance to the wanted counts per class.

    Args:
        items: labeled clips.
        shares: wanted share of each part, summing to 1.
        seed: random seed of the order of equal groups.

    Returns:
        One part index per item.
    """
    classes = max(item.label for item in items) + 1
    counts: dict[str, NDArray[np.float64]] = {}
    for item in items:
        counts.setdefault(item.group, np.zeros(classes))[item.label] += 1
    total = sum(counts.values(), np.zeros(classes))
    share = np.asarray(shares, float)
    wanted = np.outer(share, total)
    given = np.zeros_like(wanted)
    names = sorted(counts)
    order = np.random.default_rng(seed).permutation(len(names))
    chosen: dict[str, int] = {}
    weight = 1.0 / np.maximum(total, 1.0)
    for name in sorted((names[i] for i in order), key=lambda name: -counts[name].sum()):
        lacking = (wanted - given) * weight
        filled = lacking - counts[name] * weight
        gain = np.square(filled).sum(1) - np.square(lacking).sum(1)
        part = int(np.argmin(np.where(share > 0, gain / np.maximum(share, 1e-9), np.inf)))
        given[part] += counts[name]
        chosen[name] = part
    return [chosen[item.group] for item in items]


def make_splits(
    items: Sequence[Item], shares: tuple[float, float, float], folds: int, seed: int
) -> dict[str, list[str]]:
    """Make `train`, `val`, `test`, and for cross-validation `train_0`, `val_0`, `test_0`, ...

    In fold k the test part is the k-th of `folds` parts, and the validation part is cut from the
    rest; over all folds every clip is tested exactly once.

    Args:
        items: labeled clips.
        shares: wanted shares of train, val and test.
        folds: number of cross-validation folds, 0 for none.
        seed: random seed.

    Returns:
        Clip ids of every split.

    Raises:
        InputError: fewer groups than parts, a class missing from train, or a leak.
    """
    needed = max(sum(share > 0 for share in shares), folds)
    groups = len({item.group for item in items})
    if groups < needed:
        raise InputError(
            f"dataset: expected at least {needed} groups (videos or scenes) to split, got {groups}"
        )
    splits = _named(items, assign(items, shares, seed), "")
    if folds:
        parts = assign(items, [1.0 / folds] * folds, seed)
        keep = 1.0 - shares[1] / max(shares[0] + shares[1], 1e-9)
        for fold in range(folds):
            rest = [item for item, part in zip(items, parts, strict=True) if part != fold]
            inner = dict(
                zip([i.clip_id for i in rest], assign(rest, (keep, 1 - keep), seed), strict=True)
            )
            named = [inner.get(item.clip_id, 2) for item in items]
            splits |= _named(items, named, f"_{fold}")
    check(items, splits)
    return splits


def _named(items: Sequence[Item], parts: Sequence[int], suffix: str) -> dict[str, list[str]]:
    return {
        name + suffix: [i.clip_id for i, part in zip(items, parts, strict=True) if part == index]
        for index, name in enumerate(("train", "val", "test"))
    }


def check(items: Sequence[Item], splits: Mapping[str, Sequence[str]]) -> None:
    """Refuse splits that leak or cannot be learned from.

    Args:
        items: labeled clips.
        splits: clip ids of `train`, `val`, `test`, with or without a fold's suffix.

    Raises:
        InputError: a clip, video or group lies in two parts, an id is unknown, a train part lacks a
            class, or a test part is empty.
    """
    by_id = {item.clip_id: item for item in items}
    classes = {item.label for item in items}
    for suffix in sorted({name.partition("_")[2] for name in splits}):
        tail = f"_{suffix}" if suffix else ""
        home: dict[tuple[str, str], str] = {}
        for part in ("train", "val", "test"):
            for clip in splits.get(part + tail, ()):
                if clip not in by_id:
                    raise InputError(f"split {part + tail}: expected labeled clips, got {clip}")
                _claim(home, by_id[clip], part + tail)
        missing = classes - {by_id[clip].label for clip in splits.get("train" + tail, ())}
        if missing:
            raise InputError(
                f"split train{tail}: expected every class, got none of class {sorted(missing)}"
            )
        if not splits.get("test" + tail):
            raise InputError(f"split test{tail}: expected at least one clip, got none")


def _claim(home: dict[tuple[str, str], str], item: Item, part: str) -> None:
    """Note that `part` holds the item's clip, video and group; refuse a second owner."""
    for kind, name in (("clip", item.clip_id), ("video", item.video_id), ("group", item.group)):
        owner = home.setdefault((kind, name), part)
        if owner != part:
            raise InputError(f"leak: {kind} {name}: expected in one split, got {owner} and {part}")


def table(
    items: Sequence[Item], splits: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> str:
    """Return the splits as a Markdown table: clips per class, videos and groups of each."""
    by_id = {item.clip_id: item for item in items}
    lines = [
        f"| split | clips | {' | '.join(classes)} | videos | groups |",
        "|---" * (len(classes) + 4) + "|",
    ]
    for name, clips in splits.items():
        rows = [by_id[clip] for clip in clips]
        per_class = Counter(row.label for row in rows)
        cells = [str(len(rows)), *(str(per_class[i]) for i in range(len(classes)))]
        cells += [str(len({row.video_id for row in rows})), str(len({row.group for row in rows}))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def listing(
    items: Sequence[Item], splits: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> str:
    """Return the splits as CSV text `split,clip_id,video_id,group,label`, a row per clip."""
    by_id = {item.clip_id: item for item in items}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "clip_id", "video_id", "group", "label"])
    for name, clips in splits.items():
        for item in (by_id[clip] for clip in clips):
            writer.writerow([name, item.clip_id, item.video_id, item.group, classes[item.label]])
    return text.getvalue()
