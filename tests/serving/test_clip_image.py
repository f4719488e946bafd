"""The image encoder behind Triton says what it says in this process, at every batch size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.perception.embedder import Embedder
from vigil.pretrained import write_clip_config
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedTriton, Path]]:
    folder = tmp_path_factory.mktemp("repository")
    graph = networks.color_clip(folder / "clip_image" / "1" / "model.onnx")
    write_clip_config(folder / "clip_image", graph)
    with EmbeddedTriton(folder) as running:
        yield running, graph


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_embedder_is_the_same_served_and_not(
    served: tuple[EmbeddedTriton, Path], protocol: TransportName
) -> None:
    server, graph = served
    url = server.http_url if protocol == "http" else server.grpc_url
    near = Embedder(OnnxSession(graph), 100)
    far = Embedder(TritonSession(url, "clip_image", protocol), 100)
    assert (far.clip, far.dim, far.logit_scale, far.crop_px) == (
        near.clip, near.dim, near.logit_scale, near.crop_px
    )  # fmt: skip
    crops = np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)
    for size in (1, 2, 3, 8, 64, 70):
        np.testing.assert_allclose(far.embed(crops[:size]), near.embed(crops[:size]), atol=1e-5)
