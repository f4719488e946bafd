"""Several streams of one type, and types side by side, are entries of `models` and nothing more."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages import evaluate, export, train
from tests.skeletons import config, write_set
from vigil.config import load
from vigil.dataset import read_annotations, select
from vigil.evaluation import predict
from vigil.models import store
from vigil.serving.repository import check_model
from vigil.session import OnnxSession

STREAMS = {"protogcn_j": "j", "protogcn_b": "b"}


@pytest.fixture
def parameters(tmp_path: Path) -> Path:
    """A project whose recognizers are two streams of ProtoGCN and two of ST-GCN."""
    values = config(epochs=1).model_dump(mode="json")
    for name, stream in STREAMS.items():
        values["models"][name] = values["models"]["protogcn"] | {"stream": stream}
    values["models"]["stgcn_pm"] = values["models"]["stgcn"] | {"stream": "bm+p+pm"}
    values["recognizers"] = [*STREAMS, "stgcn", "stgcn_pm"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.slow
def test_streams_are_trained_judged_and_exported_side_by_side(parameters: Path) -> None:
    cfg, paths = load(parameters)
    write_set(paths.dataset / "annotations.pkl")
    rows = select(*read_annotations(paths.dataset / "annotations.pkl"), "test")
    answers = []
    for name in cfg.recognizers:
        chosen = Namespace(model=name)
        train.main(cfg, paths, chosen)
        evaluate.main(cfg, paths, chosen)
        export.main(cfg, paths, chosen)
        assert json.loads((paths.reports / f"{name}.json").read_text())["model"] == name
        check_model(paths.triton_repo / name)
        metadata = OnnxSession(paths.onnx(name), device="cpu").metadata
        assert (metadata["type"], metadata["stream"]) == (
            cfg.models[name].type, cfg.models[name].stream,
        )  # fmt: skip
        assert store.load(paths.model(name))[1].name == name
        answers.append(predict(paths.model(name), rows))
    for index, answer in enumerate(answers):
        for other in answers[index + 1 :]:
            assert np.abs(answer - other).max() > 1e-6, "each is a network of its own"
