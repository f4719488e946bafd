"""Ask whether a recognizer cares when in a clip something happens: rolling it must not matter."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from vigil.command import run
from vigil.config import Config
from vigil.controls import position_bias
from vigil.dataset import read_annotations, select
from vigil.paths import Paths
from vigil.schema import write_json


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/<model>_controls.json` and print the change of AUC for every roll."""
    name = arguments.model
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    test = select(splits, rows, "test")
    found = position_bias(paths.model(name), test, config)
    report = paths.reports / f"{name}_controls.json"
    write_json(report, {"model": name, "n": len(test), "rolled": [asdict(one) for one in found]})
    for one in found:
        verdict = "within noise" if one.within_noise else "beyond noise"
        print(
            f"controls: {name}: rolled by {one.share:.2f}: AUC {one.auc:.3f}, change "
            f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}] 95 %, {verdict}"
        )


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
    )
