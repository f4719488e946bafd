"""One embedded server that the tests of serving share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import networks
from vigil.serving.server import EmbeddedTriton


@pytest.fixture(scope="package")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository: `tiny` (a recognizer), `mlp` and `lookup` (both batch dynamically)."""
    folder = tmp_path_factory.mktemp("repository")
    networks.recognizer_model(folder)
    batching = "dynamic_batching { max_queue_delay_microseconds: 20000 }"
    networks.mlp_model(folder, extra=batching, instances=2)
    networks.lookup(folder / "lookup" / "1" / "model.onnx")
    networks.configure(folder / "lookup", "x INT64 1", "y FP32 1", 8, batching)
    return folder


@pytest.fixture(scope="package")
def server(repository: Path) -> Iterator[EmbeddedTriton]:
    """The running server of `repository`."""
    with EmbeddedTriton(repository) as running:
        yield running
