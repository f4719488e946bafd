"""Train the demo's segmenter: a small SAM 2.1 from nothing on synthetic scenes, box prompts.

`python -m vigil.demo.train_sam2 --data DIR --out DIR --minutes N`

DIR holds `train/` and `val/`, each with COCO `annotations.json` and `images/` as written by
`vigil.demo.images`. Only what image mode needs is trained: the memory that carries masks from
frame to frame keeps its random start. A killed run goes on from its last checkpoint when started
again. OUT gets `sam2.safetensors` (moving average) and `metrics.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vigil.demo.mask_data import read_scenes, sample
from vigil.demo.mask_losses import loss, people_loss
from vigil.demo.mask_metrics import evaluate
from vigil.perception import sam2

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)
_WARMUP_STEPS = 150


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes:
        minutes: wall-clock time of training, resumed runs counted together.
        crops: parts of images per step.
        prompts: boxes per crop, at most.
        learning_rate: peak of AdamW's.
        checkpoint_minutes: time between checkpoints.
        seed: of the weights and the order of the data.
        init: weights to begin with instead of random ones.
    """

    minutes: float = 120.0
    crops: int = 4
    prompts: int = 3
    learning_rate: float = 4e-4
    checkpoint_minutes: float = 3.0
    seed: int = 0
    init: Path | None = None


class Run:
    """A training run that can stop at any step and go on from its last checkpoint."""

    def __init__(self, data: Path, out: Path, options: Options) -> None:
        """Build the network and its optimizer, or take them up where they stopped.

        Args:
            data: folder with `train/`.
            out: folder of the run.
            options: how to train; a resumed run keeps its clock but obeys new options.
        """
        import torch

        torch.manual_seed(options.seed)
        self.options = options
        self.scenes = read_scenes(data / "train")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network: Any = (
            sam2.load_sam2(options.init) if options.init else sam2.build_sam2("demo")
        ).to(self.device)
        self.network = network
        channels = (32, 64, 256)
        self.helpers = torch.nn.ModuleList(torch.nn.Conv2d(c, 1, 1) for c in channels)
        self.helpers.to(self.device)
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}
        parameters = [*network.parameters(), *self.helpers.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, weight_decay=0.01)
        self.checkpoint = out / "checkpoint.pt"
        self.seconds = 0.0
        self.step = 0
        if self.checkpoint.is_file():
            self._restore()

    def train(self) -> dict[str, torch.Tensor]:
        """Train until the time is used up.

        Returns:
            The moving average of the weights, on the CPU.
        """
        self.network.train()
        limit = self.options.minutes * 60
        saved = logged = self.seconds
        history: list[dict[str, float]] = []
        batches = self._batches()
        while self.seconds < limit:
            start = time.monotonic()
            history.append(self._advance(next(batches), self.seconds / limit))
            self.seconds += time.monotonic() - start
            if self.seconds - logged > 60:
                logged = self.seconds
                self._log(history)
                history = []
            if self.seconds - saved > self.options.checkpoint_minutes * 60:
                saved = self.seconds
                self._save()
        self._save()
        return {k: v.cpu() for k, v in self.average.items()}

    def _batches(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Inputs and people in them; per prompt which input, box and mask. Without end."""
        import torch

        size = self.network.image_size
        rng = np.random.default_rng([self.options.seed, self.step])
        queue: list[int] = []
        while True:
            parts = []
            for _ in range(self.options.crops):
                queue = queue or list(rng.permutation(len(self.scenes.files)))
                parts.append(sample(self.scenes, queue.pop(), size, self.options.prompts, rng))
            yield (
                torch.stack([part.pixels for part in parts]),
                torch.from_numpy(np.stack([part.people for part in parts])),
                torch.tensor([k for k, part in enumerate(parts) for _ in part.boxes]),
                torch.from_numpy(np.concatenate([part.boxes for part in parts])),
                torch.from_numpy(np.concatenate([part.masks for part in parts])),
            )

    def _advance(self, batch: Sequence[torch.Tensor], progress: float) -> dict[str, float]:
        """One step at a share of the run in [0, 1]; returns the losses."""
        import torch

        rate = self.options.learning_rate * max(0.5 * (1 + math.cos(math.pi * progress)), 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * min((self.step + 1) / _WARMUP_STEPS, 1)
        pixels, people, owner, boxes, masks = (item.to(self.device) for item in batch)
        with _half(self.device):
            features = sam2.encode(self.network, pixels)
            copies = [feature[owner] for feature in features]
            outputs = sam2.decode(self.network, copies, boxes)
            scores = [head(level) for head, level in zip(self.helpers, features, strict=True)]
        logits, iou, presence = (output.float() for output in outputs)
        parts = loss(logits, iou, presence, masks)
        parts["people"] = people_loss(scores, people)
        total = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(0.998, self.step / (self.step + 20))
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                self.average[key].lerp_(value, 1 - keep)
        return {key: float(value.detach()) for key, value in parts.items()}

    def _log(self, history: Sequence[dict[str, float]]) -> None:
        """Say how far the run is and the mean of each loss."""
        means = (f"{key} {np.mean([h[key] for h in history]):.3f}" for key in history[0])
        _LOG.info("%4.1f min step %d: %s", self.seconds / 60, self.step, " ".join(means))

    def _save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        import torch

        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        state = {
            "network": self.network.state_dict(),
            "helpers": self.helpers.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "step": self.step,
        }
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _restore(self) -> None:
        """Go on from the checkpoint."""
        import torch

        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.helpers.load_state_dict(state["helpers"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.seconds, self.step = state["seconds"], state["step"]
        _LOG.info("resumed at %.1f min, step %d", self.seconds / 60, self.step)


@contextlib.contextmanager
def _half(device: torch.device) -> Iterator[None]:
    """bfloat16 where the device computes it; attention stays float32 on a CPU.

    PyTorch's backward pass of bfloat16 attention is slower there than all the rest together.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    from vigil.demo.precision import computes_bfloat16, half

    class Float32Attention(TorchFunctionMode):
        """Runs scaled dot product attention outside autocast."""

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is not torch.nn.functional.scaled_dot_product_attention:
                return func(*args, **(kwargs or {}))
            with torch.autocast("cpu", enabled=False):
                return func(*(item.float() for item in args), **(kwargs or {}))

    if not computes_bfloat16(device):
        yield
        return
    attention = Float32Attention() if device.type == "cpu" else contextlib.nullcontext()
    with half(device), attention:
        yield


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: train, write the weights, measure."""
    parser = argparse.ArgumentParser(description="Train the demo's small SAM 2.1.")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=120.0, help="training time")
    parser.add_argument("--crops", type=int, default=4, help="parts of images per step")
    parser.add_argument("--learning-rate", type=float, default=4e-4, help="peak of AdamW's")
    parser.add_argument("--init", type=Path, help="weights to begin with")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    settings = Options(
        minutes=options.minutes,
        crops=options.crops,
        learning_rate=options.learning_rate,
        init=options.init,
    )
    weights = options.out / "sam2.safetensors"
    sam2.save_sam2(Run(options.data, options.out, settings).train(), weights)
    metrics = evaluate(sam2.load_sam2(weights), read_scenes(options.data / "val"))
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    _LOG.info("%s", json.dumps(metrics))


if __name__ == "__main__":
    main()
