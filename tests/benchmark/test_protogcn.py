"""The plain form is the same network, so its speed says something about ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.skeletons import config
from vigil.benchmark.plain_protogcn import plain
from vigil.benchmark.protogcn import Comparison, build, clips, interleaved, serving, step, training
from vigil.export import write_onnx
from vigil.models import store


def test_both_forms_give_the_same_losses_gradients_and_scores() -> None:
    """In float64, where nothing but the mathematics is left to differ."""
    cfg = config()
    params = cfg.models["protogcn"].model_copy(
        update={"base_channels": 16, "stages": (1, 1), "layout": "coco_new"}
    )
    ours = build(params, cfg)
    ours.cls_head.reconstruction.dropout.p = 0.0
    ours.cls_head.dropout = None
    other = plain(ours).double()
    ours.double()
    inputs, samples = clips(cfg, 3)
    inputs = inputs.double()
    assert step(ours, inputs, samples) == pytest.approx(step(other, inputs, samples), abs=1e-12)
    for a, b in zip(ours.backbone.blocks, other.backbone.blocks, strict=True):
        torch.testing.assert_close(a.gcn.query.weight.grad, b.gcn.unit.query.weight.grad,
                                   atol=1e-12, rtol=1e-9)  # fmt: skip
        parted = [branch[0].weight.grad for branch in list(b.tcn.branches)[:5]]
        torch.testing.assert_close(a.tcn.squeeze[0].weight.grad, torch.cat(parted),
                                   atol=1e-12, rtol=1e-9)  # fmt: skip
    size = torch.full((3, 2), 640.0).double()
    with torch.inference_mode():
        pairs = zip(ours.inference_graph()(inputs[:, 0], size),
                    other.inference_graph()(inputs[:, 0], size), strict=True)  # fmt: skip
        for found, wanted in pairs:
            torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-9)


def test_runs_take_turns_and_the_first_do_not_count() -> None:
    order: list[str] = []
    found = interleaved("x", lambda: order.append("a"), lambda: order.append("b"), rounds=3)
    assert len(found.ours_s) == len(found.plain_s) == 3
    assert "".join(order) == "baabbaabba"


def test_a_line_says_the_ratio_and_its_spread() -> None:
    line = Comparison("x", (0.1, 0.1, 0.1), (0.1, 0.2, 0.3)).line()
    assert "2.00 times as fast (quartiles 1.50 to 2.50 of 3 rounds)" in line


def test_training_and_serving_are_measured() -> None:
    cfg = config()
    for measure in (training, serving):
        found = measure(cfg.models["protogcn"], cfg, 2, 1)
        assert found.ours_s[0] > 0
        assert np.isfinite(found.plain_s[0])


def test_the_plain_form_is_what_ours_avoids(tmp_path: Path) -> None:
    """Were the plain form written like ours, the ratio would mean nothing."""
    cfg = config()
    ours = build(cfg.models["protogcn"], cfg)
    spec = store.ModelSpec.of("protogcn", ("a", "b"), cfg.models, cfg.dataset)
    counts = []
    for name, form in (("ours", ours), ("plain", plain(ours))):
        path = tmp_path / f"{name}.onnx"
        write_onnx(form.inference_graph(), path, spec)
        kinds = [node.op_type for node in onnx.load(path).graph.node]
        counts.append((kinds.count("Einsum"), kinds.count("Conv")))
    assert counts[0][0] == 0
    assert counts[1][0] == 3
    assert counts[1][1] > counts[0][1]
