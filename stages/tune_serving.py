"""Choose instances, threads, batch and delay of a served recognizer by measuring this machine."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.models import store
from vigil.paths import Paths
from vigil.schema import write_json
from vigil.serving.tuning import tune
from vigil.triton_config import TUNING, write_configs

_ROWS = 64


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write the choice and its evidence beside the model, and the model's configurations anew."""
    model = paths.triton_repo / arguments.model
    splits, clips = read_annotations(paths.dataset / "annotations.pkl")
    spec = store.read_spec(paths.model(arguments.model))
    feeds = spec.reads.batch(select(splits, clips, "test")).feeds
    count = min(_ROWS, len(next(iter(feeds.values()))))
    rows = [{name: array[i : i + 1] for name, array in feeds.items()} for i in range(count)]
    found = tune(
        model, rows, config.tune_serving, config.serve.startup_timeout_s,
        lambda line: print(f"tune-serving: {line}", flush=True),
    )  # fmt: skip
    write_json(model / TUNING, found)
    write_configs(model, spec, config.export)
    chosen = ", ".join(f"{name} {value}" for name, value in found["chosen"].items())
    print(f"tune-serving: {arguments.model}: {chosen}; evidence in {model / TUNING}")


if __name__ == "__main__":
    run(main, __doc__, ("--model", {"default": "protogcn", "help": "a served recognizer"}))
