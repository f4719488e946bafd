"""Splits keep groups whole, near their shares, and refuse leaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from vigil.errors import InputError
from vigil.splits import Item, check, make_splits, table


def items(groups: int = 20, each: int = 6, seed: int = 0) -> list[Item]:
    """Groups of uneven size; a group leans to one of three classes."""
    rng = np.random.default_rng(seed)
    made = []
    for group in range(groups):
        for clip in range(int(rng.integers(2, each + 1))):
            label = group % 3 if rng.random() < 0.8 else int(rng.integers(3))
            made.append(Item(f"{group}-{clip}", f"video{group}-{clip // 2}", f"g{group}", label))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_shares_are_near(seed: int) -> None:
    clips = items(seed=seed)
    splits = make_splits(clips, (0.6, 0.1, 0.3), 0, seed)
    home = {clip: name for name, members in splits.items() for clip in members}
    assert len(home) == len(clips) == sum(len(members) for members in splits.values())
    for group in {item.group for item in clips}:
        assert len({home[item.clip_id] for item in clips if item.group == group}) == 1
    by_id = {item.clip_id: item for item in clips}
    whole = Counter(item.label for item in clips)
    for name, share in (("train", 0.6), ("test", 0.3)):
        part = Counter(by_id[clip].label for clip in splits[name])
        for label, count in whole.items():
            assert part[label] / count == pytest.approx(share, abs=0.2)


def test_the_same_seed_gives_the_same_splits() -> None:
    assert make_splits(items(), (0.6, 0.1, 0.3), 3, 4) == make_splits(
        items(), (0.6, 0.1, 0.3), 3, 4
    )


def test_every_clip_is_tested_in_exactly_one_fold() -> None:
    clips = items()
    splits = make_splits(clips, (0.7, 0.1, 0.2), 5, 0)
    tested = [clip for fold in range(5) for clip in splits[f"test_{fold}"]]
    assert sorted(tested) == sorted(item.clip_id for item in clips)
    for fold in range(5):
        parts = [set(splits[f"{part}_{fold}"]) for part in ("train", "val", "test")]
        assert len(set.union(*parts)) == len(clips) == sum(len(part) for part in parts)


def test_a_share_of_zero_gets_nothing() -> None:
    assert make_splits(items(), (0.7, 0.0, 0.3), 0, 0)["val"] == []


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(InputError, match=r"at least 3 groups .* got 2"):
        make_splits(items(groups=2), (0.6, 0.1, 0.3), 0, 0)


@pytest.mark.parametrize("kind", ["clip", "video", "group"])
def test_a_leak_fails_loudly(kind: str) -> None:
    one = Item("a", "v1", "g1", 0)
    two = {
        "clip": one,
        "video": replace(one, clip_id="b", group="g2"),
        "group": replace(one, clip_id="b", video_id="v2"),
    }[kind]
    members = [one, two, Item("c", "v3", "g3", 0)]
    with pytest.raises(InputError, match=f"leak: {kind}"):
        check(members, {"train": ["a", "c"], "test": [two.clip_id]})


def test_a_class_nobody_can_learn_is_refused() -> None:
    members = [Item("a", "a", "a", 0), Item("b", "b", "b", 1)]
    with pytest.raises(InputError, match=r"train: expected every class, got none of class \[1\]"):
        check(members, {"train": ["a"], "test": ["b"]})


def test_unknown_ids_and_empty_tests_are_refused() -> None:
    members = [Item("a", "a", "a", 0)]
    with pytest.raises(InputError, match="expected labeled clips, got z"):
        check(members, {"train": ["z"]})
    with pytest.raises(InputError, match="test: expected at least one clip"):
        check(members, {"train": ["a"], "test": []})


def test_the_table_counts_clips_videos_and_groups() -> None:
    members = [Item("a", "v", "g", 0), Item("b", "v", "g", 1), Item("c", "w", "h", 1)]
    text = table(members, {"train": ["a", "b"], "test": ["c"]}, ("normal", "fall"))
    assert text.splitlines()[2:] == [
        "| train | 2 | 1 | 1 | 1 | 1 |",
        "| test | 1 | 0 | 1 | 1 | 1 |",
    ]
