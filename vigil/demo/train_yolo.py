"""Train the demo's person detector: YOLO11n from nothing on synthetic scenes.

`python -m vigil.demo.train_yolo --data DIR [--also DIR] --out DIR --epochs N`

DIR holds `train/` and `val/`, each with COCO `annotations.json` and `images/` as written by
`vigil.demo.images`; `--also` has a further `train/`. A killed run goes on from its last whole epoch
when started again. OUT gets `yolo11n.safetensors`, `yolo11n.onnx` and `metrics.json` (measured
through the ONNX file).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vigil.errors import InputError
from vigil.evaluation.detections import box_results
from vigil.perception import yolo, yolo_network
from vigil.session import OnnxSession

HEIGHT, WIDTH = 224, 384
_LOG = logging.getLogger(__name__)


def write_labels(folder: Path, out: Path) -> int:
    """Write YOLO label files beside links to the images.

    Args:
        folder: `annotations.json` (COCO, xywh pixels) and `images/`.
        out: gets `images/` (links) and `labels/<image>.txt`; crowd annotations are left out.

    Returns:
        How many persons were written.

    Raises:
        InputError: the annotations are missing.
    """
    source = folder / "annotations.json"
    if not source.is_file():
        raise InputError(f"train_yolo: {source}: expected COCO annotations, got no such file")
    coco = json.loads(source.read_text())
    labels = out / "labels"
    labels.mkdir(parents=True, exist_ok=True)
    (out / "images").mkdir(exist_ok=True)
    rows: dict[int, list[str]] = {image["id"]: [] for image in coco["images"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    for person in coco["annotations"]:
        if person.get("iscrowd"):
            continue
        width, height = sizes[person["image_id"]]
        x, y, w, h = person["bbox"]
        values = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
        rows[person["image_id"]].append("0 " + " ".join(f"{value:.6f}" for value in values))
    for image in coco["images"]:
        name = Path(image["file_name"]).name
        link = out / "images" / name
        if not link.is_symlink():
            link.symlink_to((folder / "images" / name).resolve())
        (labels / name).with_suffix(".txt").write_text("\n".join(rows[image["id"]]))
    return sum(map(len, rows.values()))


def train(
    data: Path,
    out: Path,
    epochs: int,
    batch: int = 16,
    init: Path | None = None,
    also: Path | None = None,
) -> Path:
    """Train, or go on training, and write the weights.

    Args:
        data: folder with `train/` and `val/`.
        out: working folder of this run.
        epochs: passes over the training images.
        batch: images per step.
        init: weights to begin with instead of random ones.
        also: folder with a further `train/`.

    Returns:
        Path of `yolo11n.safetensors`, float16, the moving average of the last epoch.

    Raises:
        InputError: no annotations in `data` or `also`.
    """
    yolo_network.configure()
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    folders = {"train": data / "train", "val": data / "val"}
    folders |= {} if also is None else {"also": also / "train"}
    for name, folder in folders.items():
        persons = write_labels(folder, out / "dataset" / name)
        _LOG.info("%s: %d persons", name, persons)
    description = out / "dataset" / "data.yaml"
    description.write_text(
        json.dumps(
            {
                "path": str((out / "dataset").resolve()),
                "train": [f"{name}/images" for name in folders if name != "val"],
                "val": "val/images",
                "names": {0: "person"},
            }
        )
    )
    weights = out / "yolo11n.safetensors"
    last = out / "run" / "weights" / "last.pt"
    if not _finished(last, epochs):
        resume = last if last.is_file() else None
        trainer = _trainer(out, description, epochs, batch, resume, init)
        trainer.train()
    state, names = yolo_network.official_state(last)
    model = yolo_network.build("yolo11n", names)
    model.load_state_dict({key: value.float() for key, value in state.items()})
    yolo_network.save(model, weights)
    return weights


def criterion(model: Any) -> Any:
    """Return ultralytics' loss for a network of `yolo_network`, its parts weighted as usual."""
    from ultralytics.cfg import get_cfg

    model.args = get_cfg(overrides={"model": "yolo11n.yaml"})
    return model.init_criterion()


