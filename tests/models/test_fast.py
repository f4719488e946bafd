"""What `amp` and `compile` do to a recognizer, as far as a CPU can tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.skeletons import CLASSES, config
from vigil import compat, models
from vigil.benchmark.protogcn import clips

compat.apply()

from mmaction.registry import MODELS  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from vigil.training import compile_backbone  # noqa: E402

SKELETONS = [name for name in models.types() if name != "clip_gru"]


def recognizer(name: str, persons: str = "present") -> Any:
    cfg = config()
    torch.manual_seed(0)
    section = models.section(cfg.models, name)
    if hasattr(section, "persons"):
        section = section.model_copy(update={"persons": persons})
    described = models.model_config(section, len(CLASSES), cfg.training(name))
    with DefaultScope.overwrite_default_scope("mmaction"):
        return MODELS.build(described).train()


def losses(model: Any) -> dict[str, float]:
    inputs, samples = clips(config(), 4)
    torch.manual_seed(1)  # of dropout
    found = model(inputs, samples, mode="loss")
    return {name: float(value.detach()) for name, value in found.items() if name.startswith("loss")}


@pytest.mark.parametrize("persons", ["present", "max"])
@pytest.mark.parametrize("name", SKELETONS)
def test_half_precision_gives_nearly_the_same_losses(name: str, persons: str) -> None:
    full = losses(recognizer(name, persons))
    with torch.autocast("cpu", torch.float16):
        half = losses(recognizer(name, persons))
    assert half == pytest.approx(full, rel=0.05, abs=0.02)


@pytest.mark.parametrize("name", SKELETONS)
def test_joints_reach_the_network_in_full_precision(name: str) -> None:
    """In half precision a place is rounded to half a pixel, a step of joints to nothing."""
    model, seen = recognizer(name), []
    model.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.autocast("cpu", torch.float16):
        losses(model)
    inputs, samples = clips(config(), 4)
    sizes = torch.tensor([sample.metainfo["img_shape"][::-1] for sample in samples]).float()
    torch.testing.assert_close(seen[0], model.prepare(inputs[:, 0], sizes), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.*:DeprecationWarning")  # torch's
def test_a_compiled_backbone_gives_the_same_losses_under_the_same_names() -> None:
    """With dynamo's own back end: what C++ or Triton make of it is not at stake."""
    plain, compiled = recognizer("protogcn"), recognizer("protogcn")
    compile_backbone(compiled, backend="eager", fullgraph=True)
    assert losses(compiled) == pytest.approx(losses(plain), abs=1e-5)
    assert list(compiled.state_dict()) == list(plain.state_dict())


def test_the_backbone_is_found_inside_the_wrapper_of_several_processes() -> None:
    model = recognizer("protogcn")
    wrapped = torch.nn.Module()
    wrapped.module = model
    compile_backbone(wrapped, backend="eager")
    assert model.backbone._compiled_call_impl is not None
