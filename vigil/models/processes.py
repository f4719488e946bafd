"""The processes of one training: alone, or several that torchrun started.

torchrun says in the environment how many there are. Without it every function here answers for a
training alone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def group() -> Iterator[None]:
    """Join the processes that torchrun started, over NCCL with CUDA and over gloo without."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    import torch
    import torch.distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    os.environ.setdefault("MKL_NUM_THREADS", "1")  # mmengine's choice, which else it warns of
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """Return how many processes train together."""
    import torch.distributed as dist

    return int(dist.get_world_size()) if _joined() else 1


def rank() -> int:
    """Return this process's number among them; 0 writes the files."""
    import torch.distributed as dist

    return int(dist.get_rank()) if _joined() else 0


def local_rank() -> int:
    """Return this process's number on its machine, which is its CUDA device's."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def wait() -> None:
    """Wait for the other processes."""
    import torch.distributed as dist

    if _joined():
        dist.barrier()


def _joined() -> bool:
    import torch.distributed as dist

    return bool(dist.is_available() and dist.is_initialized())
