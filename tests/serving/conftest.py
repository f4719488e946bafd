"""One embedded server that the tests of serving share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import networks
from vigil.serving.server import EmbeddedTriton

ECHOES = {"FP64": 11, "STRING": 8, "UINT8": 2}  # Triton's type, ONNX's number for it


@pytest.fixture(scope="package")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository: `tiny` (a recognizer), `mlp`, `lookup`, `echo_<type>`, and `patient`.

    `patient` is `tiny`, and waits so long for a full batch that slow callers make one too.
    """
    folder = tmp_path_factory.mktemp("repository")
    networks.recognizer_model(folder)
    patient = networks.recognizer_model(folder, "patient") / "config.pbtxt"
    patient.write_text(patient.read_text().replace("microseconds: 1000", "microseconds: 1000000"))
    batching = "dynamic_batching { max_queue_delay_microseconds: 200000 }"
    networks.mlp_model(folder, extra=batching, instances=2)
    networks.lookup(folder / "lookup" / "1" / "model.onnx")
    networks.configure(folder / "lookup", "x INT64 1", "y FP32 1", 8, batching)
    for kind, number in ECHOES.items():
        networks.echo(folder / f"echo_{kind}" / "1" / "model.onnx", number)
        networks.configure(folder / f"echo_{kind}", f"x {kind} 3", f"y {kind} 3")
    return folder


@pytest.fixture(scope="package")
def server(repository: Path) -> Iterator[EmbeddedTriton]:
    """The running server of `repository`."""
    with EmbeddedTriton(repository) as running:
        yield running
