"""Measure and publish one ensemble of trained recognizers, as `evaluate` and `export` do one."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.ensemble import load, named
from vigil.errors import InputError
from vigil.export import publish
from vigil.paths import Paths
from vigil.reporting import evaluate, show
from vigil.schema import write_json


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write the ensemble's reports, its `triton_repo` folder and its parity report."""
    name = arguments.name
    if name not in config.ensembles:
        raise InputError(f"ensemble: expected one of {sorted(config.ensembles)}, got {name}")
    trained = named(name, config, paths)
    for summary in evaluate(name, trained, config, paths):
        print(show(summary))
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    graph, spec = load(trained, name)
    feeds = spec.reads.batch(select(splits, rows, "test")).feeds
    parity = publish(graph, spec, paths.triton_repo, feeds, config.export)
    write_json(paths.reports / f"{name}_export.json", parity)
    members = len(config.ensembles[name].members)
    worst = max(parity["max_difference"].values())
    print(
        f"ensemble: {name}: {members} members in one graph of {parity['bytes'] / 1e6:.2f} MB, "
        f"largest difference to torch {worst:.1e} over {parity['n_rows']} rows"
    )


if __name__ == "__main__":
    run(main, __doc__, ("--name", {"required": True, "help": "an entry of ensembles"}))
