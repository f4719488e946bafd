"""The batch gain G(b): what a device gives to batches by itself, without any server."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vigil.session import Array, Session


@dataclass(frozen=True)
class BatchGain:
    """Throughput of the device itself at one batch size, in process and without any server.

    Attributes:
        batch: rows per run.
        throughput_per_s: rows per second.
        gain: G(b), throughput over that at batch 1.
    """

    batch: int
    throughput_per_s: float
    gain: float


def batch_sizes(maximum: int) -> list[int]:
    """Return 1, 4, 16, 32, 64 … up to `maximum`, and `maximum` itself."""
    usual = [1, 4, 16, 32, 64, 128, 256]
    return sorted({size for size in usual if size < maximum} | {maximum})


def batch_gains(
    session: Session, row: Mapping[str, Array], sizes: Sequence[int], seconds: float
) -> list[BatchGain]:
    """Measure G(b).

    The sizes take turns, so that a disturbance of the machine meets them all alike, and the median
    run of each counts.

    Args:
        session: the network, in process.
        row: one input row, batch axis of size 1.
        sizes: batch sizes; 1 is measured in any case.
        seconds: time to spend on all sizes together; each runs at least three times.
    """
    ordered = sorted({1, *sizes})
    feeds = {b: {name: np.repeat(a, b, axis=0) for name, a in row.items()} for b in ordered}
    spent: dict[int, list[float]] = {b: [] for b in ordered}
    for b in ordered:
        session.run(feeds[b])
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(spent[1]) < 3:
        for b in ordered:
            start = time.perf_counter()
            session.run(feeds[b])
            spent[b].append(time.perf_counter() - start)
    rate = {b: b / float(np.median(spent[b])) for b in ordered}
    return [BatchGain(b, rate[b], rate[b] / rate[1]) for b in ordered]
