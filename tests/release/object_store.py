"""A real object store on loopback: SeaweedFS, with keys that may differ in what they may do."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUCKET = "models"
KEYS = {"admin": ["Admin", "Read", "List", "Write"], "publisher": ["Read", "List", "Write"],
        "reader": ["Read", "List"]}  # fmt: skip
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
          "filer.port.grpc", "s3.port", "s3.port.grpc")  # fmt: skip


def program() -> str | None:
    """Return the path of the server's program, None where it is not installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@dataclass
class ObjectStore:
    """A running store with one bucket."""

    host: str

    def place(self, prefix: str = "") -> str:
        """Return an address in the bucket, as Triton takes it; by default one nobody else has."""
        return f"s3://http://{self.host}/{BUCKET}/{prefix or uuid.uuid4().hex}"

    @property
    def client(self) -> Any:
        """A client that may do everything."""
        import boto3

        who = {"aws_access_key_id": "admin", "aws_secret_access_key": secret("admin")}
        return boto3.client(
            "s3", endpoint_url=f"http://{self.host}", region_name="us-east-1", **who
        )

    def keys(self, place: str) -> set[str]:
        """Return the names of the objects below an address."""
        prefix = place.partition(f"/{BUCKET}/")[2] + "/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {r["Key"].removeprefix(prefix) for p in pages for r in p.get("Contents", ())}

    def put(self, place: str, name: str, content: bytes) -> None:
        """Write an object below an address."""
        key = f"{place.partition(f'/{BUCKET}/')[2]}/{name}"
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)


def secret(who: str) -> str:
    """Return the secret of one of `KEYS`."""
    return f"{who}-secret-0123456789"


def environment(who: str = "publisher") -> dict[str, str]:
    """Return what the environment says to whoever talks to the store."""
    return {
        "AWS_ACCESS_KEY_ID": who, "AWS_SECRET_ACCESS_KEY": secret(who),
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }  # fmt: skip


@contextmanager
def running(folder: Path, *options: str) -> Iterator[ObjectStore]:
    """Run a store whose files lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    identities = [
        {"name": who, "actions": actions,
         "credentials": [{"accessKey": who, "secretKey": secret(who)}]}
        for who, actions in KEYS.items()
    ]  # fmt: skip
    (folder / "keys.json").write_text(json.dumps({"identities": identities}))
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    command = [
        str(program()), "server", "-s3", "-filer", f"-dir={folder}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", "-master.telemetry=false", "-master.volumeSizeLimitMB=16",
        "-volume.max=20", "-volume.preStopSeconds=0", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={folder}/keys.json", "-s3.autoCreateBucket=false",
        f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock",
        *(f"-{name}={port}" for name, port in ports.items()), *options,
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        store = ObjectStore(f"127.0.0.1:{ports['s3.port']}")
        _wait(process, store, folder / "log")
        yield store
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], store: ObjectStore, log: Path) -> None:
    """Wait until the store takes an object."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection(store.host, timeout=1)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                store.client.create_bucket(Bucket=BUCKET)
                store.client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
