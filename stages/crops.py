"""Publish a recognizer of embeddings behind CLIP: one Triton model that takes crops."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.crop_graph import publish_crops
from vigil.models import store
from vigil.paths import Paths
from vigil.schema import write_json


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `triton_repo/<model>_crops` and its parity report."""
    name = arguments.model
    _, spec = store.load(paths.model(name))
    image = paths.onnx("clip_image")
    parity = publish_crops(spec, paths.triton_repo, image, config.export)
    write_json(paths.reports / f"{parity['model']}_export.json", parity)
    worst = max(parity["max_difference"].values())
    print(
        f"crops: {parity['model']}: {parity['bytes'] / 1e6:.2f} MB, largest difference to CLIP and "
        f"recognizer in turn {worst:.1e}"
    )


if __name__ == "__main__":
    run(main, __doc__, ("--model", {"default": "clip_gru", "help": "an entry of export.crops"}))
