"""The deployed proxy, from its very configuration, before the embedded Triton."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import http.client
import ipaddress
import json
import os
import random
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.deploy.places import DEPLOY, program
from vigil.serving.server import EmbeddedTriton

TOKEN, OTHER = "a-token-of-the-first-client", "a-token-of-the-second-client"
ADMIN = "an-admin-key"
BEARER = {"authorization": f"Bearer {TOKEN}"}
INFER = "/v2/models/tiny/infer"
BODY_BYTES = 1_000_000
FILES = 4_200  # two for each of the proxy's connections, and some
NEWER = ("--allow-client-shm", "--http-max-input-size")  # than the embedded release
OURS = ("--model-repository", "--model-control-mode", "--load-model", "--exit-timeout-secs")


class RestrictedTriton(EmbeddedTriton):
    """The embedded server with the restrictions of `deploy/triton/start.sh`.

    Left out is what the embedded release does not know yet or the test chooses itself.
    """

    def _command(self) -> list[str]:
        told = subprocess.run(
            ["/bin/sh", str(DEPLOY / "triton" / "start.sh")],
            env={"PATH": f"{self._shim()}:/usr/bin:/bin", "VIGIL_REPOSITORY": "/models",
                 "VIGIL_ADMIN_KEY": str(self._shim() / "key"), "VIGIL_BODY_BYTES": "1"},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        kept = [line for line in told if line.split("=")[0] not in (*NEWER, *OURS)]
        return [*super()._command(), *kept]

    def _shim(self) -> Path:
        """Return a folder with the key and a `tritonserver` that only says its arguments."""
        assert self._folder is not None
        folder = self._folder / "shim"
        if not folder.is_dir():
            folder.mkdir()
            (folder / "key").write_text(f"{ADMIN}\n")
            (folder / "tritonserver").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
            (folder / "tritonserver").chmod(0o755)
        return folder


class Proxy:
    """HAProxy with `deploy/proxy/haproxy.cfg` on free ports; a context manager."""

    def __init__(self, folder: Path, http_url: str, grpc_url: str, **limits: int) -> None:
        self.certificate = folder / "certificate.pem"
        self.tokens, self._log = folder / "tokens", folder / "proxy.log"
        write_certificate(self.certificate)
        write_tokens(self.tokens, {TOKEN: "camera-1", OTHER: "camera-2"})
        ports = free_ports(2)
        self.port, self.status = ports[0], f"http://127.0.0.1:{ports[1]}"
        self.url = f"localhost:{self.port}"
        self.env = {
            "VIGIL_LISTEN": f"127.0.0.1:{ports[0]}", "VIGIL_STATUS": f"127.0.0.1:{ports[1]}",
            "VIGIL_CERTIFICATE": str(self.certificate), "VIGIL_TOKENS": str(self.tokens),
            "TRITON_HTTP": http_url, "TRITON_GRPC": grpc_url,
            "VIGIL_RATE": str(limits.get("rate", 10_000)),
            "VIGIL_AT_ONCE": str(limits.get("at_once", 64)),
            "VIGIL_BODY_BYTES": str(BODY_BYTES),
        }  # fmt: skip
        self.tls = ssl.create_default_context(cafile=str(self.certificate))
        self.expected = 200  # of readiness once it runs
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Proxy:
        command = [program("haproxy", "haproxy"), "-W", "-f", str(DEPLOY / "proxy" / "haproxy.cfg")]
        command = fitting(command)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | self.env, stdout=log, stderr=log
            )
        try:
            self.wait_until(
                lambda: self._loaded() and get(f"{self.status}/ready")[0] == self.expected
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def reload(self) -> None:
        """Have it read certificate and tokens anew, as the runbook says.

        A signal can get lost while the machine is busy; its log says when it has been heard.
        """
        assert self._process is not None
        before = self._loaded()
        for _ in range(10):
            self._process.send_signal(signal.SIGUSR2)
            with contextlib.suppress(AssertionError):
                return self.wait_until(lambda: self._loaded() > before, limit_s=10)
        raise AssertionError(f"expected it to load its files anew\n{self.log()[-1500:]}")

    def wait_until(self, met: Any, limit_s: float = 120.0) -> None:
        """Wait until `met()`, or fail with the proxy's log."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if met():
                return
            time.sleep(0.05)
        raise AssertionError(f"not met in {limit_s:g} s\n{self.log()[-1500:]}")

    def _loaded(self) -> int:
        """Count how often it has read its files."""
        return self.log().count("Loading success")

    def log(self) -> str:
        """Return what it has written so far."""
        return self._log.read_text(errors="replace")

    def entries(self) -> list[dict[str, Any]]:
        """Return its lines about requests."""
        return [json.loads(line) for line in re.findall(r"^\{.*\}$", self.log(), re.MULTILINE)]

    def connect(self) -> ssl.SSLSocket:
        """Return a connection over TLS on which nothing has been said."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        return self.tls.wrap_socket(plain, server_hostname="localhost")


def fitting(command: list[str]) -> list[str]:
    """Return a command of the proxy with as many connections as this machine has files for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= FILES:
        return command
    return [*command, "-n", str(hard // 3)]


def ask(
    proxy: Proxy, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, JSON body and headers of one request over HTTPS."""
    line = http.client.HTTPSConnection("localhost", proxy.port, timeout=120, context=proxy.tls)
    with closing(line):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path, body, named)
        answer = line.getresponse()
        content = answer.read()
        found = json.loads(content) if content else {}
        return answer.status, found, {k.lower(): v for k, v in answer.getheaders()}


def code(call: Any, request: Any, **options: Any) -> str:
    """Return the status that a gRPC call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=120, **options)
    return str(caught.value.code().name)


def get(url: str) -> tuple[int, str]:
    """Return status and body; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (our own address)
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, and that no system deals out by itself meanwhile."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("expected free ports below 32000")


def write_tokens(path: Path, tokens: dict[str, str]) -> None:
    """Write the proxy's file of token hashes and clients."""
    rows = [f"{hashlib.sha256(key.encode()).hexdigest()} {name}\n" for key, name in tokens.items()]
    path.write_text("".join(rows))


def write_certificate(path: Path) -> None:
    """Write a key and a certificate for localhost that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    path.chmod(0o600)
