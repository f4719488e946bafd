"""Measure CPU time of a recognizer in int8 beside fp32: as trained, or wide with random weights."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from vigil.benchmark.protogcn import interleaved
from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.export import write_onnx
from vigil.models import store
from vigil.paths import Paths
from vigil.quantization import TWIN, make_int8
from vigil.session import OnnxSession


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Print both times and their ratio, one row a run, one thread."""
    name = arguments.model
    if arguments.values:
        pairs = dict(pair.split("=") for pair in arguments.values.split(","))
        changes = {f"models.{key}": value.split("/") if "/" in value else value
                   for key, value in pairs.items()}  # fmt: skip
        config = config.override(name, changes)
        data = {"clip_len": arguments.frames, "max_persons": arguments.persons}
        dataset = config.dataset.model_copy(update=data)
        spec = store.ModelSpec.of(name, config.classes, config.models, dataset)
        recognizer = store.build(spec)
    else:
        recognizer, spec = store.load(paths.model(name))
    splits, annotations = read_annotations(paths.dataset / "annotations.pkl")
    rows = select(splits, annotations, "test")
    feeds = {key: array[:16] for key, array in spec.reads.batch(rows).feeds.items()}
    with TemporaryDirectory(prefix="vigil-int8-") as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(recognizer.inference_graph(), path.with_name(TWIN), spec)
        training = select(splits, annotations, "train")
        make_int8(path, spec.reads, config.export, feeds, training)
        small, plain = (OnnxSession(p, device="cpu") for p in (path, path.with_name(TWIN)))
        one = [{key: array[i : i + 1] for key, array in feeds.items()} for i in range(16)]
        found = interleaved(
            name,
            lambda: [small.run(row) for row in one],
            lambda: [plain.run(row) for row in one],
            arguments.rounds,
        )
    ratio = np.percentile(np.divide(found.plain_s, found.ours_s), (25, 50, 75))
    fp32, int8 = (np.median(times) / 16 * 1e3 for times in (found.plain_s, found.ours_s))
    print(
        f"bench_int8: {name}: CPU ms a row: fp32 {fp32:.2f}, int8 {int8:.2f}, {ratio[1]:.2f} times "
        f"as fast (quartiles {ratio[0]:.2f} to {ratio[2]:.2f} of {arguments.rounds} rounds)"
    )


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
        ("--values", {"default": "", "help": "key=value,...: another shape, random weights"}),
        ("--frames", {"type": int, "default": 100, "help": "frames T, with --values"}),
        ("--persons", {"type": int, "default": 2, "help": "persons M, with --values"}),
        ("--rounds", {"type": int, "default": 15, "help": "of 16 rows each, in turns"}),
    )
