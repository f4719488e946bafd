"""A batch's targets are those that mmpose's assigner gives image by image."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vigil.demo.drawing import draw_shard
from vigil.demo.image_store import ImageStore, Targets, View
from vigil.demo.images import scene_seeds
from vigil.demo.pose_data import Persons
from vigil.demo.pose_targets import assign_at_once
from vigil.demo.rtmo_run import Recipe, start
from vigil.demo.train_rtmo import SIZE, _sample
from vigil.weights import SHIPPED

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
CPU = torch.device("cpu")


@pytest.mark.parametrize("init", [SHIPPED / "rtmo.safetensors", None])
def test_losses_are_those_of_mmposes_own_assignment(init: object) -> None:
    """Of the shipped weights and of random ones; one image has nobody."""
    store = ImageStore(16, (640, 360), CPU)
    store.add(draw_shard(scene_seeds("train", 41, 12)))
    head_of = start(Recipe(), CPU, init).model.train()  # type: ignore[arg-type]
    images, persons = store.draw(10, View(SIZE), torch.Generator().manual_seed(1))
    there = persons.there & (persons.visible.sum(dim=-1) > 0)
    there[3] = False
    persons = replace(persons, there=there)
    with torch.no_grad():
        features = head_of.extract_feat(images)
    samples = [_sample(_of(persons, i), SIZE, CPU) for i in range(len(images))]
    wanted = head_of.head.loss(features, samples)
    assign_at_once(head_of.head)
    found = head_of.head.loss(features, persons)
    assert wanted.keys() == found.keys()
    assert float(found["num_samples"]) == float(wanted["num_samples"]) > 10
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def _of(persons: Targets, image: int) -> Persons:
    """One image's persons as arrays."""
    kept = persons.there[image]
    return Persons(*(getattr(persons, name)[image][kept].numpy()
                     for name in ("boxes", "keypoints", "visible", "areas")))  # fmt: skip
