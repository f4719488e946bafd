"""ProtoGCN's speed against its plain form, measured side by side in one process.

Both forms hold the same weights and give the same numbers. Each round runs one after the other, in
alternating order, so that whatever else the machine does falls on both; what is reported is the
ratio of each round, its median and its quartiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vigil import compat, models
from vigil.benchmark.plain_protogcn import plain
from vigil.config import Config, ProtoGCNSection
from vigil.export import write_onnx
from vigil.models import store
from vigil.session import Device, OnnxSession

CLASSES = ("normal", "event")


@dataclass(frozen=True)
class Comparison:
    """One kind of run in both forms.

    Attributes:
        name: what was run.
        ours_s: seconds of each round of our form.
        plain_s: seconds of each round of the plain form.
    """

    name: str
    ours_s: tuple[float, ...]
    plain_s: tuple[float, ...]

    def line(self) -> str:
        """Return both medians and the ratio with its quartiles, for people."""
        ratio = np.divide(self.plain_s, self.ours_s)
        low, middle, high = np.percentile(ratio, (25, 50, 75))
        return (
            f"{self.name:28s} ours {np.median(self.ours_s) * 1e3:8.1f} ms, plain "
            f"{np.median(self.plain_s) * 1e3:8.1f} ms, {middle:.2f} times as fast "
            f"(quartiles {low:.2f} to {high:.2f} of {len(ratio)} rounds)"
        )


def interleaved(
    name: str,
    ours: Callable[[], object],
    other: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> Comparison:
    """Time two functions by turns, after two runs of each that do not count.

    Args:
        name: what they do.
        ours: our form; it ends when its work has ended, on a GPU too.
        other: the plain form, likewise.
        rounds: runs of each that count.
        clock: seconds; the processor's own time, which other work on the machine does not lengthen.
    """
    spent: dict[Callable[[], object], list[float]] = {ours: [], other: []}
    for index in range(rounds + 2):
        for run in (ours, other) if index % 2 else (other, ours):
            start = clock()
            run()
            spent[run].append(clock() - start)
    return Comparison(name, tuple(spent[ours][2:]), tuple(spent[other][2:]))


def training(
    params: ProtoGCNSection, config: Config, batch: int, rounds: int, device: Device = "cpu"
) -> Comparison:
    """Compare forward, losses and backward of one training step.

    Args:
        params: the network's section.
        config: clip length, persons and the training's section.
        batch: clips per step.
        rounds: see `interleaved`.
        device: `cpu`, timed by the processor's clock, or `cuda`, by the wall's.
    """
    ours = build(params, config).to(device)
    other = plain(ours).to(device)
    inputs, samples = clips(config, batch)
    inputs, samples = inputs.to(device), [sample.to(device) for sample in samples]
    return interleaved(
        f"training step, batch {batch}",
        lambda: step(ours, inputs, samples),
        lambda: step(other, inputs, samples),
        rounds,
        _clock(device),
    )


def serving(
    params: ProtoGCNSection, config: Config, batch: int, rounds: int, device: Device = "cpu"
) -> Comparison:
    """Compare ONNX Runtime's latency, on a CPU with one thread; see `training`."""
    ours = build(params, config)
    spec = store.ModelSpec.of("protogcn", CLASSES, {"protogcn": params}, config.dataset)
    inputs, _ = clips(config, batch)
    feeds = {
        "keypoints": inputs[:, 0].numpy(),
        "image_size": np.full((batch, 2), 640.0, np.float32),
    }
    sessions = []
    with TemporaryDirectory() as folder:
        for index, form in enumerate((ours, plain(ours))):
            path = Path(folder) / f"{index}.onnx"
            write_onnx(form.inference_graph(), path, spec)
            sessions.append(OnnxSession(path, intra_op_threads=1, device=device))
    return interleaved(
        f"ONNX Runtime, batch {batch}",
        lambda: sessions[0].run(feeds),
        lambda: sessions[1].run(feeds),
        rounds,
        _clock(device),
    )


def _clock(device: Device) -> Callable[[], float]:
    """Return the clock to go by: waiting for a GPU takes no time of the processor's."""
    return time.process_time if device == "cpu" else time.perf_counter


def build(params: ProtoGCNSection, config: Config) -> Any:
    """Return a recognizer with its training-only branch and a motion topology that is not zero."""
    compat.apply()
    import torch
    from mmaction.registry import MODELS
    from mmengine.registry import DefaultScope

    torch.manual_seed(0)
    described = models.model_config(params, len(CLASSES), config.training("protogcn"))
    with DefaultScope.overwrite_default_scope("mmaction"):
        recognizer = MODELS.build(described)
    for name, parameter in recognizer.named_parameters():
        if name.endswith(("alpha", "beta", "global_weight")):
            torch.nn.init.normal_(parameter, std=0.1)
    return recognizer


def clips(config: Config, batch: int) -> tuple[Any, list[Any]]:
    """Return random keypoints (batch, 1, M, T, 17, 3) float32 and their labeled samples."""
    import torch
    from mmaction.structures import ActionDataSample

    rng = torch.Generator().manual_seed(0)
    shape = (batch, 1, config.dataset.max_persons, config.dataset.clip_len, 17, 3)
    inputs = torch.rand(shape, generator=rng) * 300 + 1
    samples = [
        ActionDataSample(metainfo={"img_shape": (360, 640)}).set_gt_labels(i % len(CLASSES))
        for i in range(batch)
    ]
    return inputs, samples


def step(recognizer: Any, inputs: Any, samples: list[Any]) -> float:
    """Run forward, losses and backward; return the summed loss."""
    recognizer.train()
    recognizer.zero_grad()
    losses = recognizer(inputs, samples, mode="loss")
    total = sum(value for name, value in losses.items() if name.startswith("loss"))
    total.backward()
    return float(total.detach())
