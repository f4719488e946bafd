"""What a measurement costs the machine: processor time, memory and GPU of the server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_GIB = 2**30


@dataclass(frozen=True)
class Usage:
    """A reading.

    Attributes:
        cpu_s: processor seconds of the processes so far.
        memory_gib: their resident memory now.
        gpu_percent: share of the last second in which the busiest GPU computed; None without one.
        gpu_memory_gib: memory in use on all GPUs, by whomever; None without one.
    """

    cpu_s: float
    memory_gib: float
    gpu_percent: float | None = None
    gpu_memory_gib: float | None = None


def server_processes(url: str) -> list[Any]:
    """Return the process that listens at `host:port` and all its children.

    Returns:
        psutil processes; [] for a server elsewhere, or of another user.
    """
    import psutil

    port = int(url.rpartition(":")[2])
    with suppress(psutil.Error, OSError):
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
                process = psutil.Process(found.pid)
                return [process, *process.children(recursive=True)]
    return []


def read_usage(processes: list[Any]) -> Usage:
    """Read what processes have used; those that ended are left out."""
    import psutil

    cpu = memory = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_info().rss
    return Usage(cpu, memory / _GIB, *_gpu())


def _gpu() -> tuple[float | None, float | None]:
    """Ask NVIDIA's driver, where there is one."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package or no driver: no GPU that could be read
        return None, None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        busy = [float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) for handle in handles]
        used = sum(pynvml.nvmlDeviceGetMemoryInfo(handle).used for handle in handles)
        return max(busy, default=None), used / _GIB if handles else None
    except pynvml.NVMLError:
        return None, None
    finally:
        pynvml.nvmlShutdown()


def driver() -> str:
    """Return the version of NVIDIA's driver, or "none"."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # as above
        return "none"
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()
