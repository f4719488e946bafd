"""Triton is told the truth about a recognizer, on CPUs and GPUs, as shipped and as tuned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.skeletons import config
from vigil.config import load
from vigil.crop_graph import SUFFIX, CropDoor
from vigil.errors import ModelError
from vigil.models import store
from vigil.models.reading import SequenceReading
from vigil.serving.repository import parse_config, parse_labels
from vigil.triton_config import TUNING, write_configs

CLASSES = ("normal", "assault", "실신")


def recognizer() -> store.ModelSpec:
    cfg = config()
    return store.ModelSpec.of("protogcn", CLASSES, cfg.models, cfg.dataset)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_both_configurations_fit_and_one_is_served(tmp_path: Path, kind: Any) -> None:
    spec = recognizer()
    params = config().export.model_copy(update={"config": kind, "cpu_instances": 3})
    write_configs(tmp_path, spec, params)
    chosen = (tmp_path / "config.pbtxt").read_text()
    assert chosen == (tmp_path / "configs" / f"{kind}.pbtxt").read_text()
    found = parse_config(chosen)
    assert parse_labels(found.parameters["labels"].string_value) == list(CLASSES)
    assert list(found.input[0].dims) == [2, 16, 17, 3]
    group = found.instance_group[0]
    assert group.Kind.Name(group.kind) == f"KIND_{kind.upper()}"
    assert found.HasField("dynamic_batching")
    assert len(found.model_warmup) > 0
    cpu = parse_config((tmp_path / "configs/cpu.pbtxt").read_text())
    assert (cpu.max_batch_size, cpu.instance_group[0].count) == (9, 3)
    assert cpu.parameters["intra_op_thread_count"].string_value == "1"
    assert cpu.parameters["rows_per_run"].string_value == "1"
    assert (
        "rows_per_run" not in parse_config((tmp_path / "configs/gpu.pbtxt").read_text()).parameters
    )


def test_what_tune_serving_chose_is_written_and_a_damaged_choice_refused(tmp_path: Path) -> None:
    spec = recognizer()
    chosen = {"instances": 3, "threads": 2, "batch": 4, "delay_us": 500, "rows": 2}
    tuning = tmp_path / TUNING
    for batch in (4, 1):
        found = {"chosen": chosen | {"batch": batch}, "environment": {"cpu": "one"}}
        tuning.write_text(json.dumps(found))
        write_configs(tmp_path, spec, config().export)
        served = parse_config((tmp_path / "config.pbtxt").read_text())
        assert served.instance_group[0].count == 3
        assert list(served.dynamic_batching.preferred_batch_size) == [4] * (batch > 1)
        assert served.parameters["intra_op_thread_count"].string_value == "2"
        assert served.HasField("dynamic_batching") == (batch > 1)
        assert served.parameters["rows_per_run"].string_value == "2"
    tuning.write_text('{"chosen": {}}')
    with pytest.raises(ModelError, match=r"tuning\.json: expected a choice of tune-serving"):
        write_configs(tmp_path, spec, config().export)


@pytest.mark.parametrize("name", ["protogcn", "clip_gru", "clip_gru_crops"])
def test_committed_configuration_is_what_the_shipped_parameters_give(
    tmp_path: Path, name: str
) -> None:
    """Change params.yaml or a template, and the files in git must follow (`stages.export`)."""
    cfg, paths = load(ROOT / "params.yaml")
    spec = store.ModelSpec.of(name.removesuffix(SUFFIX), cfg.classes, cfg.models, cfg.dataset)
    if isinstance(spec.reads, SequenceReading):
        clip = f"{cfg.weights.set}/{cfg.weights.clip}"
        spec = replace(spec, name=name, reads=replace(spec.reads, clip=clip))
    door = CropDoor(spec.reads, cfg.embed.crop_px) if name.endswith(SUFFIX) else None
    write_configs(tmp_path, spec, cfg.export, door)
    for path in tmp_path.rglob("*.*"):
        committed = paths.triton_repo / name / path.relative_to(tmp_path)
        assert committed.read_text() == path.read_text(), committed
