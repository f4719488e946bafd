"""Class weights as published, and one loss for every head: weighed, smoothed, focal."""

from __future__ import annotations

import numpy as np
import pytest

from vigil import compat

compat.apply()

import torch  # noqa: E402  after the bridges
from mmaction.models.losses import CrossEntropyLoss  # noqa: E402
from mmaction.registry import MODELS  # noqa: E402
from mmaction.structures import ActionDataSample  # noqa: E402

from vigil.models.losses import ClassificationLoss, class_weights  # noqa: E402

# UCF-Crime's training videos per class, and the weights at beta 0.999 (sum 13).
UCF_CRIME = {
    "Abuse": (48, 0.982), "Arrest": (45, 1.046), "Arson": (41, 1.145), "Assault": (47, 1.002),
    "Burglary": (87, 0.552), "Explosion": (29, 1.610), "Fighting": (45, 1.046),
    "RoadAccidents": (127, 0.386), "Robbery": (145, 0.341), "Shooting": (27, 1.727),
    "Shoplifting": (29, 1.610), "Stealing": (95, 0.508), "Vandalism": (45, 1.046),
}  # fmt: skip
COUNTS = [count for count, _ in UCF_CRIME.values()]
RATIOS = {0.9: 1.06, 0.99: 3.23, 0.999: 5.07, 0.9999: 5.34}


def logits(rows: int = 6, classes: int = 3) -> torch.Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(0))


def test_effective_weights_are_the_published_ones_on_ucf_crime() -> None:
    weights = class_weights(COUNTS, "effective", 0.999)
    assert weights is not None
    np.testing.assert_allclose(weights.round(3), [w for _, w in UCF_CRIME.values()], atol=1e-9)
    assert weights.sum() == pytest.approx(13)


@pytest.mark.parametrize(("beta", "ratio"), RATIOS.items())
def test_beta_says_how_far_the_weights_part(beta: float, ratio: float) -> None:
    weights = class_weights(COUNTS, "effective", beta)
    assert weights is not None
    assert round(weights.max() / weights.min(), 2) == ratio


def test_inverse_weights_are_the_limit_of_effective_ones() -> None:
    inverse, nearly = (
        class_weights(COUNTS, "inverse", 0.5), class_weights(COUNTS, "effective", 1 - 1e-9)
    )  # fmt: skip
    assert inverse is not None
    assert nearly is not None
    assert round(inverse.max() / inverse.min(), 2) == 5.37
    np.testing.assert_allclose(inverse, nearly, rtol=1e-5)


def test_a_class_without_clips_weighs_nothing() -> None:
    for how in ("inverse", "effective"):
        weights = class_weights([30, 0, 10], how, 0.99)  # type: ignore[arg-type]
        assert weights is not None
        assert weights[1] == 0
        assert weights.sum() == pytest.approx(2)
    assert class_weights([30, 0], "none", 0.99) is None


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 0.5]])
@pytest.mark.parametrize("smooth", [False, True])
def test_without_focus_it_is_the_weighted_cross_entropy(
    weights: list[float] | None, smooth: bool
) -> None:
    labels = torch.tensor([0, 1, 2, 0, 0, 1])
    targets = torch.nn.functional.one_hot(labels, 3) * 0.9 + 0.1 / 3 if smooth else labels
    found = ClassificationLoss(weights)(logits(), targets)
    torch.testing.assert_close(found, CrossEntropyLoss(class_weight=weights)(logits(), targets))


def test_focus_multiplies_by_one_minus_p_to_the_gamma() -> None:
    labels = torch.tensor([0, 1, 2, 0, 0, 1])
    p = logits().softmax(1)[range(6), labels]
    found = ClassificationLoss(focal_gamma=2.0)(logits(), labels)
    torch.testing.assert_close(found, (-((1 - p) ** 2) * p.log()).mean())


def test_a_clip_known_for_sure_gives_a_finite_gradient() -> None:
    sure = torch.tensor([[100.0, -100.0]], requires_grad=True)
    ClassificationLoss(focal_gamma=0.5)(sure, torch.tensor([0])).backward()
    assert sure.grad is not None
    assert torch.isfinite(sure.grad).all()


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 5])
def test_heads_of_mmaction2_take_it(gamma: float, smoothing: float, rows: int) -> None:
    head = MODELS.build(
        {"type": "mmaction.GCNHead", "num_classes": 3, "in_channels": 4, "topk": 1,
         "label_smooth_eps": smoothing,
         "loss_cls": {"type": "mmaction.ClassificationLoss", "class_weight": [1.0, 2.0, 3.0],
                      "focal_gamma": gamma}}
    )  # fmt: skip
    samples = [ActionDataSample().set_gt_labels(index % 3) for index in range(rows)]
    losses = head.loss(torch.randn(rows, 2, 4, 8, 17), samples)
    losses["loss_cls"].backward()
    assert torch.isfinite(losses["loss_cls"])
    assert head.fc.weight.grad.abs().sum() > 0
    assert "loss_cls.class_weight" not in head.state_dict()
