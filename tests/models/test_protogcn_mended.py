"""What is wrong in the published code is right here; each test fails on the published behavior."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.skeletons import annotation, config
from vigil import export, models
from vigil.config import LayoutSection
from vigil.dataset import tensors
from vigil.errors import ModelError
from vigil.models import store
from vigil.models.protogcn import ProtoGCNBackbone, ProtoGCNHead
from vigil.models.protogcn.prototypes import ClassContrast, PrototypeReconstruction
from vigil.models.protogcn.tcn import TemporalUnit

ROOT = Path(__file__).parent.parent.parent


class Sample:
    """The part of an mmaction2 sample that a head reads."""

    def __init__(self, label: int) -> None:
        self.gt_labels = type("Label", (), {"item": torch.tensor([label])})


def losses(alpha: float, dropout: float) -> tuple[ProtoGCNBackbone, ProtoGCNHead, Tensor]:
    """Return a fresh small network and its weighted contrastive loss on a random batch."""
    torch.manual_seed(0)
    backbone = ProtoGCNBackbone(9, base_channels=16, stages=(1, 1), alpha=alpha)
    head = ProtoGCNHead(3, 32, 9, w_csc=0.2, prototypes=10, topk=1)
    head.init_weights()
    head.reconstruction.dropout.p = dropout
    features = backbone(torch.randn(6, 2, 12, 9, 3))
    present = torch.ones(6, 2)
    found = head.loss(features, [Sample(i % 3) for i in range(6)], present=present)
    return backbone, head, found["loss_csc"]


def test_the_auxiliary_branch_is_alive_at_initialization_without_its_dropout() -> None:
    """With the published start nothing reaches the prototypes; see MODELS on the dead branch."""
    reached = {}
    for alpha in (0.0, 0.1):
        backbone, head, loss = losses(alpha, dropout=0.0)
        loss.backward()
        last = backbone.blocks[-1].gcn
        reached[alpha] = (
            float(head.reconstruction.memory.weight.grad.norm()),
            float(head.reconstruction.query.weight.grad.norm()),
            float(last.alpha.grad.norm()),
        )
    assert all(gradient > 1e-4 for gradient in reached[0.1]), reached
    assert reached[0.0][0] < 1e-2 * reached[0.1][0]
    assert reached[0.0][1] < 1e-2 * reached[0.1][1]


def test_the_heads_small_start_is_the_classifiers_alone() -> None:
    """mmaction2 would start every linear layer of the head, prototypes too, at 0.01."""
    _, head, _ = losses(0.1, dropout=0.0)
    assert float(head.fc.weight.detach().std()) == pytest.approx(0.01, rel=0.2)
    assert float(head.reconstruction.memory.weight.detach().std()) > 0.1
    assert float(head.contrast.embed.weight.detach().std()) > 0.03


def test_reconstruction_of_a_batch_equals_one_clip_after_another_in_one_pass() -> None:
    torch.manual_seed(0)
    branch = PrototypeReconstruction(32, 10, dropout=0.0).double()
    topology = torch.randn(4, 32, 5, 5).double()
    calls: list[tuple[int, ...]] = []
    branch.query.register_forward_pre_hook(lambda _, given: calls.append(tuple(given[0].shape)))
    found = branch(topology)
    assert calls == [(4, 25, 32)]
    rebuilt = []
    for clip in topology:
        weight = torch.softmax(branch.query(clip.reshape(32, 25).t()), dim=-1)
        rebuilt.append(branch.memory(weight).t().reshape(32, 5, 5))
    wanted = branch.fuse(torch.stack(rebuilt)).mean(1).reshape(4, 25)
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("joints", "channels"), [(5, 8), (17, 16), (33, 24)])
def test_sizes_follow_the_layout_and_the_width(joints: int, channels: int) -> None:
    """Published: 25 * 25 or 20 * 20 and 384, written as numbers."""
    head = ProtoGCNHead(2, channels, joints, prototypes=7)
    assert head.contrast.embed.in_features == joints**2
    assert head.reconstruction.memory.weight.shape == (channels, 7)
    topology = torch.randn(3, channels, joints, joints)
    assert head.reconstruction(topology).shape == (3, joints**2)


def test_the_prototype_branch_hears_only_persons_who_are_there() -> None:
    """A mean over all slots lets an empty slot's topology move the loss."""
    torch.manual_seed(0)
    head = ProtoGCNHead(2, 8, 5, prototypes=4, topk=1).eval()
    features, topology = torch.randn(2, 2, 8, 3, 5), torch.randn(2, 2, 8, 5, 5)
    present = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    found = []
    for shift in (0.0, 100.0):
        topology[0, 1] += shift
        loss = head.loss((features, topology), [Sample(0), Sample(1)], present=present)
        found.append(float(loss["loss_csc"].detach()))
    assert found[0] == pytest.approx(found[1])


