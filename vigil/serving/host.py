"""What the embedded Triton needs of this machine: binaries, libraries, environment, ports."""

from __future__ import annotations

import ctypes.util
import importlib.util
import ipaddress
import os
import re
import shutil
import socket
import sys
import sysconfig
import time
from pathlib import Path

from vigil.errors import InputError, ServerError

BACKEND = Path(__file__).parent / "backends" / "onnxruntime"
_INSTANCE = 8  # the word of a stub's command line that names its instance
_PORT_NAMES = ("http_port", "grpc_port", "metrics_port")


def tritonserver_folder() -> Path:
    """Find the folder with NVIDIA's binaries inside the installed nvidia-pytriton wheel.

    Raises:
        ServerError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("pytriton")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "tritonserver"
        if (folder / "bin" / "tritonserver").is_file():
            return folder
    raise ServerError("serve: expected the nvidia-pytriton wheel (pip extra `serve`), got none")


def lay_out_backends(destination: Path) -> None:
    """Build a backend directory of links: `python` (NVIDIA's) and `onnxruntime` (ours).

    Triton's own Python backend gets the stub of this Python, which its wheel keeps elsewhere, and
    a copy of its library: Triton refuses a linked one.
    """
    triton = tritonserver_folder()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    ours, python = destination / "onnxruntime", destination / "python"
    for folder in (ours, python):
        folder.mkdir(parents=True)
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise ServerError(f"serve: nvidia-pytriton has no stub for Python {version}")
    utils = triton / "backends" / "python" / "triton_python_backend_utils.py"
    shutil.copyfile(utils.with_name("libtriton_python.so"), python / "libtriton_python.so")
    for target in (stub, utils):
        (ours / target.name).symlink_to(target)
        (python / target.name).symlink_to(target)
    for name in ("model.py", "onnx_configuration.py", "onnx_tensors.py"):
        (ours / name).symlink_to(BACKEND / name)


def environment() -> dict[str, str]:
    """Return the server's environment: the stub finds our packages by `python` on its PATH.

    The first place it looks is where this very vigil lies, so that models written in Python run
    the code that serves them.
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "PYTHONPATH"}}
    libraries = [sysconfig.get_config_var("LIBDIR") or "", kept.get("LD_LIBRARY_PATH", "")]
    kept["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    kept["PYTHONPATH"] = str(Path(__file__).parents[2])
    kept["PATH"] = f"{sys.prefix}/bin:{kept.get('PATH', '')}"
    return kept


def check_system() -> None:
    """Raise ServerError naming the Debian package when the stub's libpython is missing."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = sysconfig.get_config_var("LIBDIR") or ""
    found = ctypes.util.find_library(f"python{version}")
    if found is None and not Path(folder, f"libpython{version}.so.1.0").exists():
        raise ServerError(
            f"serve: libpython{version}.so.1.0 is missing: apt-get install libpython{version}"
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def choose_ports(host: str, wanted: tuple[int, int, int]) -> tuple[int, int, int]:
    """Fill in free ports for zeros and make sure that the others are free.

    Raises:
        InputError: a chosen port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held, ports = [], []
    try:
        for name, port in zip(_PORT_NAMES, wanted, strict=True):
            probe = socket.socket(family)
            held.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise InputError(
                    f"serve: {name}: expected a free port, got {port}: {error.strerror} "
                    "(choose another, or 0 for any)"
                ) from error
            ports.append(probe.getsockname()[1])
    finally:
        for probe in held:
            probe.close()
    return ports[0], ports[1], ports[2]


def stubs_of(model: str, folder: str, prefix: str) -> set[int]:
    """Return the process ids of the stubs of one server's model.

    Args:
        model: its name, from which Triton names the instances: a stub's ninth word.
        folder: the model's folder, a slash at its end: what a stub's second word begins with; ""
            where Triton works on a copy, whose name says nothing.
        prefix: what its third word, the name of its shared memory, begins with.
    """
    found, instance = set(), re.compile(rf"{re.escape(model)}_\d+(_\d+)?")
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        words = _words(line)
        if len(words) <= _INSTANCE or not words[2].startswith(prefix):
            continue
        if words[1].startswith(folder) if folder else instance.fullmatch(words[_INSTANCE]):
            found.add(int(line.parent.name))
    return found


def sweep_shared_memory(folder: Path, prefix: str, older_than_s: float = 5.0) -> list[str]:
    """Remove the regions that dead stubs left behind.

    A stub is started with its region's name on its command line, shortly after the server has made
    the region; the server itself keeps a dead stub's region mapped, so that says nothing.

    Args:
        folder: where the kernel shows shared memory.
        prefix: what the names of one server's regions begin with.
        older_than_s: younger regions may still be waiting for their stub.

    Returns:
        The names of what was removed.
    """
    regions = {path.name: path for path in folder.glob(f"{prefix}*")}
    if not regions:
        return []
    used = _command_words()
    removed = []
    for name, path in sorted(regions.items()):
        try:
            if name not in used and time.time() - path.stat().st_ctime > older_than_s:
                path.unlink()
                removed.append(name)
        except FileNotFoundError:
            continue
    return removed


def _command_words() -> set[str]:
    """Return every word on the command line of every process that may be looked at."""
    lines = Path("/proc").glob("[0-9]*/cmdline")
    return {word for line in lines for word in _words(line)}


def _words(line: Path) -> list[str]:
    """Return the words of a process's command line; none where it ended meanwhile."""
    try:
        return line.read_text(errors="replace").split("\0")
    except OSError:
        return []
