"""The embedded Triton: NVIDIA's `tritonserver` from the nvidia-pytriton wheel, as a subprocess.

For development, tests and one trusted machine: it listens on loopback only, because its release
(2.51) has known faults in its HTTP parser and shared-memory registration, and no authentication.
An exposed service runs the same model repository in a current NVIDIA container behind a proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vigil.config.place import is_s3
from vigil.errors import InputError, ModelError, ServerError
from vigil.serving import supervisor
from vigil.serving.host import (
    check_system,
    choose_ports,
    environment,
    is_loopback,
    lay_out_backends,
    stubs_of,
    sweep_shared_memory,
    tritonserver_folder,
)

_ATTEMPTS = 3
_LOG_LINES = 25
_ERROR = re.compile(r"E\d{4} (?!.*CudaDriverHelper)|error")  # that one only means: no GPU
_PROVIDER = re.compile(r"vigil: (\S+): provider (\w+)")


class EmbeddedTriton:
    """A running Triton server on this machine; a context manager.

    Attributes:
        http_url: `host:port` of the HTTP endpoint, as tritonclient takes it.
        grpc_url: `host:port` of the gRPC endpoint.
        metrics_url: full URL of the Prometheus metrics.
    """

    def __init__(
        self,
        model_repository: str | Path,
        models: Sequence[str] | None = None,
        *,
        host: str = "127.0.0.1",
        http_port: int = 0,
        grpc_port: int = 0,
        metrics_port: int = 0,
        startup_timeout_s: float = 180.0,
        auto_complete: bool = False,
    ) -> None:
        """Prepare a server; `start()` or `with` starts it.

        Args:
            model_repository: folder with one folder per model, or an S3 address in Triton's form;
                its credentials come from the environment or AWS's own files.
            models: names to load, under explicit model control (models can then be loaded and
                unloaded by request); None loads everything in the folder and keeps it fixed.
            host: a loopback address.
            http_port: port of the HTTP endpoint; 0 takes a free one.
            grpc_port: port of the gRPC endpoint, likewise.
            metrics_port: port of the Prometheus metrics, likewise.
            startup_timeout_s: longest wait until every model is ready, in seconds.
            auto_complete: fill in from the models what their configurations leave out; each model
                then takes longer to load.

        Raises:
            InputError: `host` is not a loopback address.
            ModelError: the repository or one of the models does not exist.
        """
        self._remote = is_s3(str(model_repository))
        self.model_repository = (
            str(model_repository) if self._remote else Path(model_repository).resolve()
        )
        self.models = None if models is None else list(models)
        self.host = host
        self.startup_timeout_s = startup_timeout_s
        self._auto_complete = auto_complete
        self._wanted_ports = (http_port, grpc_port, metrics_port)
        self._ports = self._wanted_ports
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._id = ""
        if not is_loopback(host):
            raise InputError(
                f"serve: host: expected a loopback address, got {host} (the embedded server is "
                "not safe to expose; run the same repository in NVIDIA's container)"
            )
        if isinstance(self.model_repository, Path):
            _check_folder(self.model_repository, self.models or [])

    @property
    def http_url(self) -> str:
        """Address of the HTTP endpoint, `host:port`."""
        return f"{self.host}:{self._ports[0]}"

    @property
    def grpc_url(self) -> str:
        """Address of the gRPC endpoint, `host:port`."""
        return f"{self.host}:{self._ports[1]}"

    @property
    def metrics_url(self) -> str:
        """Full URL of the Prometheus metrics."""
        return f"http://{self.host}:{self._ports[2]}/metrics"

    @property
    def running(self) -> bool:
        """Tell whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def providers(self) -> dict[str, str]:
        """ONNX Runtime provider really active in each loaded model, by model name."""
        return dict(_PROVIDER.findall(self.log()))

    def stubs(self, model: str) -> set[int]:
        """Return the process ids of a model's stubs, one an instance."""
        if not self._id:
            return set()
        folder = "" if self._remote else f"{self.model_repository}/{model}/"
        return stubs_of(model, folder, f"{self._id}-")

    def bury(self, model: str, stubs: set[int]) -> list[str]:
        """End stubs of a model that were replaced, and remove what dead ones left in memory.

        A model that is loaded anew while one of its stubs is dead is never quite unloaded: Triton
        waits for the dead one, and the others stay.

        Args:
            model: its name.
            stubs: process ids; those that are no stub of this model any more are left alone.

        Returns:
            The names of the shared-memory regions that were removed.
        """
        for stub in stubs & self.stubs(model):
            with contextlib.suppress(ProcessLookupError):
                os.kill(stub, signal.SIGKILL)
        return sweep_shared_memory(supervisor.SHARED_MEMORY, f"{self._id}-")

    def log(self) -> str:
        """Return the server's log so far ("" when it is not started)."""
        if self._folder is None:
            return ""
        return (self._folder / "server.log").read_text(errors="replace")

    def log_tail(self) -> str:
        """Return the log's last lines, only those that speak of errors when there are any."""
        lines = self.log().splitlines()
        errors = [line for line in lines if _ERROR.match(line)]
        return "\n".join((errors or lines)[-_LOG_LINES:])

    def start(self) -> None:
        """Start the server and wait until every model is ready.

        Raises:
            InputError: a chosen port is taken.
            ServerError: a system library is missing, the server ended, or it was not ready in time;
                the end of its log is in the message.
        """
        if self.running:
            raise ServerError("serve: expected a stopped server, got one that runs already")
        check_system()
        for attempt in range(1, _ATTEMPTS + 1):
            process = self._launch()
            try:
                self._wait_ready(process)
                return
            except ServerError:
                raced = "already in use" in self.log() and 0 in self._wanted_ports
                self.stop()
                if not raced or attempt == _ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Stop the server, its stubs and its shared memory; harmless when it is not running."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(supervisor.GRACE_S + 5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> EmbeddedTriton:
        """Start the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        """Choose ports, make a folder for links and log, and start supervisor and server."""
        self._ports = choose_ports(self.host, self._wanted_ports)
        self._id = f"vigil-{uuid.uuid4().hex[:12]}"
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self._id}-"))
        lay_out_backends(self._folder / "backends")
        script = [sys.executable, "-I", "-S", supervisor.__file__]
        watch = [str(os.getpid()), f"{self._id}-", str(self._folder)]
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*script, *watch, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment() | {"TRITON_AWS_MOUNT_DIRECTORY": str(self._folder)},
                start_new_session=True,
            )
        return self._process

    def _command(self) -> list[str]:
        """Return the command line of tritonserver."""
        http, grpc, metrics = self._ports
        command = [
            str(tritonserver_folder() / "bin" / "tritonserver"),
            f"--id={self._id}",
            f"--model-repository={self.model_repository}",
            f"--backend-directory={self._folder}/backends",
            f"--backend-config=python,shm-region-prefix-name={self._id}-",
            f"--exit-timeout-secs={supervisor.GRACE_S:.0f}",
            f"--http-address={self.host}",
            f"--http-port={http}",
            f"--grpc-address={self.host}",
            f"--grpc-port={grpc}",
            f"--metrics-address={self.host}",
            f"--metrics-port={metrics}",
        ]
        if not self._auto_complete:
            command += ["--disable-auto-complete-config"]
        if self.models is not None:
            command += ["--model-control-mode=explicit"]
            command += [f"--load-model={name}" for name in self.models]
        return command

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Poll until the server with our id says ready; raise ServerError with its log if not."""
        deadline = time.monotonic() + self.startup_timeout_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServerError(f"serve: tritonserver ended during start-up\n{self.log_tail()}")
            if self._answers():
                return
            time.sleep(0.05)
        raise ServerError(
            f"serve: expected a ready server within {self.startup_timeout_s:g} s\n{self.log_tail()}"
        )

    def _answers(self) -> bool:
        """Tell whether a server answers as ready, and whether it is ours and not another's."""
        try:
            with closing(http.client.HTTPConnection(self.http_url, timeout=1)) as connection:
                connection.request("GET", "/v2")
                if json.load(connection.getresponse()).get("name") != self._id:
                    return False
                connection.request("GET", "/v2/health/ready")
                return connection.getresponse().status == 200
        except (OSError, ValueError, http.client.HTTPException):
            return False


def _check_folder(repository: Path, models: Sequence[str]) -> None:
    if not repository.is_dir():
        raise ModelError(f"serve: {repository}: expected a folder of models, got none")
    for name in models:
        if not (repository / name).is_dir():
            raise ModelError(f"serve: {name}: no such model in {repository}")
