"""ProtoGCN against the figures published for it and measured on the original."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from tests.skeletons import config
from vigil import compat, models
from vigil.errors import InputError
from vigil.models import store

compat.apply()

from mmaction.registry import MODELS  # noqa: E402  after the bridges

from vigil.models.protogcn import ProtoGCNBackbone, ProtoGCNHead  # noqa: E402
from vigil.models.protogcn.gcn import GraphUnit  # noqa: E402
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


@pytest.mark.parametrize(("joints", "channels"), [(17, 3), (20, 6), (25, 3), (33, 2)])
def test_shapes_for_every_layout_and_number_of_channels(joints: int, channels: int) -> None:
    backbone = ProtoGCNBackbone(joints, channels).eval()
    with torch.inference_mode():
        features, topology = backbone(torch.randn(1, 2, 100, joints, channels))
    assert features.shape == (1, 2, 384, 25, joints)
    assert topology.shape == (1, 2, 384, joints, joints)


def test_the_published_start_has_no_motion_topology() -> None:
    x = torch.randn(1, 1, 8, 5, 3)
    for alpha, moves in ((0.0, False), (0.1, True)):
        _, topology = ProtoGCNBackbone(5, 3, 8, (1,), alpha=alpha)(x)
        assert bool(topology.abs().max() > 0) == moves


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
    unit = GraphUnit(6, 16, 5, alpha=0.0)
    with torch.no_grad():
        unit.alpha[1:] = 5.0
        unit.beta[1:] = 5.0
    assert unit.topology(torch.randn(2, 6, 7, 5)).abs().max() == 0


def test_temporal_unit_halves_time_and_hears_the_other_joints() -> None:
    unit = TemporalUnit(16, 5, stride=2).eval()
    x = torch.randn(1, 16, 9, 5)
    assert unit(x).shape == (1, 16, 5, 5)
    other = x.clone()
    other[..., 1:] += 1.0
    torch.testing.assert_close(unit(x)[..., 0], unit(other)[..., 0])
    nn.init.constant_(unit.global_weight, 1.0)
    assert (unit(x)[..., 0] - unit(other)[..., 0]).abs().max() > 1e-3


def test_averaging_over_time_and_the_pointwise_convolutions_commute() -> None:
    torch.manual_seed(0)
    unit, x = GraphUnit(6, 16, 5).double(), torch.randn(2, 6, 7, 5).double()
    for conv in (unit.query, unit.key):
        late = torch.stack([conv(frame) for frame in x.unbind(2)]).mean(0)
        torch.testing.assert_close(conv(x.mean(2)), late, atol=1e-12, rtol=0)


def test_dropping_the_training_branch_changes_no_score() -> None:
    """The served network is the trained one without its training-only weights, bit for bit."""
    cfg = config()
    params = cfg.models["protogcn"].model_copy(update={"base_channels": 16, "stages": (1, 1)})
    train = cfg.training("protogcn")
    with DefaultScope.overwrite_default_scope("mmaction"):
        full, slim = (MODELS.build(models.model_config(params, 3, t)) for t in (train, None))
    full.eval()
    dropped = set(full.state_dict()) - set(store.served(full.state_dict()))
    assert {name.split(".")[1] for name in dropped} == {"reconstruction", "contrast"}
    slim.load_state_dict(store.served(full.state_dict()))
    x, size = torch.rand(2, 2, 16, 17, 3) * 200, torch.full((2, 2), 640.0)
    with torch.inference_mode():
        pairs = zip(full.inference_graph()(x, size), slim.inference_graph()(x, size), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "options", [{"num_joints": 0}, {"num_joints": 17, "base_channels": 20},
                {"num_joints": 17, "stages": (2, 0)}]
)  # fmt: skip
def test_impossible_shapes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        ProtoGCNBackbone(**options)


def test_a_recognizer_is_found_by_name_and_an_unknown_one_refused() -> None:
    assert "protogcn" in models.types()
    with pytest.raises(InputError, match="expected one of protogcn"):
        models.section(config().models, "resnet")


@pytest.mark.parametrize("name", [name for name in models.types() if name != "clip_gru"])
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
