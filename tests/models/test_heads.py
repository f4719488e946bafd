"""Class scores come from the persons who are there, in torch, in training and in ONNX alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.skeletons import annotation, config
from vigil import compat, export, models
from vigil.config import Config
from vigil.dataset import tensors
from vigil.errors import InputError
from vigil.models import store
from vigil.session import OnnxSession

compat.apply()

from vigil.models.heads import PresentPersonsHead, max_over_persons, mean_over_persons  # noqa: E402
from vigil.models.preprocess import SkeletonInput  # noqa: E402

NAMES = [name for name in models.types() if name != "clip_gru"]  # of skeletons
EVERY = [(name, "present") for name in NAMES] + [("protogcn", "max"), ("stgcn", "max")]


def graph(name: str, slots: int = 2, persons: str = "present") -> tuple[Any, store.ModelSpec]:
    """Return a recognizer with random weights for clips of `slots` persons, and its spec."""
    values = config().model_dump()
    values["models"][name]["persons"] = persons
    cfg = Config.model_validate(values)
    dataset = cfg.dataset.model_copy(update={"max_persons": slots})
    spec = store.ModelSpec.of(name, ("a", "b", "c"), cfg.models, dataset)
    torch.manual_seed(0)
    return store.build(spec).inference_graph(), spec


def clips() -> tuple[Tensor, Tensor]:
    """Return three clips: two persons, one person, nobody; (3, 2, 16, 17, 3) and (3, 2)."""
    keypoints, sizes, _ = tensors([annotation(i, i % 2) for i in range(3)], config().dataset)
    keypoints[1, 1] = 0.0
    keypoints[2] = 0.0
    return torch.from_numpy(keypoints), torch.from_numpy(sizes)


def test_the_mean_is_over_those_who_are_there_and_over_all_slots_where_nobody_is() -> None:
    x = torch.tensor([[1.0, 5.0], [1.0, 5.0], [1.0, 5.0]])[..., None]
    present = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(mean_over_persons(x, present)[:, 0], torch.tensor([3.0, 5.0, 3.0]))


def test_the_greatest_is_over_those_who_are_there_and_over_all_slots_where_nobody_is() -> None:
    x = torch.tensor([[-5.0, -1.0], [-5.0, -1.0], [-5.0, -1.0]])[..., None]
    present = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    found = max_over_persons(x, present)[:, 0]
    torch.testing.assert_close(found, torch.tensor([-1.0, -5.0, -1.0]))


def test_one_joint_in_one_frame_makes_a_person_and_a_faint_one_does_not() -> None:
    keypoints = torch.zeros(1, 3, 4, 17, 3)
    keypoints[0, 0, 2, 5, 2] = 0.5
    keypoints[0, 1, 2, 5, 2] = 0.2
    prepare = SkeletonInput("coco_new", "j", "box", min_score=0.3)
    assert prepare.present(keypoints).tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(("name", "persons"), EVERY)
def test_empty_slots_change_no_score(name: str, persons: str) -> None:
    """A plain mean over slots would halve the features of a lonely person."""
    keypoints, sizes = clips()
    lonely = keypoints[1:2, :1]
    with torch.inference_mode():
        alone = graph(name, 1, persons)[0](lonely, sizes[1:2])[1]
        padded = torch.cat([lonely, torch.zeros(1, 3, *lonely.shape[2:])], dim=1)
        crowded = graph(name, 4, persons)[0](padded, sizes[1:2])[1]
    torch.testing.assert_close(alone, crowded, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_with_nobody_gets_a_finite_answer(name: str) -> None:
    keypoints, sizes = clips()
    with torch.inference_mode():
        probabilities, logits = graph(name)[0](keypoints, sizes)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))


@pytest.mark.parametrize(("name", "persons"), EVERY)
def test_onnx_and_the_training_forward_count_persons_alike(
    name: str, persons: str, tmp_path: Path
) -> None:
    served, spec = graph(name, persons=persons)
    keypoints, sizes = clips()
    with torch.inference_mode():
        wanted = served(keypoints, sizes)[1]
    export.write_onnx(served, tmp_path / "model.onnx", spec)
    session = OnnxSession(tmp_path / "model.onnx", device="cpu")
    found = session.run({"keypoints": keypoints.numpy(), "image_size": sizes.numpy()})
    np.testing.assert_allclose(found["logits"], wanted.numpy(), atol=1e-5)

    from mmaction.structures import ActionDataSample

    recognizer = store.build(spec)
    recognizer.load_state_dict(
        {k.replace("head.", "cls_head.", 1) if k.startswith("head.") else k: v
         for k, v in served.state_dict().items()}
    )  # fmt: skip
    samples = [ActionDataSample(metainfo={"img_shape": (360, 640)}) for _ in range(3)]
    with torch.inference_mode():
        scores, _ = recognizer.extract_feat(keypoints[:, None], samples, stage="head")
    torch.testing.assert_close(scores, wanted)


def test_published_weights_may_count_every_slot() -> None:
    torch.manual_seed(0)
    head = PresentPersonsHead(3, 8, persons="all").eval()
    x, present = torch.randn(2, 2, 8, 4, 5), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(head(x, present), head.fc(x.mean(dim=(1, 3, 4))))
    with pytest.raises(InputError, match="persons: expected present, max, all, got some"):
        PresentPersonsHead(3, 8, persons="some")  # type: ignore[arg-type]