def evaluate(graph: Path, folder: Path, confidence: float = 0.001) -> dict[str, float]:
    """Detection accuracy of an exported network by COCO's rules, crowds ignored.

    Args:
        graph: ONNX file of `vigil.perception.yolo_network.export`.
        folder: `annotations.json` and `images/`.
        confidence: lowest score that counts.

    Returns:
        `ap50`, `ap50_95`, `recall50` (COCO's definitions, 100 detections), `precision` and
        `recall` at score 0.25 and IoU 0.5, `images`, `persons`.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    session = OnnxSession(graph)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "annotations.json"))
        results: list[dict[str, Any]] = []
        for image_id, image in truth.imgs.items():
            bgr = cv2.imread(str(folder / "images" / Path(image["file_name"]).name))
            found = _detect(session, bgr[..., ::-1], confidence)
            results += [
                one | {"image_id": image_id, "category_id": truth.getCatIds()[0]}
                for one in box_results(found.xyxy, found.score)
            ]
        coco = COCOeval(truth, truth.loadRes(results), "bbox") if results else None
        if coco is None:
            return {"ap50": 0.0, "images": len(truth.imgs)}
        coco.evaluate()
        coco.accumulate()
        coco.summarize()
    return {
        "ap50": float(coco.stats[1]),
        "ap50_95": float(coco.stats[0]),
        "recall50": float(coco.eval["recall"][0, 0, 0, -1]),
        **_operating_point(coco, 0.25),
        "images": len(truth.imgs),
        "persons": sum(not a.get("iscrowd") for a in truth.anns.values()),
    }


def _detect(session: OnnxSession, rgb: Any, confidence: float) -> yolo.Detections:
    """Persons of one (H, W, 3) uint8 RGB image."""
    tensor, letterbox = yolo.preprocess(rgb, HEIGHT, WIDTH)
    output = session.run({"images": tensor[None]})["output0"]
    return yolo.postprocess(output, [letterbox], confidence=confidence)[0]


def _operating_point(coco: Any, score: float) -> dict[str, float]:
    """Precision and recall at one score and IoU 0.5, from what COCOeval matched."""
    matched = found = persons = 0
    for image in coco.evalImgs:
        if image is None or image["aRng"] != coco.params.areaRng[0]:
            continue
        counted = (np.array(image["dtScores"]) >= score) & ~image["dtIgnore"][0].astype(bool)
        matched += int((counted & (image["dtMatches"][0] > 0)).sum())
        found += int(counted.sum())
        persons += int((1 - np.asarray(image["gtIgnore"])).sum())
    return {"precision": matched / max(found, 1), "recall": matched / max(persons, 1)}


def _finished(checkpoint: Path, epochs: int) -> bool:
    """True where ultralytics' last checkpoint is that of a whole run of so many epochs.

    A finished run's checkpoint is stripped: its epoch is -1.
    """
    if not checkpoint.is_file():
        return False
    done = len((checkpoint.parents[1] / "results.csv").read_text().splitlines()) - 1
    return done >= epochs


def _trainer(
    out: Path, data: Path, epochs: int, batch: int, resume: Path | None, init: Path | None
) -> Any:
    """Ultralytics' trainer, set up for few epochs, small rectangles and a CPU."""
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer

    from vigil.demo.precision import computes_bfloat16

    device: Any = 0 if torch.cuda.is_available() else "cpu"
    half = device == "cpu" and computes_bfloat16(torch.device(device))

    class Trainer(DetectionTrainer):  # type: ignore[misc]
        """Runs the network, but not its loss, in bfloat16 where the CPU has it."""

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            model = super().get_model(cfg, weights, verbose)
            if init is not None and resume is None:
                model.load_state_dict(yolo_network.load(init).state_dict())
            return model

        def _setup_train(self) -> None:
            super()._setup_train()
            if half:
                self.amp = True
                self.model.to(memory_format=torch.channels_last)
                self.model.criterion = _Float32Loss(self.model.init_criterion())

        def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
            batch = super().preprocess_batch(batch)
            if half:
                batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
            return batch

    overrides = {
        "model": "yolo11n.yaml",
        "data": str(data),
        "project": str(out.resolve()),
        "name": "run",
        "exist_ok": True,
        "epochs": epochs,
        "batch": batch,
        "nbs": batch,
        "imgsz": WIDTH,
        "rect": True,
        "device": device,
        "workers": 0,
        "cache": "ram",
        "amp": False,
        "optimizer": "AdamW",
        "lr0": 0.002,
        "lrf": 0.02,
        "cos_lr": True,
        "warmup_epochs": 0.5,
        "warmup_bias_lr": 0.002,
        "mosaic": 0.0,
        "close_mosaic": 0,
        "scale": 0.3,
        "translate": 0.1,
        "val": False,
        "plots": False,
        "seed": 0,
        "verbose": False,
    }
    if resume is not None:
        overrides |= {"resume": str(resume)}
    return Trainer(overrides=overrides)


class _Float32Loss:
    """Computes ultralytics' loss in float32 although the network ran in bfloat16."""

    def __init__(self, criterion: Any) -> None:
        self._criterion = criterion

    def __call__(self, predictions: dict[str, Any], batch: dict[str, Any]) -> Any:
        """Loss and its parts, as the wrapped criterion returns them."""
        import torch

        whole = {
            key: [item.float() for item in value] if isinstance(value, list) else value.float()
            for key, value in predictions.items()
        }
        with torch.autocast("cpu", enabled=False):
            return self._criterion(whole, batch)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: train, export, measure."""
    parser = argparse.ArgumentParser(description="Train the demo's YOLO11n.")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--also", type=Path, help="folder with a further train/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images")
    parser.add_argument("--batch", type=int, default=16, help="images per step")
    parser.add_argument("--init", type=Path, help="weights to begin with")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    weights = train(
        options.data, options.out, options.epochs, options.batch, options.init, options.also
    )
    graph = options.out / "yolo11n.onnx"
    yolo_network.export(yolo_network.load(weights), graph, HEIGHT, WIDTH)
    metrics = evaluate(graph, options.data / "val")
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    _LOG.info("%s", json.dumps(metrics))


if __name__ == "__main__":
    main()
