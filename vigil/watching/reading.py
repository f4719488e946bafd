"""Request logs read back: what was seen of each recognizer, and how its requests went."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vigil.errors import InputError
from vigil.watching.features import Floats
from vigil.watching.record import Record, Seen

_LONGEST = 1_000_000  # characters of a line; longer ones are none of ours
Key = tuple[str, str]  # the served model, and the recognizer that spoke


@dataclass
class Requests:
    """How the requests to a served model went.

    Attributes:
        outcomes: requests by outcome.
        versions: requests by the version that answered.
        latencies_ms: of those that were answered.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)


@dataclass
class Served:
    """All that logs tell.

    Attributes:
        requests: by served model.
        seen: rows or windows with their time and source, by served model and recognizer.
        broken: lines that were none.
        dropped: lines that their writers lost.
        first: seconds since 1970 of the first request; 0 where there is none.
        last: likewise of the last.
    """

    requests: dict[str, Requests] = field(default_factory=lambda: defaultdict(Requests))
    seen: dict[Key, list[tuple[float, str, Seen]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    broken: int = 0
    dropped: int = 0
    first: float = 0.0
    last: float = 0.0


def read_logs(folder: Path, since: float = 0.0) -> Served:
    """Read all logs below a folder, of one process or several, rotated or not.

    Args:
        folder: of the logs.
        since: seconds since 1970; earlier requests are left out.

    Raises:
        InputError: no log there.
    """
    files = sorted(path for path in folder.rglob("*.jsonl*") if path.is_file())
    if not files:
        raise InputError(f"{folder}: expected request logs, got none")
    served = Served()
    by_writer: dict[Path, list[Record]] = defaultdict(list)
    for path in files:
        for one in _records(path, served):
            if one.at >= since:
                by_writer[path.parent].append(one)
    for records in by_writer.values():
        served.dropped += max(one.dropped for one in records)
        _add(records, served)
    return served


def _records(path: Path, served: Served) -> Iterator[Record]:
    with path.open("rb") as file:
        while text := file.readline(_LONGEST):
            if not text.strip():
                continue
            try:
                yield Record.model_validate_json(text)
            except ValidationError:  # cut by a crash, or somebody else's
                served.broken += 1


def _add(records: Iterable[Record], served: Served) -> None:
    for one in records:
        served.first = min(served.first or one.at, one.at)
        served.last = max(served.last, one.at)
        requests = served.requests[one.model]
        requests.outcomes[one.outcome] += 1
        requests.versions[one.version] += 1
        if one.outcome == "ok":
            requests.latencies_ms.append(one.latency_ms)
        for seen in one.seen:
            served.seen[one.model, seen.by].append((one.at, one.source, seen))


def values_of(seen: Iterable[Seen], feature: str, classes: tuple[str, ...]) -> Floats:
    """Return (n,) values of a feature as the reference counts them; NaN where there is none."""

    def value(one: Seen) -> float:
        if feature == "class":
            return float(classes.index(one.top)) if one.top in classes else np.nan
        return one.confidence if feature == "confidence" else one.features.get(feature, np.nan)

    return np.array([value(one) for one in seen], np.float64)


def blocks_of(seen: Iterable[tuple[float, str, Seen]], block_s: float) -> NDArray[np.int64]:
    """Number what belongs together: windows of one source within `block_s` seconds; (n,)."""
    numbers: dict[tuple[str, int], int] = {}
    keys = ((source, int(at // block_s)) for at, source, _ in seen)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