def test_class_means_follow_true_positives_only() -> None:
    torch.manual_seed(0)
    loss = ClassContrast(25, 3, embedding=8)
    before = loss.means.clone()
    descriptor, labels = torch.randn(4, 25), torch.tensor([0, 0, 1, 2])
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [9.0, 0, 0], [0, 0, 9.0]])
    loss(descriptor, logits, labels).backward()
    embedded = loss.embed(descriptor).detach()
    torch.testing.assert_close(loss.means[0], 0.9 * before[0] + 0.1 * embedded[:2].mean(0))
    torch.testing.assert_close(loss.means[1], before[1])
    torch.testing.assert_close(loss.means[2], 0.9 * before[2] + 0.1 * embedded[3])
    assert loss.embed.weight.grad is not None


def test_class_means_are_saved_moved_and_hold_no_gradient() -> None:
    loss = ClassContrast(25, 2, embedding=8)
    right = torch.eye(2), torch.tensor([0, 1])
    for _ in range(2):  # a graph kept from the first step would fail in the second
        loss(torch.randn(2, 25), *right).backward()
    assert not loss.means.requires_grad
    assert loss.means.grad_fn is None
    assert dict(loss.named_buffers())["means"] is loss.means
    other = ClassContrast(25, 2, embedding=8)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.means, loss.means)
    assert loss.double().means.dtype == torch.float64
    assert loss.to("meta").means.device.type == "meta"


def test_class_means_rest_in_evaluation() -> None:
    loss = ClassContrast(25, 2).eval()
    before = loss.means.clone()
    loss(torch.randn(2, 25), torch.eye(2), torch.tensor([0, 1]))
    assert torch.equal(loss.means, before)


_RANK = """
import sys, torch
import torch.distributed as dist
from vigil.models.protogcn.prototypes import ClassContrast
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
descriptor, logits, labels = torch.load(sys.argv[4], weights_only=True)
module = ClassContrast(25, 3, embedding=8)
module.load_state_dict(torch.load(sys.argv[3], weights_only=True))
part = slice(rank * 3, rank * 3 + 3)
module(descriptor[part], logits[part], labels[part])
torch.save(module.means, sys.argv[5] + str(rank))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_class_means_of_two_processes_are_those_of_the_joined_batch(tmp_path: Path) -> None:
    """Real processes over gloo; class 0 is seen by both, 1 by the first alone, 2 by none."""
    torch.manual_seed(0)
    loss = ClassContrast(25, 3, embedding=8)
    labels = torch.tensor([0, 0, 1, 0, 2, 2])
    logits = nn.functional.one_hot(torch.tensor([0, 0, 1, 0, 0, 1]), 3).float()
    batch = (torch.randn(6, 25), logits, labels)
    torch.save(loss.state_dict(), tmp_path / "loss")
    torch.save(batch, tmp_path / "batch")
    files = [str(tmp_path / name) for name in ("store", "loss", "batch", "means")]
    ranks = [
        subprocess.Popen([sys.executable, "-c", _RANK, str(rank), *files], cwd=ROOT)
        for rank in range(2)
    ]
    assert [rank.wait(timeout=1200) for rank in ranks] == [0, 0]
    before = loss.means.clone()
    loss(*batch)
    for rank in range(2):
        found = torch.load(tmp_path / f"means{rank}", weights_only=True)
        torch.testing.assert_close(found, loss.means)
    assert not torch.equal(loss.means[1], before[1])
    assert torch.equal(loss.means[2], before[2])


def test_the_whole_recognizer_can_be_pickled_and_copied() -> None:
    """The published blocks hold lambdas."""
    spec = store.ModelSpec.of("protogcn", ("a", "b"), config().models, config().dataset)
    recognizer = store.build(spec)
    again = pickle.loads(pickle.dumps(recognizer))  # noqa: S301  our own object
    copied = copy.deepcopy(recognizer)
    names = list(recognizer.state_dict())
    assert list(again.state_dict()) == list(copied.state_dict()) == names


def separate(state: dict[str, Tensor], widths: list[int]) -> dict[str, Tensor]:
    """Rename a temporal unit's weights to six branches of their own, as they were once saved."""
    parted = {k: v for k, v in state.items() if not k.startswith(("squeeze", "dilated", "plain"))}
    for branch, rows in enumerate(torch.split(torch.arange(sum(widths)), widths)):
        for layer in (0, 1):
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                value = state.get(f"squeeze.{layer}.{name}")
                if value is not None:
                    own = value[rows] if value.ndim else value
                    parted[f"branches.{branch}.{layer}.{name}"] = own
        for name in ("weight", "bias"):
            if branch < 4:
                parted[f"branches.{branch}.3.{name}"] = state[f"dilated.{branch}.{name}"]
    return parted | {f"branches.5.{name}": state[f"plain.{name}"] for name in ("weight", "bias")}


