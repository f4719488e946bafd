"""The embedded server's life: it starts, says why when it cannot, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests import networks
from vigil.errors import InputError, ModelError, ServerError
from vigil.serving import server as server_module
from vigil.serving import supervisor
from vigil.serving.server import EmbeddedTriton
from vigil.session import TritonSession

SHARED_MEMORY = supervisor.SHARED_MEMORY
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow  # each test starts a server of its own


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    """A server under explicit control: `wanted` is loaded, `broken` beside it is not."""
    folder = tmp_path_factory.mktemp("explicit")
    networks.mlp_model(folder, "wanted")
    (networks.mlp_model(folder, "broken") / "1" / "model.onnx").write_bytes(b"")
    with EmbeddedTriton(folder, models=["wanted"]) as running:
        yield running


def leftovers(marker: str) -> list[str]:
    """Return processes that run with `marker` in their command line, and shared memory so named."""
    found = [str(path) for path in SHARED_MEMORY.glob(f"{marker}*")]
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] and any(marker in part for part in process.info["cmdline"]):
            found.append(" ".join(process.info["cmdline"]))
    return found


def eventually(condition: Callable[[], bool], timeout_s: float = 120) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_listens_on_loopback_only_and_serves_metrics(server: EmbeddedTriton) -> None:
    listening = {
        connection.laddr.ip
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    address = server.metrics_url.removeprefix("http://").removesuffix("/metrics")
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        assert b"nv_inference_request_success" in connection.getresponse().read()


def test_reports_the_provider_that_is_active(server: EmbeddedTriton) -> None:
    assert server.providers["tiny"] == "CPUExecutionProvider"


def test_stops_without_leaving_a_process_a_region_or_a_folder(tmp_path: Path) -> None:
    networks.mlp_model(tmp_path, instances=2)
    server = EmbeddedTriton(tmp_path)
    with server:
        folder, marker = server._folder, server._id
        assert folder is not None
        assert len(leftovers(marker)) >= 5  # supervisor, server, two stubs, two regions
        with pytest.raises(ServerError, match="one that runs already"):
            server.start()
    assert not server.running
    assert leftovers(marker) == []
    assert not folder.exists()
    server.stop()  # harmless


@pytest.mark.parametrize("victim", ["parent", "supervisor", "tritonserver"])
def test_nothing_survives_a_kill(tmp_path: Path, victim: str) -> None:
    networks.mlp_model(tmp_path / "models")
    code = (
        "import sys, time; from vigil.serving.server import EmbeddedTriton\n"
        "server = EmbeddedTriton(sys.argv[1]); server.start()\n"
        "print(server._id, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "models")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    marker = parent.stdout.readline().strip()
    assert marker.startswith("vigil-")
    family = {"parent": psutil.Process(parent.pid)}
    for process in family["parent"].children(recursive=True):
        family["supervisor" if "supervisor.py" in str(process.cmdline()) else process.name()] = (
            process
        )
    family[victim].send_signal(signal.SIGKILL)
    if victim == "parent":
        parent.wait()

    def gone() -> bool:
        return not [line for line in leftovers(marker) if not line.startswith(str(SHARED_MEMORY))]

    try:
        assert eventually(gone), leftovers(marker)
        if victim != "supervisor":  # whose business the shared memory is
            assert leftovers(marker) == []
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for region in SHARED_MEMORY.glob(f"{marker}*"):
            region.unlink()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    networks.mlp_model(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"grpc_port: expected a free port, got {port}"):
            EmbeddedTriton(tmp_path, grpc_port=port).start()


@pytest.mark.parametrize("lost", ["http", "grpc"])
def test_a_free_port_lost_to_another_program_is_replaced(
    tmp_path: Path, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks.mlp_model(tmp_path)
    choose = server_module.choose_ports
    with socket.create_server(("127.0.0.1", 0)) as thief:
        attempts: list[tuple[int, int, int]] = []

        def lose_first(host: str, wanted: tuple[int, int, int]) -> tuple[int, int, int]:
            http, grpc, metrics = choose(host, wanted)
            stolen = thief.getsockname()[1]
            attempts.append(
                (http, grpc, metrics)
                if attempts
                else (stolen, grpc, metrics)
                if lost == "http"
                else (http, stolen, metrics)
            )
            return attempts[-1]

        monkeypatch.setattr(server_module, "choose_ports", lose_first)
        with EmbeddedTriton(tmp_path) as server:
            assert len(attempts) == 2
            assert TritonSession(server.http_url, "mlp", "http").max_batch == 8


def test_a_model_that_does_not_load_shows_the_servers_log(tmp_path: Path) -> None:
    model = networks.mlp_model(tmp_path)
    (model / "1" / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ServerError, match=r"ended during start-up\n(.|\n)*model\.onnx") as caught:
        EmbeddedTriton(tmp_path).start()
    assert "CudaDriverHelper" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("TYPE_FP32", "TYPE_FP64", "input x: configured TYPE_FP64", id="type"),
        pytest.param("dims: [8]", "dims: [9]", "input x: configured", id="dims"),
        pytest.param('"y"', '"z"', "output z: expected one of", id="name"),
        pytest.param(
            "dims: [8]", "dims: [8] allow_ragged_batch: true", "x.allow_ragged", id="ragged"
        ),
        pytest.param(
            'string_value: "1"', 'string_value: "many"', "expected an integer", id="thread"
        ),
    ],
)
def test_a_configuration_that_contradicts_the_model_is_refused(
    elsewhere: EmbeddedTriton, tmp_path: Path, old: str, new: str, message: str
) -> None:
    model = networks.mlp_model(tmp_path)
    path = model / "config.pbtxt"
    path.write_text(path.read_text().replace(old, new, 1))
    name = f"bad-{uuid.uuid4().hex}"
    shutil.copytree(model, elsewhere.model_repository / name)
    path = elsewhere.model_repository / name / "config.pbtxt"
    path.write_text(path.read_text().replace('"mlp"', f'"{name}"'))
    with (
        closing(InferenceServerClient(elsewhere.http_url)) as control,
        pytest.raises(InferenceServerException, match=message),
    ):
        control.load_model(name)


def test_a_server_that_is_not_ready_in_time_is_stopped(tmp_path: Path) -> None:
    networks.mlp_model(tmp_path)
    server = EmbeddedTriton(tmp_path, startup_timeout_s=0.01)
    with pytest.raises(ServerError, match=r"expected a ready server within 0\.01 s"):
        server.start()
    assert leftovers(server._id) == []


def test_loads_only_the_models_asked_for(elsewhere: EmbeddedTriton) -> None:
    assert list(elsewhere.providers) == ["wanted"]


def test_refuses_what_it_cannot_serve_before_starting_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"expected a loopback address, got 0\.0\.0\.0"):
        EmbeddedTriton(tmp_path, host="0.0.0.0")
    with pytest.raises(ModelError, match="expected a folder of models"):
        EmbeddedTriton(tmp_path / "none")
    with pytest.raises(ModelError, match="ghost: no such model"):
        EmbeddedTriton(tmp_path, models=["ghost"])
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: os.devnull)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(ServerError, match=f"apt-get install libpython{version}$"):
        EmbeddedTriton(tmp_path).start()
