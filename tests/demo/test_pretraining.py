"""What every pretrained recognizer of the demo must hold to."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from vigil.config import load
from vigil.models import store
from vigil.weights import entry, fetch


@pytest.mark.parametrize("name", ["protogcn", "clip_gru"])
def test_the_shipped_weights_fit_the_shipped_parameters(name: str) -> None:
    config, _ = load(ROOT / "params.yaml")
    assert config.training(name).init == f"demo/{name}"
    spec = store.ModelSpec.of(name, config.classes, config.models, config.dataset)
    assert store.begin(store.build(spec), fetch(entry("demo", name), ROOT), spec.classes) == []
