"""Measure ProtoGCN's training step and ONNX latency against its plain form, at published width."""

from __future__ import annotations

from argparse import Namespace

from vigil.benchmark.protogcn import serving, training
from vigil.command import run
from vigil.config import Config, ProtoGCNSection
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.session import cuda_devices


def main(config: Config, _: Paths, arguments: Namespace) -> None:
    """Print one line per comparison."""
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("bench_protogcn: --device cuda: expected a CUDA device, got none")
    torch.set_num_threads(1)
    published = {
        "type": "protogcn", "layout": "coco_new", "stream": "j", "norm": "box", "min_score": 0.0,
        "dropout": 0.0, "base_channels": arguments.width, "stages": [4, 3, 3], "w_csc": 0.2,
        "n_prototypes": 400,
    }  # fmt: skip
    params = ProtoGCNSection.model_validate(published)
    dataset = config.dataset.model_copy(update={"clip_len": arguments.frames, "max_persons": 2})
    config = config.model_copy(update={"dataset": dataset})
    device = arguments.device
    where = "1 thread" if device == "cpu" else ", ".join(cuda_devices()) or "no CUDA device"
    print(f"bench_protogcn: width {arguments.width}, {arguments.frames} frames, {where}")
    for measure, batch in ((training, arguments.batch), (serving, 1), (serving, arguments.batch)):
        found = measure(params, config, batch, arguments.rounds, device)
        print(f"bench_protogcn: {found.line()}", flush=True)


if __name__ == "__main__":
    run(
        main, __doc__,
        ("--batch", {"type": int, "default": 8, "help": "clips per step"}),
        ("--rounds", {"type": int, "default": 10, "help": "runs of each form that count"}),
        ("--width", {"type": int, "default": 96, "help": "first width; published: 96"}),
        ("--device", {"default": "cpu", "choices": ["cpu", "cuda"], "help": "what computes"}),
        ("--frames", {"type": int, "default": 100, "help": "frames per clip; published: 100"}),
    )  # fmt: skip
