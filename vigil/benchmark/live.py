"""Progress for people: a table that fills on a terminal, a line per row elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vigil.benchmark.measure import OnWindow
from vigil.benchmark.recognizer import line
from vigil.benchmark.row import Row
from vigil.benchmark.run import OnRow
from vigil.benchmark.schedule import Closed, Load
from vigil.benchmark.systems import System


@contextmanager
def watching() -> Iterator[tuple[OnRow, OnWindow]]:
    """Yield what to call after each row and before each window.

    The table is redrawn between windows only: drawing costs time that belongs to the callers.
    """
    if not sys.stdout.isatty():
        yield _line, lambda *_: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    columns = ("system", "protocol", "load", "per second", "p50 ms", "p99 ms", "from due", "marks")
    table = Table(*columns, caption="starting")
    with Live(table, console=Console(), auto_refresh=False) as live:

        def on_row(row: Row) -> None:
            table.add_row(*_cells(row))
            live.refresh()

        def on_window(system: System, load: Load, number: int) -> None:
            callers = f"c={load.concurrency}" if isinstance(load, Closed) else load.name
            rate = "" if isinstance(load, Closed) else f" {load.rate_per_s:.1f}/s"
            table.caption = f"{system.name} {system.protocol} {callers}{rate}, window {number}"
            live.refresh()

        yield on_row, on_window


def _line(row: Row) -> None:
    sys.stdout.write(line(row) + "\n")
    sys.stdout.flush()


def _cells(row: Row) -> list[str]:
    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    marks = [word for word, shown in (
        ("not stable", not row.stable), ("INVALID", not row.valid),
        (f"{row.errors} errors", bool(row.errors)), (f"{row.wrong} WRONG", bool(row.wrong)),
    ) if shown]  # fmt: skip
    return [row.system, row.protocol, row.title, f"{row.throughput_per_s:.1f}", ms(row.p50_ms),
            ms(row.p99_ms), ms(row.schedule_p99_ms), ", ".join(marks)]  # fmt: skip
