"""The networks of the shelf against published figures, their originals and their equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.skeletons import config
from vigil import compat
from vigil.config import Config
from vigil.errors import InputError
from vigil.models import store
from vigil.models.layouts import layout

compat.apply()

from mmaction.models.backbones import STGCN  # noqa: E402  after the bridges
from mmaction.models.utils import Graph  # noqa: E402

from vigil.models.ctrgcn.backbone import CTRGCNBackbone  # noqa: E402
from vigil.models.ctrgcn.units import (  # noqa: E402
    GraphUnit,
    RefinedGraphConvolution,
    TemporalUnit,
)
from vigil.models.posec3d.heatmaps import Heatmaps  # noqa: E402
from vigil.models.shelf import graph_config  # noqa: E402
from vigil.models.stgcn.backbone import MatmulSTGCN  # noqa: E402

STGCNPP = {"gcn_adaptive": "init", "gcn_with_res": True, "tcn_type": "mstcn"}


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def published(name: str, **changes: Any) -> nn.Module:
    """Build a recognizer of two classes at its published width and depth."""
    cfg = config()
    width = {"base_channels": 64, "stages": (4, 3, 3), "layout": "coco", "stream": "j"}
    section = cfg.models[name].model_copy(update=width | changes)
    graph: nn.Module = store.build(
        store.ModelSpec.of(name, ("a", "b"), {name: section}, cfg.dataset)
    ).inference_graph()
    return graph


POSEC3D = {"base_channels": 32, "stages": (4, 6, 3), "heatmap_size": 56}


@pytest.mark.parametrize(
    ("name", "changes", "millions"),
    [
        ("stgcn", {}, 3.07),
        ("stgcnpp", {}, 1.38),
        ("aagcn", {"attention": False}, 3.44),
        ("posec3d", POSEC3D, 2.00),
    ],
)
def test_parameters_are_as_many_as_published(
    name: str, changes: dict[str, Any], millions: float
) -> None:
    assert size(published(name, **changes)) / 1e6 == pytest.approx(millions, abs=0.006)


def test_attention_adds_its_gates_alone() -> None:
    more = size(published("aagcn")) - size(published("aagcn", attention=False))
    gates = 0
    for channels, blocks in ((64, 4), (128, 3), (256, 3)):
        joint, time = channels * 17 + 1, channels * 9 + 1
        half = channels // 2
        gates += blocks * (joint + time + channels * half + half + half * channels + channels)
    assert more == gates


def test_ctrgcn_has_the_parameters_reported_for_it() -> None:
    """1.46 M with 25 joints and 120 classes, as papers that compare sizes report it."""
    backbone = CTRGCNBackbone({"layout": "nturgb+d", "mode": "spatial"})
    assert (size(backbone) + 257 * 120) / 1e6 == pytest.approx(1.46, abs=0.005)


@pytest.mark.parametrize(
    ("mode", "options"), [("stgcn_spatial", {}), ("spatial", STGCNPP)], ids=["stgcn", "stgcnpp"]
)
def test_without_einsum_it_is_still_mmaction2s_network(mode: str, options: dict[str, Any]) -> None:
    """Its weights load by their own names, and features agree."""
    shape = {"graph_cfg": {"layout": "coco", "mode": mode}, "base_channels": 16, **options}
    torch.manual_seed(0)
    theirs, ours = STGCN(**shape).eval(), MatmulSTGCN(**shape).eval()
    theirs.init_weights()
    for unit in theirs.modules():
        for key in ("A", "PA"):
            if isinstance(getattr(unit, key, None), nn.Parameter):
                nn.init.normal_(getattr(unit, key))
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 2, 16, 17, 3)
    with torch.inference_mode():
        wanted, given = theirs(x), ours(x)
    assert wanted.std() > 0.01
    torch.testing.assert_close(given, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["coco", "nturgb+d"])
def test_graphs_known_by_name_are_mmaction2s_own(name: str) -> None:
    assert graph_config(layout(name), "spatial") == {"layout": name, "mode": "spatial"}


def test_a_graph_of_another_layout_follows_its_bones() -> None:
    graph = Graph(**graph_config(layout("coco_new"), "spatial"))
    own, inward, outward = graph.A
    assert np.array_equal(own, np.eye(20))
    for child, parent in enumerate(layout("coco_new").parents):
        if child != parent:
            assert inward[parent, child] > 0
            assert outward[child, parent] > 0
    assert np.count_nonzero(inward) == np.count_nonzero(outward) == 19
    np.testing.assert_allclose(inward.sum(0)[:19], 1.0)


def test_refined_graph_convolution_equals_the_equations() -> None:
    torch.manual_seed(0)
    unit = RefinedGraphConvolution(24, 8).eval()
    x, graph, alpha = torch.randn(2, 24, 7, 5), torch.randn(5, 5), torch.tensor(0.6)
    q = torch.stack([unit.query(x[:, :, t]) for t in range(7)]).mean(0)
    k = torch.stack([unit.key(x[:, :, t]) for t in range(7)]).mean(0)
    wanted = torch.zeros(2, 8, 7, 5)
    value = unit.value(x)
    for i in range(5):
        for j in range(5):
            relation = torch.tanh(q[:, :, i] - k[:, :, j])[..., None, None]
            weight = graph[i, j] + alpha * unit.relation(relation)[..., 0, 0]
            wanted[..., i] += weight[..., None] * value[..., j]
    torch.testing.assert_close(unit(x, graph, alpha), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("channels", "width"), [(3, 8), (16, 8), (64, 8), (128, 16)])
def test_embeddings_are_an_eighth_as_wide_and_at_least_eight(channels: int, width: int) -> None:
    assert RefinedGraphConvolution(channels, 64).query.out_channels == width


def test_a_fresh_graph_unit_is_its_residual() -> None:
    unit = GraphUnit(16, 16, torch.rand(3, 5, 5)).eval()
    x = torch.randn(2, 16, 7, 5)
    torch.testing.assert_close(unit(x), torch.relu(x), atol=1e-4, rtol=0)


def test_the_temporal_unit_halves_time_and_keeps_joints_apart() -> None:
    torch.manual_seed(0)
    unit = TemporalUnit(16, stride=2).eval()
    x = torch.randn(1, 16, 9, 5)
    other = x.clone()
    other[..., 1:] += 1.0
    assert unit(x).shape == (1, 16, 5, 5)
    torch.testing.assert_close(unit(x)[..., 0], unit(other)[..., 0])


def test_time_is_halved_once_per_further_stage() -> None:
    backbone = CTRGCNBackbone(graph_config(layout("coco"), "spatial"), 6, 8, (1, 1, 1)).eval()
    with torch.inference_mode():
        assert backbone(torch.randn(2, 3, 48, 17, 6)).shape == (2, 3, 32, 12, 17)


@pytest.mark.parametrize("options", [{"base_channels": 10}, {"stages": (1, 0)}, {"stages": ()}])
def test_impossible_shapes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="ctrgcn: expected"):
        CTRGCNBackbone(graph_config(layout("coco"), "spatial"), **options)


def test_a_joint_is_drawn_where_it_is_as_high_as_its_score() -> None:
    x = torch.zeros(1, 2, 1, 3, 3)
    x[0, 0, 0, 0] = torch.tensor([-1.0, 1.0, 0.8])
    x[0, 0, 0, 1] = torch.tensor([0.0, 0.0, 0.5])
    x[0, 1, 0, 1] = torch.tensor([0.0, 0.0, 0.9])
    maps = Heatmaps(21, sigma=1.0, margin=0.0)(x)
    assert maps.shape == (1, 3, 1, 21, 21)
    assert maps[0, 0, 0, 20, 0] == pytest.approx(0.8), "x to the left, y at the bottom"
    assert maps[0, 0, 0, 20, 1] == pytest.approx(0.8 * np.exp(-0.5))
    assert maps[0, 1, 0, 10, 10] == pytest.approx(0.9), "the higher of two persons"
    assert maps[0, 2].max() == 0, "a missing joint draws nothing"


def test_a_bell_ends_at_three_sigmas() -> None:
    """Beyond it a CPU would multiply denormal numbers, ten times slower."""
    x = torch.zeros(1, 1, 1, 1, 3)
    x[..., 2] = 1.0
    row = Heatmaps(21, sigma=1.0, margin=0.0)(x)[0, 0, 0, 10]
    assert row[7:14].min() == pytest.approx(np.exp(-4.5), rel=1e-4)
    assert row[:7].max() == row[14:].max() == 0


def test_the_margin_keeps_joints_at_the_edge_inside() -> None:
    x = torch.zeros(1, 1, 1, 1, 3)
    x[0, 0, 0, 0] = torch.tensor([1.0, -1.0, 1.0])
    peak = Heatmaps(41, sigma=0.6, margin=0.25)(x)[0, 0, 0].argmax()
    assert divmod(int(peak), 41) == (4, 36)


@pytest.mark.parametrize("change", [{"stream": "b"}, {"norm": "body"}, {"heatmap_size": 20}])
def test_what_heat_maps_cannot_show_is_refused(change: dict[str, Any]) -> None:
    values = config().model_dump()
    values["models"]["posec3d"] |= change
    with pytest.raises(ValueError, match="posec3d"):
        Config.model_validate(values)


def test_an_unknown_type_is_refused_by_name() -> None:
    values = config().model_dump()
    values["models"]["stgcn"] |= {"type": "msg3d"}
    with pytest.raises(ValueError, match="'protogcn', 'stgcn', 'stgcnpp'"):
        Config.model_validate(values)
