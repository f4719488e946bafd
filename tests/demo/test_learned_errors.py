"""Learned errors come back in simulated people: where they were, as large, and as lasting."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from vigil.demo.disturbances import Disturbance
from vigil.demo.learned_errors import LearnedErrors, NobodyFoundError, learn, read, resample
from vigil.demo.sightings import Circumstances, Sightings, circumstances
from vigil.demo.world.scenes import Scene, make_scene
from vigil.errors import InputError
from vigil.models.layouts import layout
from vigil.schema import JOINTS

STEADY = Disturbance(**dict.fromkeys((field.name for field in fields(Disturbance)), 0.0))
WRIST, SHOULDER = 9, 5
SEEDS = range(100_000_000, 100_000_010)


def short(seed: int) -> Scene:
    """Return a short scene."""
    return make_scene(seed, fps=12, duration_s=5)


def seen(scene: Scene, rng: np.random.Generator, lasting: bool, lost: float) -> Sightings:
    """Return findings in which a wrist left of the middle of its box is found far below it.

    Args:
        scene: what happens.
        rng: source of the rest of the errors.
        lasting: whether the rest stays the same for a whole scene.
        lost: share of frames in which people in the left half of the picture are not found.
    """
    truth = circumstances(scene)
    people, frames = truth.there.shape
    rest = rng.laplace(0, 0.02, (people, 1 if lasting else frames, JOINTS, 2))
    error = np.broadcast_to(rest, (people, frames, JOINTS, 2)).astype(np.float32)
    error[:, :, WRIST, 1] += np.where(wrist_left(truth), 0.3, 0.0)
    found = truth.there & ~(left_half(truth) & (rng.random((people, frames)) < lost))
    score = np.where(found[..., None], rng.normal(0.7, 0.02, (people, frames, JOINTS)), 0)
    return Sightings(truth.features, error, score.astype(np.float32), found, truth.there)


def wrist_left(truth: Circumstances) -> NDArray[np.bool_]:
    """Tell where the wrist lies left of its box's middle."""
    return np.asarray(truth.uv[:, :, WRIST, 0] < truth.boxes[..., [0, 2]].mean(-1))


def left_half(truth: Circumstances) -> NDArray[np.bool_]:
    """Tell who is in the left half of the picture, 640 pixels wide."""
    return np.asarray(truth.boxes[..., [0, 2]].mean(-1) < 320)


def learned(lasting: bool = False, lost: float = 0.0, passes: int = 120) -> LearnedErrors:
    """Learn such errors from ten scenes; identities are left alone."""
    rng = np.random.default_rng(0)
    scenes = [seen(short(seed), rng, lasting, lost) for seed in SEEDS]
    return replace(learn(scenes, passes)[0], tracking=STEADY)


@pytest.fixture(scope="module")
def usual() -> LearnedErrors:
    return learned(lost=0.6)


def gaps(errors: LearnedErrors, seed: int) -> tuple[NDArray[np.float64], Scene]:
    """Return (A, T, 17, 2) errors in body extents of a scene that was not learned from."""
    scene = short(seed)
    truth = circumstances(scene)
    people = errors.people(scene, np.random.default_rng(seed))
    return (people.uv - truth.uv) / truth.extent[..., None, None], scene


def test_joints_are_moved_where_they_were_and_by_as_much(usual: LearnedErrors) -> None:
    inside, outside = [], []
    for seed in range(100_000_020, 100_000_028):
        error, scene = gaps(usual, seed)
        truth = circumstances(scene)
        left = wrist_left(truth)
        inside.append(error[truth.there & left][:, WRIST, 1])
        outside.append(error[truth.there & ~left][:, WRIST, 1])
        assert abs(np.median(error[truth.there][:, SHOULDER])) < 0.02
    assert np.median(np.concatenate(inside)) == pytest.approx(0.3, abs=0.08)
    assert np.median(np.concatenate(outside)) == pytest.approx(0.0, abs=0.08)


def test_the_scale_is_that_of_the_residuals(usual: LearnedErrors) -> None:
    every = []
    for seed in range(100_000_020, 100_000_028):
        error, scene = gaps(usual, seed)
        every.append(np.abs(error[circumstances(scene).there][:, SHOULDER]).ravel())
    assert 0.01 < np.mean(np.concatenate(every)) < 0.04  # 0.02 was put in


