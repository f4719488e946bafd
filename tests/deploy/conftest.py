"""One restricted server and one proxy before it, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from tests import networks
from tests.deploy.doors import Proxy, RestrictedTriton
from tests.deploy.places import program


@pytest.fixture(scope="package")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestrictedTriton]:
    """The embedded server, serving `tiny`, restricted as the container's is."""
    folder = tmp_path_factory.mktemp("repository")
    networks.recognizer_model(folder)
    with RestrictedTriton(folder, models=["tiny"]) as server:
        yield server


@pytest.fixture(scope="package")
def proxy(triton: RestrictedTriton, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy before it, with limits that do not hinder."""
    program("haproxy", "haproxy")
    with Proxy(tmp_path_factory.mktemp("proxy"), triton.http_url, triton.grpc_url) as running:
        yield running


@pytest.fixture
def channel(proxy: Proxy) -> Iterator[grpc.Channel]:
    """A gRPC channel to the proxy."""
    trusted = grpc.ssl_channel_credentials(proxy.certificate.read_bytes())
    with grpc.secure_channel(proxy.url, trusted) as opened:
        yield opened
