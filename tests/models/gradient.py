"""Write the gradient of one batch of eight clips; alone, or as one of torchrun's processes.

Run as `python -m tests.models.gradient ANNOTATIONS OUT`. Dropout is off and the statistics of the
normalization are frozen: without CUDA each process normalizes by its own clips.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tests.skeletons import config
from vigil import compat
from vigil.config import Config as Parameters
from vigil.models import processes
from vigil.models.runner import Job, runner_config

OFF = dict.fromkeys(
    (
        "flip",
        "rotate_deg",
        "scale",
        "jitter",
        "drop_joint",
        "drop_span",
        "crop",
        "time_scale",
        "offset",
    ),
    0.0,
)
LOSS = {"weights": "effective", "beta": 0.9, "focal_gamma": 1.0}


def main(annotations: Path, out: Path) -> None:
    compat.apply()
    from mmengine.config import Config
    from mmengine.runner import Runner

    from vigil.models import loop_hooks, training_hooks  # noqa: F401

    narrow = config(batch_size=8, augment=OFF, loss=LOSS).model_dump()
    narrow["dataset"]["clip_len"] = 24  # as long as the clips: no frame is drawn at random
    narrow["models"]["protogcn"]["base_channels"] = 32  # no branch so narrow that it is dead
    cfg = Parameters.model_validate(narrow)
    job = Job("protogcn", cfg, annotations, out / "run", None, [0] * 10 + [1] * 3, validate=True,
              processes=processes.count(), rank=processes.rank())  # fmt: skip
    runner = Runner.from_cfg(Config(runner_config(job)))
    loader = runner.build_dataloader(runner.cfg.train_dataloader, seed=0)
    model = runner.model.train()
    for layer in model.modules():
        if isinstance(layer, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.Dropout)):
            layer.eval()
    inner = model.module if processes.count() > 1 else model
    head, backbone = inner.cls_head, inner.backbone
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*head.parameters(), *backbone.parameters()):
            value += 0.05 * torch.randn(value.shape, generator=generator)
    batch = inner.data_preprocessor(next(iter(loader)), training=True)
    losses = model(**batch, mode="loss")
    (losses["loss_cls"] + losses["loss_csc"]).backward()
    found = {name: value.grad for name, value in inner.named_parameters()}
    found |= {"memory": head.contrast.means, "clips": torch.tensor(len(batch["data_samples"]))}
    torch.save(found, out / f"{processes.rank()}.pt")


if __name__ == "__main__":
    torch.manual_seed(0)
    with processes.group():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
