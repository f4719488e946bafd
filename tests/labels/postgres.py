"""A real PostgreSQL server of its own, where one is installed."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORT = 5432  # names the socket file only: the server listens to no network


def missing() -> str:
    """Say what is missing to run one, '' where nothing is."""
    if importlib.util.find_spec("psycopg") is None:
        return "no psycopg here"
    return "" if _programs() else "no PostgreSQL server here"


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of an empty database of a server that ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = _user()
    if user is not None:
        shutil.chown(folder, user)
    initdb, postgres = _programs()
    data = folder / "data"
    run = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([initdb, "-D", data, "-U", "vigil", "-A", "trust", "--no-sync",
                    "--no-locale", "--encoding=UTF8"],
                   check=True, **run)  # fmt: skip
    options = {"listen_addresses": "", "synchronous_commit": "off"}  # the store asks for more
    given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command = [postgres, "-D", data, "-k", folder, "-p", str(PORT), *given]
    process = subprocess.Popen(command, **run)
    try:
        _wait(folder / f".s.PGSQL.{PORT}", process)
        yield f"postgresql+psycopg://vigil@/postgres?host={folder}&port={PORT}"
    finally:
        process.terminate()
        process.wait(120)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> tuple[Path, Path] | None:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        both = folder / "initdb", folder / "postgres"
        if all(os.access(program, os.X_OK) for program in both):
            return both
    return None


def _user() -> str | None:
    """Return somebody who is not root, as whom PostgreSQL runs; None where nobody need be."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _wait(path: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1800):
        with socket.socket(socket.AF_UNIX) as client:
            if path.exists() and client.connect_ex(str(path)) == 0:
                return
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError("expected PostgreSQL to start")