def test_people_are_lost_where_they_were_lost(usual: LearnedErrors) -> None:
    left, right = [], []
    for seed in range(100_000_020, 100_000_032):
        scene = short(seed)
        truth = circumstances(scene)
        found = (usual.people(scene, np.random.default_rng(seed)).score > 0).any(-1)
        half = left_half(truth)
        left.append(found[truth.there & half])
        right.append(found[truth.there & ~half])
        assert not found[~truth.there].any()
    assert 0.2 < np.concatenate(left).mean() < 0.6  # 0.4 was put in
    assert np.concatenate(right).mean() > 0.9


def test_what_lasted_lasts(usual: LearnedErrors) -> None:
    def correlation(errors: LearnedErrors) -> float:
        found = []
        for seed in range(100_000_020, 100_000_026):
            error, _ = gaps(errors, seed)
            one = error[0, :, SHOULDER, 0]
            found.append(np.corrcoef(one[1:], one[:-1])[0, 1])
        return float(np.mean(found))

    assert correlation(learned(lasting=True, passes=20)) > 0.5 > 0.3 > correlation(usual)


def test_residuals_come_in_blocks_mirrored_and_reversed_whole() -> None:
    """Every residual tells its joint and frame; x tells the side: 1, mirrored -1."""
    block = np.ones((40, JOINTS, 3), np.float32)
    block[..., 1] = np.arange(JOINTS)
    block[..., 2] = np.arange(40)[:, None]
    mirror, rng, told = list(layout("coco").mirror), np.random.default_rng(0), set()
    for _ in range(40):
        got = resample([block], 30, rng)
        assert got.shape == (30, JOINTS, 3)
        side = got[:, 0, 0]
        np.testing.assert_array_equal(got[..., 0], np.tile(side[:, None], JOINTS))
        for joints, mirrored in zip(got[..., 1], side < 0, strict=True):
            np.testing.assert_array_equal(joints, mirror if mirrored else range(JOINTS))
        step = np.diff(got[:, 0, 2])
        assert (np.abs(step) == 1).sum() >= 20  # few joins
        told |= set(zip(side[1:].tolist(), step.tolist(), strict=True)) & {
            (a, b) for a in (1.0, -1.0) for b in (1.0, -1.0)
        }
    assert len(told) == 4


def test_a_seed_gives_the_same_people_and_another_seed_others(usual: LearnedErrors) -> None:
    scene = short(100_000_020)
    first, again, other = (
        usual.people(scene, np.random.default_rng(seed)).uv for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_is_written_is_read(usual: LearnedErrors, tmp_path: Path) -> None:
    usual.write(tmp_path / "errors.safetensors")
    found = replace(read(tmp_path / "errors.safetensors"), tracking=STEADY)
    assert [len(part) for part in found.blocks] == [len(part) for part in usual.blocks]
    scene = short(100_000_020)
    before, after = (errors.people(scene, np.random.default_rng(0)) for errors in (usual, found))
    np.testing.assert_allclose(after.uv, before.uv, atol=1.0)  # halves of floats are kept
    np.testing.assert_array_equal(after.identity, before.identity)


def test_another_file_is_refused_in_one_line(usual: LearnedErrors, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "other")
    usual.write(tmp_path / "whole")
    state = load_file(tmp_path / "whole")
    moved = torch.zeros_like(state["lengths"])
    moved[0] = state["lengths"].sum()
    save_file(state | {"lengths": moved}, tmp_path / "empty")
    save_file(state | {"lengths": state["lengths"][1:]}, tmp_path / "short")
    for name in ("text", "other", "empty", "short", "none"):
        with pytest.raises(InputError, match=f"{name}: expected learned errors, got .") as refused:
            read(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_too_little_is_refused() -> None:
    rng = np.random.default_rng(0)
    scenes = [seen(short(seed), rng, False, 0.0) for seed in SEEDS[:2]]
    with pytest.raises(InputError, match="2 scenes or more, got 1"):
        learn(scenes[:1])
    nobody = [replace(scene, found=np.zeros_like(scene.found)) for scene in scenes]
    with pytest.raises(NobodyFoundError, match="people who are found for a while, got none"):
        learn(nobody, passes=1)


def test_loss_on_unseen_scenes_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    scenes = [seen(short(seed), rng, False, 0.0) for seed in SEEDS[:2]]
    _, (unseen, known) = learn(scenes, passes=60)
    assert known < unseen
