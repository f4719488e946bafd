"""Publish one recognizer as ONNX in Triton's model repository, proved equal to torch."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.export import export
from vigil.paths import Paths
from vigil.schema import write_json


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `triton_repo/<model>` and the parity report."""
    name = arguments.model
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    test = select(splits, rows, "test")
    training = select(splits, rows, "train")
    parity = export(paths.model(name), paths.triton_repo, test, config.export, training)
    write_json(paths.reports / f"{name}_export.json", parity)
    worst = max(parity["max_difference"].values())
    print(
        f"export: {name}: {parity['bytes'] / 1e6:.2f} MB, opset {parity['opset']}, largest "
        f"difference to torch {worst:.1e} over {parity['n_rows']} rows"
    )
    if "precision" in parity:
        gap = parity["to_fp32"]
        print(
            f"export: {name}: {parity['precision']}, same class as fp32 on {gap['agreement']:.1%} "
            f"of these rows, probabilities within {gap['largest']:.2g}; next: make verify"
        )


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
    )
