"""The networks that `vigil.demo.train_stream` trains: each with its loss, recipe and figures."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final, Protocol

import torch
from torch import Tensor

from vigil.demo import pose_data, pose_metrics, train_rtmo, train_yolo
from vigil.demo.checkpoints import export_weights
from vigil.demo.image_store import Targets
from vigil.demo.pose_targets import assign_at_once
from vigil.demo.precision import half
from vigil.demo.rtmo_run import AveragedRun, Recipe, start
from vigil.perception import yolo_network


class Learner(Protocol):
    """A network in training.

    Attributes:
        size: width and height in pixels of its input.
        anchor: where the demo puts a whole image in it, 0 to 1 in x and y.
        recipe: how it is trained.
        run: network, average, optimizer.
    """

    size: ClassVar[tuple[int, int]]
    anchor: ClassVar[tuple[float, float]]
    recipe: ClassVar[Recipe]
    run: AveragedRun

    def __init__(self, device: torch.device, init: Path) -> None:
        """Load the weights to begin with."""

    def loss(self, images: Tensor, persons: Targets) -> Tensor:
        """Return the loss of (B, 3, height, width) float32 BGR images, 0 to 255."""

    def export(self, path: Path) -> None:
        """Write the averaged weights, float16."""

    def measure(self, folder: Path) -> dict[str, float]:
        """Return figures of the averaged weights on a COCO-format folder."""


class PoseLearner:
    """RTMO, mmpose's losses as `vigil.demo.rtmo_run` weighs them."""

    size: ClassVar[tuple[int, int]] = train_rtmo.SIZE
    anchor: ClassVar[tuple[float, float]] = (0.0, 0.0)
    recipe: ClassVar[Recipe] = Recipe(
        batch=96, learning_rate=1.2e-3, warm_up=0.05, averaging=0.9995
    )

    def __init__(self, device: torch.device, init: Path) -> None:
        """Load the weights to begin with."""
        self.device = device
        self.run = start(self.recipe, device, init)
        assign_at_once(self.run.model.head)

    def loss(self, images: Tensor, persons: Targets) -> Tensor:
        """See `Learner`; who has no joint in the picture is left out."""
        labeled = persons.visible.sum(dim=-1) > 0
        with half(self.device):
            features = self.run.model.extract_feat(_channels_last(images))
        features = [feature.float() for feature in features]
        persons = replace(persons, there=persons.there & labeled)
        losses = self.run.model.head.loss(features, persons)
        total: Tensor = self.run.model.parse_losses(losses)[0]
        return total

    def export(self, path: Path) -> None:
        """See `Learner`."""
        export_weights(self.run.average, path, "rtmo")

    def measure(self, folder: Path) -> dict[str, float]:
        """Return OKS AP and PCK, see `vigil.demo.pose_metrics`."""
        images = pose_data.load(folder, self.size)
        return pose_metrics.evaluate(folder, train_rtmo.predict(self.run.average, images))


class DetectorLearner:
    """YOLO11n, ultralytics' loss."""

    size: ClassVar[tuple[int, int]] = (train_yolo.WIDTH, train_yolo.HEIGHT)
    anchor: ClassVar[tuple[float, float]] = (0.5, 0.5)
    recipe: ClassVar[Recipe] = Recipe(
        batch=128, learning_rate=2e-3, weight_decay=5e-4, warm_up=0.05, averaging=0.9995
    )

    def __init__(self, device: torch.device, init: Path) -> None:
        """Load the weights to begin with."""
        self.device = device
        model: Any = yolo_network.load(init)
        model.to(device, memory_format=torch.channels_last)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        self.run = AveragedRun(model, copy.deepcopy(model).eval(), self._optimizer(model))
        self.criterion = train_yolo.criterion(model.train())

    def _optimizer(self, model: Any) -> torch.optim.Optimizer:
        """Return AdamW that lets alone what is no matrix."""
        groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
        for parameter in model.parameters():
            groups[parameter.ndim > 1].append(parameter)
        decay = self.recipe.weight_decay
        return torch.optim.AdamW(
            [{"params": parameters, "factor": 1.0, "weight_decay": decay if matrix else 0.0}
             for matrix, parameters in groups.items()],
            lr=self.recipe.learning_rate, fused=True,
        )  # fmt: skip

    def loss(self, images: Tensor, persons: Targets) -> Tensor:
        """See `Learner`."""
        with half(self.device):
            found = self.run.model(_channels_last(images.flip(1) / 255))
        found = {
            key: [item.float() for item in value] if isinstance(value, list) else value.float()
            for key, value in found.items()
        }
        image, person = persons.there.nonzero(as_tuple=True)
        box = persons.boxes[image, person]
        sides = torch.cat([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], dim=-1)
        truth = {
            "batch_idx": image.float(),
            "cls": torch.zeros(len(image), 1, device=self.device),
            "bboxes": sides / sides.new_tensor(self.size * 2),
        }
        total: Tensor = self.criterion(found, truth)[0].sum()
        return total

    def export(self, path: Path) -> None:
        """See `Learner`."""
        model = copy.deepcopy(self.run.average).cpu().to(memory_format=torch.contiguous_format)
        yolo_network.save(model, path)

    def measure(self, folder: Path) -> dict[str, float]:
        """Return COCO figures, see `vigil.demo.train_yolo.evaluate`."""
        width, height = self.size
        with TemporaryDirectory() as made:
            graph = Path(made) / "yolo11n.onnx"
            yolo_network.export(copy.deepcopy(self.run.average).cpu(), graph, height, width)
            return train_yolo.evaluate(graph, folder)


def _channels_last(images: Tensor) -> Tensor:
    """Return images in the memory order that the networks are kept in."""
    return images.contiguous(memory_format=torch.channels_last)


LEARNERS: Final[Mapping[str, type[Learner]]] = {"rtmo": PoseLearner, "yolo11n": DetectorLearner}
