"""What one measured window saw, request by request."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.benchmark.schedule import Seconds

TIMEOUT = "timeout"
_MOST_SAMPLES = 2000


@dataclass(frozen=True)
class Window:
    """The requests that were due inside a window, and all answers that came inside it.

    A request belongs to the window in which it was due, and is waited for however late its answer
    comes: nothing that is slow falls out of the end. Times are seconds after the window opened.

    Attributes:
        concurrency: callers; for an open loop, the most requests that were in flight together.
        seconds: length of the window.
        due: (n,) when each request had to be made.
        ready: (n,) when a connection was free for it; `due` or later.
        sent: (n,) when it was sent.
        done: (n,) when it was answered or failed.
        code: (n,) int, 0 for an answer, else the index of the failure in `kinds`.
        kinds: names of failures; the first is "".
        messages: first message of each kind.
        completed: (m,) when answers came, ascending, each inside the window.
        samples: (input's index, answer) of a share of the requests.
        client_cpu_s: processor seconds of this process inside the window.
        client_busy_s: seconds inside the window in which the client did not wait.
    """

    concurrency: int
    seconds: float
    due: Seconds
    ready: Seconds
    sent: Seconds
    done: Seconds
    code: NDArray[np.int64]
    kinds: tuple[str, ...]
    messages: tuple[str, ...]
    completed: Seconds
    samples: tuple[tuple[int, Any], ...] = ()
    client_cpu_s: float = 0.0
    client_busy_s: float = 0.0

    @property
    def timed(self) -> NDArray[np.bool_]:
        """Which requests have a latency: the answered ones, and those given up for too late.

        A timeout's latency is what it had waited: the true one is larger still.
        """
        late = self.kinds.index(TIMEOUT) if TIMEOUT in self.kinds else 0
        return np.isin(self.code, (0, late))

    @property
    def throughput_per_s(self) -> float:
        """Requests answered per second."""
        return len(self.completed) / self.seconds


@dataclass
class Log:
    """What a load generator writes down while it runs; plain arrays, which the collector skips."""

    rows: array[float] = field(default_factory=lambda: array("d"))
    kinds: dict[str, int] = field(default_factory=lambda: {"": 0})
    messages: list[str] = field(default_factory=lambda: [""])
    samples: list[tuple[float, int, Any]] = field(default_factory=list)

    def answered(self, due: float, ready: float, sent: float, done: float) -> None:
        """Note an answer; times on the clock of `time.perf_counter`."""
        self.rows.extend((due, ready, sent, done, 0))

    def failed(self, due: float, ready: float, sent: float, done: float, why: Exception) -> None:
        """Note a failed request."""
        kind = kind_of(why)
        if kind not in self.kinds:
            self.kinds[kind] = len(self.messages)
            self.messages.append(" ".join(f"{type(why).__name__}: {why}".split())[:300])
        self.rows.extend((due, ready, sent, done, self.kinds[kind]))

    def keep(self, done: float, turn: int, answer: Any) -> None:
        """Keep an answer to be looked at later, unless there are many already."""
        if len(self.samples) < _MOST_SAMPLES:
            self.samples.append((done, turn, answer))

    @property
    def count(self) -> int:
        """How many requests have ended."""
        return len(self.rows) // 5

    def window(
        self, opened: float, closed: float, concurrency: int, cpu_s: float, busy_s: float
    ) -> Window:
        """Cut out what belongs between two times."""
        rows = (
            np.frombuffer(self.rows, np.float64).reshape(-1, 5) if self.rows else np.zeros((0, 5))
        )
        mine = rows[(rows[:, 0] >= opened) & (rows[:, 0] < closed)]
        ended = rows[(rows[:, 4] == 0) & (rows[:, 3] >= opened) & (rows[:, 3] < closed), 3]
        due, ready, sent, done = (mine[:, column] - opened for column in range(4))
        return Window(
            concurrency,
            closed - opened,
            due,
            ready,
            sent,
            done,
            mine[:, 4].astype(np.int64),
            tuple(self.kinds),
            tuple(self.messages),
            np.sort(ended) - opened,
            tuple((turn, answer) for done, turn, answer in self.samples if done >= opened),
            cpu_s,
            busy_s,
        )


def kind_of(error: Exception) -> str:
    """Name the cause of a failed request in a word or two, as the reports count it."""
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, OSError | EOFError):
        return "connection"
    return str(getattr(error, "kind", type(error).__name__))
