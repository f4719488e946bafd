"""Join recognizers by weights learned on validation clips; measure and publish the result."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.ensemble import load, named
from vigil.errors import InputError
from vigil.evaluation import learn
from vigil.export import publish
from vigil.fusion import Fused
from vigil.paths import Paths
from vigil.reporting import evaluate, show
from vigil.schema import write_json


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write what was learned, the fusion's reports, its `triton_repo` folder and its parity."""
    name = arguments.name
    fused = named(name, config, paths)
    if not isinstance(fused, Fused):
        raise InputError(f"fuse: expected one of {sorted(config.fusions)}, got {name}")
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    folds = [fused.at_fold(fold) for fold in range(config.dataset.folds)]
    for one in [fused, *folds]:
        learned = learn(one, splits, rows, config.fusions[name])
        weights = zip(learned.members, learned.weights, strict=True)
        print(
            f"fuse: {name}: on {learned.n} validation clips: "
            + ", ".join(f"{member} {weight:.2f}" for member, weight in weights)
            + f"; log loss {learned.loss:.3f}, with equal weights {learned.loss_equal:.3f}"
        )
    for summary in evaluate(name, fused, config, paths):
        print(show(summary))
    graph, spec = load(fused, name)
    feeds = spec.reads.batch(select(splits, rows, "test")).feeds
    parity = publish(graph, spec, paths.triton_repo, feeds, config.export)
    write_json(paths.reports / f"{name}_export.json", parity)
    worst = max(parity["max_difference"].values())
    print(
        f"fuse: {name}: one graph of {parity['bytes'] / 1e6:.2f} MB, largest difference to torch "
        f"{worst:.1e} over {parity['n_rows']} clips"
    )


if __name__ == "__main__":
    run(main, __doc__, ("--name", {"required": True, "help": "an entry of fusions"}))
