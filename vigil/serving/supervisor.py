"""Keeps one tritonserver company: started between it and the program that wanted it.

Run as a script (`python -I -S supervisor.py PARENT_PID SHM_PREFIX FOLDER COMMAND...`), with nothing
but the standard library. It ends the server when told to (SIGTERM) and also when the program that
wanted it died without a word (kill -9), and whatever way the server ended, it ends the stubs left
over and removes their shared-memory regions. The server dies with it, should it be killed itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

POLL_S = 0.05
GRACE_S = 3.0  # longest wait for requests in flight; idle HTTP connections use it up
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (the kernel's own name for it)
DRAINED = b"All models are stopped"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Run the command to its end, or until the parent is gone; return the command's exit code."""
    parent, prefix, folder, *command = arguments
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(
        command,
        process_group=0,
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
    )
    while server.poll() is None and not stopping and os.getppid() == int(parent):
        time.sleep(POLL_S)
    end(server, Path(folder, "server.log"))
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink()
    if os.getppid() != int(parent):
        shutil.rmtree(folder, ignore_errors=True)
    return server.returncode


def end(server: subprocess.Popen[bytes], log: Path) -> None:
    """Let the server finish the requests in flight, then kill it and what is left of its group.

    Unloading, which follows, takes it about a second per model instance and saves nothing.
    """
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while server.poll() is None and time.monotonic() < deadline and not drained(log):
            time.sleep(POLL_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    with contextlib.suppress(ChildProcessError):
        while True:  # stubs that the server left behind are ours to bury
            os.wait()


def drained(log: Path) -> bool:
    """Tell whether the server has written that no request is in flight any more."""
    with log.open("rb") as lines:
        return any(DRAINED in line for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
