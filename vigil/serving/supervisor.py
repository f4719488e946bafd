"""Keeps one tritonserver company: started between it and the program that wanted it.

Run as a script (`python -I -S supervisor.py PARENT_PID SHM_PREFIX FOLDER COMMAND...`), with nothing
but the standard library. It ends the server when told to (SIGTERM) and also when the program that
wanted it died without a word (kill -9), and whatever way the server ended, it ends the stubs left
over and removes their shared-memory regions. The server dies with it, should it be killed itself.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import time
from types import FrameType

POLL_S = 0.05
EXIT_TIMEOUT_S = 5  # what the server is told to allow its models
GRACE_S = EXIT_TIMEOUT_S + 3.0  # after which it is killed
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run the command to its end, or until the parent is gone; return the command's exit code."""
    parent, prefix, folder, *command = arguments
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    libc = ctypes.CDLL(None, use_errno=True)
    server = subprocess.Popen(
        command,
        process_group=0,
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
    )
    while server.poll() is None and not stopping and os.getppid() == int(parent):
        time.sleep(POLL_S)
    end(server)
    for region in glob.glob(f"/dev/shm/{glob.escape(prefix)}*"):
        os.unlink(region)
    if os.getppid() != int(parent):
        shutil.rmtree(folder, ignore_errors=True)
    return server.returncode


def end(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, insist after `GRACE_S`, then kill what is left of its group."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
