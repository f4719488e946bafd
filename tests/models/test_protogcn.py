"""ProtoGCN against the figures published for it and measured on the original."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.skeletons import config
from vigil import compat, models
from vigil.errors import InputError
from vigil.models import store

compat.apply()

from vigil.models.protogcn import ProtoGCNBackbone, ProtoGCNHead  # noqa: E402  after the bridges
from vigil.models.protogcn.gcn import GraphUnit  # noqa: E402
from vigil.models.protogcn.prototypes import ClassContrast, PrototypeReconstruction  # noqa: E402
from vigil.models.protogcn.tcn import TemporalUnit  # noqa: E402


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_blocks_have_the_published_number_of_parameters() -> None:
    blocks = [size(block) for block in ProtoGCNBackbone(25).blocks]
    assert blocks == [38769, *[64977] * 3, 224369, *[241649] * 2, 873777, *[945201] * 2]


@pytest.mark.parametrize(
    ("joints", "classes", "prototypes", "served", "trained"),
    [(20, 2, 100, 3.69, 4.02), (25, 60, 400, 3.73, 4.34)],
)
def test_whole_network_has_the_published_number_of_parameters(
    joints: int, classes: int, prototypes: int, served: float, trained: float
) -> None:
    backbone = ProtoGCNBackbone(joints)
    for w_csc, millions in ((0.0, served), (0.2, trained)):
        head = ProtoGCNHead(classes, 384, joints, w_csc=w_csc, prototypes=prototypes)
        assert (size(backbone) + size(head)) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize("joints", [17, 20, 25])
def test_shapes_for_every_layout(joints: int) -> None:
    backbone = ProtoGCNBackbone(joints).eval()
    with torch.inference_mode():
        features, topology = backbone(torch.randn(1, 2, 100, joints, 3))
    assert features.shape == (1, 2, 384, 25, joints)
    assert topology.shape == (1, 2, 384, joints, joints)
    assert topology.abs().max() == 0, "alpha and beta start at zero"


def test_graph_unit_equals_the_equations() -> None:
    torch.manual_seed(0)
    unit = GraphUnit(6, 16, 5, subsets=4).eval()
    nn.init.constant_(unit.alpha, 0.7)
    nn.init.constant_(unit.beta, 0.3)
    x = torch.randn(2, 6, 7, 5)
    out, correction = unit(x)
    q = torch.stack([unit.query(x[:, :, t]) for t in range(7)]).mean(0).view(2, 4, 4, 5)
    k = torch.stack([unit.key(x[:, :, t]) for t in range(7)]).mean(0).view(2, 4, 4, 5)
    inter = torch.tanh(q[..., :, None] - k[..., None, :])
    intra = torch.einsum("nkci,nkcj->nkij", q, k).softmax(dim=2)
    wanted = 0.7 * inter + 0.3 * intra[:, :, None]
    torch.testing.assert_close(correction, wanted, atol=1e-6, rtol=1e-5)
    graph = unit.graph[None, :, None] + wanted
    mixed = torch.einsum("nkctv,nkcvw->nkctw", unit.pre(x).view(2, 4, 4, 7, 5), graph)
    mixed = unit.norm(unit.post(mixed.reshape(2, 16, 7, 5))) + unit.residual(x)
    torch.testing.assert_close(out, torch.relu(mixed), atol=1e-5, rtol=1e-5)


def test_only_the_first_alpha_and_beta_count() -> None:
    unit = GraphUnit(6, 16, 5)
    with torch.no_grad():
        unit.alpha[1:] = 5.0
        unit.beta[1:] = 5.0
    assert unit.topology(torch.randn(2, 6, 7, 5)).abs().max() == 0


def test_temporal_unit_halves_time_and_hears_the_other_joints() -> None:
    unit = TemporalUnit(16, stride=2).eval()
    x = torch.randn(1, 16, 9, 5)
    assert unit(x).shape == (1, 16, 5, 5)
    other = x.clone()
    other[..., 1:] += 1.0
    torch.testing.assert_close(unit(x)[..., 0], unit(other)[..., 0])
    nn.init.constant_(unit.global_weight, 1.0)
    assert (unit(x)[..., 0] - unit(other)[..., 0]).abs().max() > 1e-3


def test_the_prototype_branch_lives_by_its_dropout_at_the_start() -> None:
    zero = torch.zeros(4, 32, 5, 5)
    for dropout, alive in ((0.0, False), (0.1, True)):
        torch.manual_seed(0)
        descriptor = PrototypeReconstruction(32, 10, dropout)(zero)
        assert descriptor.shape == (4, 25)
        assert bool(descriptor.abs().mean() > 1e-3) == alive


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
    assert "means" in loss.state_dict()
    assert loss.embed.weight.grad is not None


def test_class_means_rest_in_evaluation() -> None:
    loss = ClassContrast(25, 2).eval()
    before = loss.means.clone()
    logits, labels = torch.eye(2), torch.tensor([0, 1])
    loss(torch.randn(2, 25), logits, labels)
    torch.testing.assert_close(loss.means, before)


def test_dropping_the_training_branch_changes_no_score() -> None:
    torch.manual_seed(0)
    full = ProtoGCNHead(3, 32, 17, w_csc=0.2, prototypes=10, dropout=0.3).eval()
    slim = ProtoGCNHead(3, 32, 17, w_csc=0.0).eval()
    slim.load_state_dict({k: v for k, v in full.state_dict().items() if k.startswith("fc.")})
    features = (torch.randn(4, 2, 32, 6, 17), torch.randn(4, 2, 32, 17, 17))
    present = torch.ones(4, 2)
    assert torch.equal(full(features, present), slim(features, present))


@pytest.mark.parametrize(
    "options", [{"num_joints": 26}, {"num_joints": 17, "base_channels": 20},
                {"num_joints": 17, "stages": (2, 0)}]
)  # fmt: skip
def test_impossible_shapes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        ProtoGCNBackbone(**options)


def test_a_recognizer_is_found_by_name_and_an_unknown_one_refused() -> None:
    assert "protogcn" in models.types()
    with pytest.raises(InputError, match="expected one of protogcn"):
        models.section(config().models, "resnet")


@pytest.mark.parametrize("name", models.types())
def test_every_registered_model_reads_pixels_and_gives_probabilities(name: str) -> None:
    cfg = config()
    spec = store.ModelSpec.of(name, ("a", "b", "c"), cfg.models, cfg.dataset)
    graph = store.build(spec).inference_graph()
    x = torch.from_numpy(np.random.default_rng(0).uniform(1, 300, (3, 2, 16, 17, 3)))
    with torch.inference_mode():
        probabilities, logits = graph(x.float(), torch.full((3, 2), 640.0))
    assert probabilities.shape == logits.shape == (3, 3)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))
    torch.testing.assert_close(probabilities, logits.softmax(1))
