"""ProtoGCN's layers for a processor give torch's numbers, gradients and running statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vigil.models.protogcn.layers import BatchNorm, MaxPool, hear, motion_graph


def pair(channels: int) -> tuple[BatchNorm, nn.BatchNorm2d]:
    """Return our normalization and torch's with the same weights."""
    ours, torchs = BatchNorm(channels), nn.BatchNorm2d(channels)
    nn.init.uniform_(ours.weight, 0.5, 2.0)
    nn.init.normal_(ours.bias)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def gradients(layer: nn.Module, x: Tensor, weight: Tensor) -> list[Tensor]:
    """Return the output of a layer, and the gradients of its input and parameters."""
    x = x.clone().requires_grad_()
    out = layer(x)
    (out * weight).sum().backward()
    assert x.grad is not None
    return [out.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("contiguous", [True, False])
def test_normalization_is_torchs_in_training_and_evaluation(
    offset: float, contiguous: bool
) -> None:
    """Also far from zero, where a variance by mean of squares has no digits left."""
    torch.manual_seed(0)
    ours, torchs = pair(6)
    for _ in range(2):
        x, weight = torch.randn(3, 6, 7, 5) + offset, torch.randn(3, 6, 7, 5)
        x = x if contiguous else x.transpose(2, 3)
        weight = weight.reshape(x.shape)
        for found, wanted in zip(
            gradients(ours, x, weight), gradients(torchs, x, weight), strict=True
        ):
            torch.testing.assert_close(found, wanted, atol=2e-3 if offset else 2e-5, rtol=1e-4)
    assert int(ours.num_batches_tracked) == 2
    for name, buffer in torchs.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[name], buffer)
    torch.testing.assert_close(
        ours.eval()(x), torchs.eval()(x), atol=2e-3 if offset else 2e-5, rtol=1e-4
    )


def test_the_gradient_of_the_normalization_is_the_derivative() -> None:
    torch.manual_seed(0)
    layer, x = BatchNorm(3).double(), torch.randn(2, 3, 4, 2, dtype=torch.float64)
    parameters = (x.requires_grad_(), layer.weight, layer.bias)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), parameters)


def test_one_value_per_channel_is_refused_as_torch_does() -> None:
    with pytest.raises(ValueError, match="more than 1 value"):
        BatchNorm(3)(torch.randn(1, 3, 1, 1))


def test_the_maximum_of_a_window_and_who_hears_of_it_are_torchs() -> None:
    """With many ties, of which the first one gets the gradient."""
    torch.manual_seed(0)
    x, weight = torch.randint(0, 3, (2, 16, 9, 5)).float(), torch.randn(2, 16, 5, 5)
    ours, torchs = MaxPool((3, 1), (2, 1), (1, 0)), nn.MaxPool2d((3, 1), (2, 1), (1, 0))
    for found, wanted in zip(gradients(ours, x, weight), gradients(torchs, x, weight), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("rows", [1, 2])
def test_the_motion_graph_is_the_equation_and_its_gradient_the_derivative(rows: int) -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 2, 2, 3, 4, dtype=torch.float64)
    base = torch.randn(rows, 2, 1, 4, 4, dtype=torch.float64)
    given = (query, key, base, torch.tensor(0.7, dtype=torch.float64))
    wanted = base + 0.7 * torch.tanh(query[..., :, None] - key[..., None, :])
    with torch.no_grad():
        torch.testing.assert_close(motion_graph(*given), wanted)
    for tensor in given:
        tensor.requires_grad_()
    torch.testing.assert_close(motion_graph(*given), wanted)
    assert torch.autograd.gradcheck(motion_graph, given)


def test_far_embeddings_give_a_graph_of_plus_and_minus_alpha() -> None:
    query = torch.tensor([300.0, -300.0]).reshape(1, 1, 1, 2).requires_grad_()
    graph = motion_graph(query, torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2, 2),
                         torch.tensor(0.5))  # fmt: skip
    assert graph.squeeze().tolist() == [[0.5, 0.5], [-0.5, -0.5]]


def test_every_joint_hears_the_whole_by_its_own_weight() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4, 6), torch.randn(7)
    torch.testing.assert_close(hear(x, weight, 5), x[..., :5] + x[..., 5:] * weight[:5])
