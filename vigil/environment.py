"""What figures were computed on: the machine and the versions, for every report."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vigil.session import cuda_devices

_PACKAGES = (
    "numpy",
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "nvidia-pytriton",
    "tritonclient",
    "mmengine",
    "mmaction2",
)


def describe() -> dict[str, Any]:
    """Return a block of plain values for a report.

    Returns:
        cpu (model name), cores (that this process may use), memory_gib, gpu (names, or "none"), os,
        python, packages (versions of what is installed), command.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": ", ".join(cuda_devices()) or "none",
        "os": _os_name(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "command": _command(),
    }


def _cpu_model() -> str:
    """Return the processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _os_name() -> str:
    try:
        distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        distribution = platform.system()
    return f"{distribution} {platform.machine()}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _command() -> str:
    """Return the command line as it was typed, without this machine's folders."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        program = f"python -m {spec.name.removesuffix('.__main__')}"
    else:
        program = Path(sys.argv[0]).name
    return shlex.join([*program.split(), *sys.argv[1:]])