def test_weights_saved_branch_by_branch_still_load(tmp_path: Path) -> None:
    unit, other = TemporalUnit(16, 5), TemporalUnit(16, 5)
    other.load_state_dict(separate(unit.state_dict(), unit.widths))
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in unit.state_dict().items())
    spec = store.ModelSpec.of("protogcn", ("a", "b"), config().models, config().dataset)
    source, target = store.build(spec), store.build(spec)
    earlier = {k: v for k, v in source.state_dict().items() if ".tcn." not in k}
    for name, module in source.named_modules():
        if isinstance(module, TemporalUnit):
            parted = separate(module.state_dict(), module.widths)
            earlier |= {f"{name}.{k}": v.clone() for k, v in parted.items()}
    save_file(earlier, tmp_path / "earlier.safetensors")
    assert store.begin(target, tmp_path / "earlier.safetensors") == []
    assert all(torch.equal(v, target.state_dict()[k]) for k, v in source.state_dict().items())
    save_file(earlier | {"backbone.alien": torch.zeros(1)}, tmp_path / "alien.safetensors")
    with pytest.raises(ModelError, match=r"the first backbone\.alien"):
        store.begin(target, tmp_path / "alien.safetensors")


WIDE = {
    "num_joints": 34,
    "parents": [0] * 34,
    "center": 0,
    "mirror": list(range(34)),
    "sources": [[joint] for joint in range(17)] * 2,
}


def test_a_layout_of_34_joints_is_built_from_parameters_and_exported(tmp_path: Path) -> None:
    """The published temporal unit holds 25 coefficients and fails beyond."""
    cfg = config()
    sections: Any = {
        "protogcn": cfg.models["protogcn"].model_copy(
            update={"layout": LayoutSection.model_validate(WIDE), "stream": "j+b"}
        )
    }
    spec = store.ModelSpec.of("protogcn", ("a", "b"), sections, cfg.dataset)
    assert models.model_config(sections["protogcn"], 2)["backbone"]["num_joints"] == 34
    recognizer = store.build(spec)
    store.save(tmp_path / "model", recognizer.state_dict(), spec)
    rows = [annotation(i, i % 2) for i in range(3)]
    keypoints, sizes, _ = tensors(rows, cfg.dataset)
    parity = export.export(tmp_path / "model", tmp_path / "repo", rows, cfg.export)
    assert max(parity["max_difference"].values()) < 1e-5
    with torch.inference_mode():
        features, _ = recognizer.backbone(
            recognizer.prepare(*(torch.from_numpy(np.asarray(a)) for a in (keypoints, sizes)))
        )
    assert features.shape[-1] == 34
