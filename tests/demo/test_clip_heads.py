"""The heads that teach CLIP read joints and actions off its vectors."""

from __future__ import annotations

import torch

from vigil.demo.captions import ACTIONS, KINDS
from vigil.demo.clip_heads import Taught

DIM = 8


def heads() -> Taught:
    torch.manual_seed(0)
    return Taught(torch.nn.Identity(), DIM)


def test_only_joints_in_the_crop_are_asked_for() -> None:
    taught, vectors = heads(), torch.nn.functional.normalize(torch.randn(3, DIM), dim=1)
    joints, visible = torch.zeros(3, 2, 17, 2), torch.zeros(3, 2, 17)
    visible[:, 0] = 1
    before = taught.joint_loss(vectors, joints, visible)
    joints[:, 1] += 5
    assert taught.joint_loss(vectors, joints, visible) == before
    assert taught.joint_loss(vectors, joints, visible * 0) == 0


def test_an_action_is_judged_among_crops_of_its_kind() -> None:
    taught, vectors = heads(), torch.nn.functional.normalize(torch.randn(1, DIM), dim=1)
    walk = torch.tensor([ACTIONS.index("walk")])
    with torch.no_grad():
        taught.action.weight.zero_()
        taught.action.bias.zero_()
        taught.action.bias[walk] = 9.0  # of the first kind alone
    losses = [taught.action_loss(vectors, torch.tensor([kind]), walk) for kind in range(len(KINDS))]
    assert losses[0] < losses[1] == losses[2]
