"""ProtoGCN's equations in plain NumPy float64, with the published names: an independent witness.

Nothing here calls the product's code. `weights` draws random values for every name of the published
state dict, `logits` computes the class scores they stand for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SUBSETS, MIN_JOINTS = 8, 25


def weights(
    joints: int, classes: int, base: int, stages: tuple[int, ...], prototypes: int, seed: int = 0
) -> dict[str, Array]:
    """Draw a whole published state dict."""
    rng = np.random.default_rng(seed)
    state: dict[str, Array] = {}

    def linear(name: str, *shape: int, bias: bool = True) -> None:
        state[f"{name}.weight"] = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
        if bias:
            state[f"{name}.bias"] = rng.normal(0, 0.1, shape[0])

    def norm(name: str, size: int) -> None:
        state[f"{name}.weight"] = rng.uniform(0.5, 1.5, size)
        state[f"{name}.bias"] = rng.normal(0, 0.1, size)
        state[f"{name}.running_mean"] = rng.normal(0, 0.1, size)
        state[f"{name}.running_var"] = rng.uniform(0.5, 1.5, size)
        state[f"{name}.num_batches_tracked"] = np.array(7)

    norm("backbone.data_bn", joints * 3)
    widths = [base * 2**stage for stage, count in enumerate(stages) for _ in range(count)]
    for index, (before, width) in enumerate(zip([3, *widths], widths, strict=False)):
        unit = f"backbone.gcn.{index}"
        state[f"{unit}.gcn.A"] = rng.normal(0.04, 0.02, (SUBSETS, joints, joints))
        state[f"{unit}.gcn.alpha"] = rng.normal(0, 1, SUBSETS)
        state[f"{unit}.gcn.beta"] = rng.normal(0, 1, SUBSETS)
        for name in ("pre.0", "conv1", "conv2"):
            linear(f"{unit}.gcn.{name}", width, before, 1, 1)
        linear(f"{unit}.gcn.post", width, width, 1, 1)
        norm(f"{unit}.gcn.pre.1", width)
        norm(f"{unit}.gcn.bn", width)
        if before != width:
            linear(f"{unit}.gcn.down.0", width, before, 1, 1)
            norm(f"{unit}.gcn.down.1", width)
        narrow = width // 6
        for branch, size in enumerate([width - 5 * narrow, *[narrow] * 4]):
            linear(f"{unit}.tcn.branches.{branch}.0", size, width, 1, 1)
            norm(f"{unit}.tcn.branches.{branch}.1", size)
            if branch < 4:
                linear(f"{unit}.tcn.branches.{branch}.3.conv", size, size, 3, 1)
        linear(f"{unit}.tcn.branches.5", narrow, width, 1, 1)
        state[f"{unit}.tcn.add_coeff"] = rng.normal(0, 1, MIN_JOINTS)
        norm(f"{unit}.tcn.transform.0", width)
        linear(f"{unit}.tcn.transform.2", width, width, 1, 1)
        norm(f"{unit}.tcn.bn", width)
        if index and before != width:
            linear(f"{unit}.residual.conv", width, before, 1, 1)
            norm(f"{unit}.residual.bn", width)
    last = widths[-1]
    linear("backbone.post", last, last, 1, 1)
    norm("backbone.bn", last)
    linear("backbone.prn.query_matrix", prototypes, last, bias=False)
    linear("backbone.prn.memory_matrix", last, prototypes, bias=False)
    linear("cls_head.fc_cls", classes, last)
    linear("cls_head.csc_loss.cl_fc", 256, joints**2)
    return state


def logits(state: dict[str, Array], x: Array, stages: tuple[int, ...]) -> Array:
    """Compute (N, classes) scores of (N, M, T, V, 3) skeletons; all M slots are averaged."""
    clips, persons, frames, joints, _ = x.shape
    flat = x.reshape(clips * persons, frames, joints * 3).transpose(0, 2, 1)
    flat = _norm(state, "backbone.data_bn", flat)
    h = flat.reshape(clips * persons, joints, 3, frames).transpose(0, 2, 3, 1)
    index = 0
    for stage, count in enumerate(stages):
        for place in range(count):
            stride = 2 if stage > 0 and place == 0 else 1
            h = _block(state, f"backbone.gcn.{index}", h, stride, index == 0)
            index += 1
    pooled = h.mean(axis=(2, 3)).reshape(clips, persons, -1).mean(axis=1)
    return pooled @ state["cls_head.fc_cls.weight"].T + state["cls_head.fc_cls.bias"]


def _block(state: dict[str, Array], name: str, x: Array, stride: int, first: bool) -> Array:
    """Apply graph unit, temporal unit, residual and ReLU."""
    out = _temporal(state, f"{name}.tcn", _graph(state, f"{name}.gcn", x), stride)
    if not first:
        residual = x
        if f"{name}.residual.conv.weight" in state:
            residual = _pointwise(state, f"{name}.residual.conv", x[:, :, ::stride])
            residual = _norm(state, f"{name}.residual.bn", residual)
        out = out + residual
    return np.maximum(out, 0)


def _graph(state: dict[str, Array], name: str, x: Array) -> Array:
    """Mix joints: A + alpha tanh(q_i - k_j) + beta softmax over i of q_i . k_j."""
    n, _, frames, joints = x.shape
    shape = (n, SUBSETS, -1, frames, joints)
    q = _pointwise(state, f"{name}.conv1", x).mean(axis=2).reshape(n, SUBSETS, -1, joints)
    k = _pointwise(state, f"{name}.conv2", x).mean(axis=2).reshape(n, SUBSETS, -1, joints)
    inter = np.tanh(q[..., :, None] - k[..., None, :])
    scores = np.einsum("nkci,nkcj->nkij", q, k)
    grown = np.exp(scores - scores.max(axis=2, keepdims=True))
    intra = grown / grown.sum(axis=2, keepdims=True)
    graph = state[f"{name}.A"][None, :, None] + state[f"{name}.alpha"][0] * inter
    graph = graph + state[f"{name}.beta"][0] * intra[:, :, None]
    p = np.maximum(_norm(state, f"{name}.pre.1", _pointwise(state, f"{name}.pre.0", x)), 0)
    mixed = np.einsum("nkctv,nkcvw->nkctw", p.reshape(shape), graph)
    out = _pointwise(state, f"{name}.post", mixed.reshape(n, -1, frames, joints))
    residual = x
    if f"{name}.down.0.weight" in state:
        residual = _norm(state, f"{name}.down.1", _pointwise(state, f"{name}.down.0", x))
    return np.maximum(_norm(state, f"{name}.bn", out) + residual, 0)


def _temporal(state: dict[str, Array], name: str, x: Array, stride: int) -> Array:
    """Mix time in six branches over the joints and their mean."""
    joints = x.shape[3]
    x = np.concatenate([x, x.mean(axis=3, keepdims=True)], axis=3)
    parts = []
    for branch in range(5):
        unit = f"{name}.branches.{branch}"
        h = np.maximum(_norm(state, f"{unit}.1", _pointwise(state, f"{unit}.0", x)), 0)
        if branch < 4:
            kernel = state[f"{unit}.3.conv.weight"][..., 0]
            taps = _shifts(h, branch + 1, stride, 0.0)
            mixed = sum(np.einsum("oc,nctv->notv", kernel[..., i], tap) for i, tap in taps)
            parts.append(mixed + state[f"{unit}.3.conv.bias"][None, :, None, None])
        else:
            parts.append(np.max([tap for _, tap in _shifts(h, 1, stride, -np.inf)], axis=0))
    parts.append(_pointwise(state, f"{name}.branches.5", x[:, :, ::stride]))
    h = np.concatenate(parts, axis=1)
    h = h[..., :joints] + h[..., joints:] * state[f"{name}.add_coeff"][:joints]
    h = np.maximum(_norm(state, f"{name}.transform.0", h), 0)
    return _norm(state, f"{name}.bn", _pointwise(state, f"{name}.transform.2", h))


def _shifts(x: Array, dilation: int, stride: int, fill: float) -> list[tuple[int, Array]]:
    """Return the three taps of a kernel over time, with its padding."""
    pad = np.pad(x, ((0, 0), (0, 0), (dilation, dilation), (0, 0)), constant_values=fill)
    frames = x.shape[2]
    return [(i, pad[:, :, i * dilation : i * dilation + frames : stride]) for i in range(3)]


def _pointwise(state: dict[str, Array], name: str, x: Array) -> Array:
    """Apply a 1x1 convolution to (N, C, T, V)."""
    mixed = np.einsum("oc,nctv->notv", state[f"{name}.weight"][..., 0, 0], x, optimize=True)
    return mixed + state[f"{name}.bias"][None, :, None, None]


def _norm(state: dict[str, Array], name: str, x: Array) -> Array:
    """Normalize channels (axis 1) with the running statistics."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
    shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
    return x * scale.reshape(shape) + shift.reshape(shape)
