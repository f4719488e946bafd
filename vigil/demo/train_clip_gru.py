"""Pretrain the demo's CLIP-GRU on crops of simulated scenes, before it sees any footage.

    python -m vigil.demo.train_clip_gru --crops DIR --clip FILE --out DIR --epochs N

`--crops` holds `{train,val}_film*/crops.npz`, which look at scenes several times a second
(`vigil.demo.clip_data --every 0.2`), `--clip` is the CLIP whose vectors are read. The network is
the one of `models.clip_gru` in `params.yaml`; the training is the ordinary one, and a killed run
goes on from its last epoch when started again. DIR gets annotations, `clip_gru.safetensors` and
`metrics.json` (of the held-out scenes).
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any, Final

from vigil.config import Config, load
from vigil.dataset import ANNOTATIONS
from vigil.demo.films import collect
from vigil.demo.pretraining import fit

_NAME: Final = "clip_gru"
_LOG = logging.getLogger(__name__)


def pretraining(config: Config, epochs: int, init: str, lr: float) -> Config:
    """Return the parameters of the pretraining: the demo's network, a longer schedule."""
    values = config.model_dump()
    values["dataset"]["folds"] = 0
    values["train"] = {
        "all": config.train["all"]
        | config.train.get(_NAME, {})
        | {"epochs": epochs, "batch_size": 32, "warmup_epochs": 1, "ema_momentum": 0.005,
           "select": "last", "init": init, "lr": lr}
    }  # fmt: skip
    return Config.model_validate(values)


def pretrain(out: Path, crops: Path, clip: Path, config: Config) -> dict[str, Any]:
    """Embed the crops unless that is done, train unless that is done, and measure.

    Args:
        out: folder of the run.
        crops: see `vigil.demo.films.collect`.
        clip: weights of the demo's CLIP.
        config: of `pretraining`.

    Returns:
        Metrics with intervals on the windows of the held-out scenes, and their numbers.
    """
    out.mkdir(parents=True, exist_ok=True)
    annotations = out / ANNOTATIONS
    if not annotations.is_file():
        collect(crops, clip, config, out)
    return fit(_NAME, config, annotations, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Pretrain the demo's CLIP-GRU.")
    parser.add_argument("--crops", type=Path, required=True, help="folder of *_film*/crops.npz")
    parser.add_argument("--clip", type=Path, required=True, help="weights of the demo's CLIP")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--epochs", type=int, default=12, help="passes over the windows")
    parser.add_argument("--init", default="", help="weights to begin with")
    parser.add_argument("--lr", type=float, default=1e-3, help="highest learning rate")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger(__name__).setLevel(logging.INFO)
    config = pretraining(load(options.params)[0], options.epochs, options.init, options.lr)
    found = pretrain(options.out, options.crops, options.clip, config)
    (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n")
    _LOG.info("%s", json.dumps(found))


if __name__ == "__main__":
    main()
