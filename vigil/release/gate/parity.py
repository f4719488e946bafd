"""Row by row: PyTorch, ONNX Runtime and Triton give the same answer, however rows are batched.

The reference is PyTorch at batch 1, where no row has a neighbor; below fp32 it is the network
itself at batch 1. Everything else is compared with it: every batch size in mixed order, sizes
mixed under concurrency, and rows beside one of NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vigil.errors import VigilError
from vigil.release.gate.check import Check, Feeds
from vigil.session import Array

_TOPIC = "parity"
_CALLERS = 8
_ROUNDS = 2  # times that every row is asked for under concurrency
_SEED = 0

Run = Callable[[Feeds], Mapping[str, Array]]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Reference:
    """What is right.

    Attributes:
        feeds: arrays of N rows by input name.
        answers: arrays of N rows by output name.
        tolerance: largest absolute difference that is let pass.
        name: who says so.
    """

    feeds: Feeds
    answers: Mapping[str, Array]
    tolerance: float
    name: str = "PyTorch"

    @property
    def count(self) -> int:
        """Number of rows N."""
        return len(next(iter(self.feeds.values())))

    def take(self, rows: Rows) -> dict[str, Array]:
        """Return the inputs of `rows`."""
        return {name: np.ascontiguousarray(array[rows]) for name, array in self.feeds.items()}

    def gap(self, rows: Rows, given: Mapping[str, Array]) -> float:
        """Return the largest difference of answers to `rows`; infinite where they are no numbers.

        Rows numbered -1 are not compared.
        """
        real = rows >= 0
        worst = 0.0
        for name, wanted in self.answers.items():
            found = given.get(name)
            if found is None or found.shape != (len(rows), *wanted.shape[1:]):
                return float("inf")
            difference = np.abs(found[real] - wanted[rows[real]]).max(initial=0.0)
            worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
        return worst


def reference(run: Run, feeds: Feeds, tolerance: float, name: str = "PyTorch") -> Reference:
    """Ask `run`, which is PyTorch unless `name` says otherwise, about one row after the other."""
    count = len(next(iter(feeds.values())))
    rows = [run({name: array[i : i + 1] for name, array in feeds.items()}) for i in range(count)]
    answers = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return Reference(feeds, answers, tolerance, name)


def parity(right: Reference, runs: Mapping[str, Run], sizes: Sequence[int]) -> list[Check]:
    """Compare every way to run the candidate with what is right.

    Args:
        right: inputs and PyTorch's answers.
        runs: ways to run it, by name; each may be called from several threads.
        sizes: batch sizes, the largest last.
    """
    checks = []
    for name, run in runs.items():
        questions: dict[str, Callable[[], float]] = {
            f"{name} = {right.name}, batch {size}": partial(batches, right, run, size)
            for size in sizes
        }
        most = sizes[-1]
        questions |= {
            f"{name} = {right.name}, sizes and order mixed, {_CALLERS} callers": partial(
                crowd, right, run, most
            ),
            f"{name}: a row of NaN leaves its neighbors alone": partial(
                beside_nan, right, run, most
            ),
        }
        checks += [_check(question, right, measure) for question, measure in questions.items()]
    return checks


def batches(right: Reference, run: Run, size: int) -> float:
    """Return the largest difference over all rows in mixed order, `size` at a time."""
    order = np.random.default_rng(_SEED).permutation(max(right.count, size)) % right.count
    worst = 0.0
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        worst = max(worst, right.gap(rows, run(right.take(rows))))
    return worst


def crowd(right: Reference, run: Run, most: int) -> float:
    """Return the largest difference where callers ask at once, 1 to `most` rows each."""
    rng = np.random.default_rng(_SEED)
    requests: list[Rows] = []
    while sum(map(len, requests)) < _ROUNDS * right.count:
        size = int(rng.integers(1, most + 1))
        requests.append(rng.integers(0, right.count, size))
    with ThreadPoolExecutor(_CALLERS) as pool:
        answers = pool.map(lambda rows: run(right.take(rows)), requests)
        return max(map(right.gap, requests, answers))


def beside_nan(right: Reference, run: Run, most: int) -> float:
    """Return the largest difference of rows beside one of NaN, in their request and in others'."""
    size = min(most, 4)
    if size > 1:
        rows = np.arange(size) % right.count
        rows[size // 2] = -1
        worst = right.gap(rows, run(_with_nan(right, rows)))
    else:
        worst = 0.0
    requests = [np.array([-1 if i % 3 == 1 else i % right.count]) for i in range(4 * _CALLERS)]
    with ThreadPoolExecutor(_CALLERS) as pool:
        answers = pool.map(lambda rows: _alone(right, run, rows), requests)
        return max(worst, *map(right.gap, requests, answers))


def _alone(right: Reference, run: Run, rows: Rows) -> Mapping[str, Array]:
    """Ask about rows; a refused row of NaN is as good as any answer to it."""
    try:
        return run(_with_nan(right, rows))
    except VigilError:
        if (rows >= 0).any():
            raise
        return {name: wanted[:1] for name, wanted in right.answers.items()}


def _with_nan(right: Reference, rows: Rows) -> dict[str, Array]:
    """Return inputs of `rows`, NaN (the largest value of integers) where they are -1."""
    feeds = right.take(rows)
    for array in feeds.values():
        array[rows < 0] = np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    return feeds


def _check(question: str, right: Reference, measure: Callable[[], float]) -> Check:
    try:
        worst = measure()
    except VigilError as error:
        return Check(_TOPIC, question, False, str(error))
    passed = worst <= right.tolerance
    detail = f"largest difference {worst:.2g}, {right.tolerance:g} allowed, {right.count} rows"
    return Check(_TOPIC, question, passed, detail)
