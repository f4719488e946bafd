"""Our client beside an independent load generator, at the same settings against the same server.

`perf_analyzer` is Triton's own (the wheel of tritonclient 2.51.0 carries it), `wrk` Debian's.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from vigil.benchmark.generator import drive
from vigil.benchmark.schedule import Closed
from vigil.benchmark.statistics import service
from vigil.benchmark.systems import System
from vigil.errors import InputError, ServerError

_TOOLS_TIMEOUT_S = 300
_LIBRARIES = {"libb64.so.0d": "libb64-*", "libcudart.so.12": "libcudart-*"}
_WRK = """
wrk.method = "POST"
local file = io.open(os.getenv("VIGIL_BODY"), "rb")
wrk.body = file:read("*a")
file:close()
for name, value in os.getenv("VIGIL_HEADERS"):gmatch("([^:\\n]+): ([^\\n]+)") do
  wrk.headers[name] = value
end
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("vigil %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end
"""


@dataclass(frozen=True)
class Figures:
    """One measurement: requests per second, and milliseconds."""

    throughput_per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Agreement:
    """Rounds of both clients by turns.

    Attributes:
        tool: the other's name.
        concurrency: callers.
        ours: per round.
        theirs: per round.
    """

    tool: str
    concurrency: int
    ours: tuple[Figures, ...]
    theirs: tuple[Figures, ...]

    def ratio(self, name: str) -> float:
        """Return the median over the rounds of ours over theirs."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return float(np.median([getattr(a, name) / getattr(b, name) for a, b in pairs]))

    @property
    def agrees(self) -> bool:
        """Whether throughput is within 5 %, and p50 and p99 within 10 %."""
        limits = {"throughput_per_s": 0.05, "p50_ms": 0.1, "p99_ms": 0.1}
        return all(abs(self.ratio(name) - 1) <= limit for name, limit in limits.items())

    def line(self) -> str:
        """Return it for people: medians of both, and the median ratio of the rounds."""
        parts = []
        for name, unit in (("throughput_per_s", "/s"), ("p50_ms", "ms p50"), ("p99_ms", "ms p99")):
            ours, theirs = (
                float(np.median([getattr(one, name) for one in side]))
                for side in (self.ours, self.theirs)
            )
            parts.append(f"{ours:.2f} : {theirs:.2f} {unit} ({self.ratio(name):.3f})")
        word = "agree" if self.agrees else "DIFFER"
        return f"{self.tool} c={self.concurrency}: ours : theirs " + ", ".join(parts) + f": {word}"


Tool = Callable[[int, float], Figures]


def ours(system: System) -> Tool:
    """Return our client as a tool: callers and seconds in, figures out."""

    def measure(concurrency: int, seconds: float) -> Figures:
        window = drive(system.open_lane, Closed(concurrency), seconds, 0.5)
        if not len(window.completed) or (window.code > 0).any():
            raise ServerError(f"trust: {window.messages[-1] or 'no answers'}")
        p50, p99 = np.percentile(service(window) * 1e3, (50, 99))
        return Figures(window.throughput_per_s, float(p50), float(p99))

    return measure


def agreement(name: str, mine: Tool, other: Tool, callers: int, seconds: float, rounds: int
              ) -> Agreement:  # fmt: skip
    """Let both clients measure by turns, each first every other time.

    Args:
        name: of the other.
        mine: our client.
        other: the other.
        callers: concurrency.
        seconds: of each measurement.
        rounds: how often.
    """
    found: dict[int, list[Figures]] = {0: [], 1: []}
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            found[side].append((mine, other)[side](callers, seconds))
    return Agreement(name, callers, tuple(found[0]), tuple(found[1]))


def wrk(program: str, url: str, request: bytes) -> Tool:
    """Return `wrk` with one thread and one fixed request.

    Args:
        program: its path or name.
        url: `host:port`.
        request: a whole HTTP request, see `http_request`.
    """
    head, _, body = request.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    keep = [line for line in fields if not line.lower().startswith(("host:", "content-length:"))]

    def measure(concurrency: int, seconds: float) -> Figures:
        with TemporaryDirectory(prefix="vigil-wrk-") as folder:
            script, payload = Path(folder, "post.lua"), Path(folder, "body")
            script.write_text(_WRK)
            payload.write_bytes(body)
            given = {"VIGIL_BODY": str(payload), "VIGIL_HEADERS": "\n".join(keep)}
            text = _call(
                [program, "-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "-s",
                 str(script), "--timeout", "30s", f"http://{url}{first.split()[1]}"], given,
            )  # fmt: skip
        found = re.search(r"vigil (\d+) (\d+) (\d+) (\d+) (\d+)", text)
        if not found or int(found[5]) or not int(found[1]):
            raise ServerError(f"trust: wrk: expected answers only, got: {text[-300:]}")
        count, spent, p50, p99 = (int(found[i]) for i in range(1, 5))
        return Figures(count / spent * 1e6, p50 / 1e3, p99 / 1e3)

    return measure


def perf_analyzer(program: Path, url: str, model: str, protocol: str) -> Tool:
    """Return Triton's perf_analyzer, in windows of time.

    Args:
        program: see `unpacked`.
        url: `host:port` of the protocol's endpoint.
        model: name of the served model.
        protocol: `http` or `grpc`.
    """

    def measure(concurrency: int, seconds: float) -> Figures:
        with TemporaryDirectory(prefix="vigil-perf-") as folder:
            table = Path(folder, "found.csv")
            _call(
                [str(program), "-m", model, "-u", url, "-i", protocol, "-f", str(table),
                 "--concurrency-range", str(concurrency), "-r", "3", "-s", "999",
                 "-p", f"{seconds * 1e3 / 3:.0f}"], {"LD_LIBRARY_PATH": str(program.parent)},
            )  # fmt: skip
            with table.open(newline="") as file:
                row = next(csv.DictReader(file))
        return Figures(
            float(row["Inferences/Second"]),
            float(row["p50 latency"]) / 1e3,
            float(row["p99 latency"]) / 1e3,
        )

    return measure


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield perf_analyzer beside the libraries that it wants, for as long as the context lasts.

    Args:
        path: the program, or a wheel of tritonclient that carries it.

    Raises:
        InputError: neither.
    """
    with TemporaryDirectory(prefix="vigil-perf-") as name:
        program = Path(name, "perf_analyzer")
        try:
            if path.suffix == ".whl":
                with zipfile.ZipFile(path) as wheel:
                    inside = next(n for n in wheel.namelist() if n.endswith("bin/perf_analyzer"))
                    program.write_bytes(wheel.read(inside))
            else:
                shutil.copyfile(path, program)
        except (OSError, StopIteration, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path}: expected perf_analyzer, or the wheel tritonclient 2.51.0 that holds it"
            ) from error
        program.chmod(0o755)
        spec = importlib.util.find_spec("pytriton")
        for place in (spec.submodule_search_locations or []) if spec else []:
            for wanted, pattern in _LIBRARIES.items():
                for library in Path(place).parent.glob(f"nvidia_pytriton.libs/{pattern}"):
                    Path(name, wanted).symlink_to(library)
        yield program


def _call(command: list[str], variables: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, env=os.environ | dict(variables), capture_output=True, text=True,
            timeout=_TOOLS_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"trust: {command[0]}: {error}") from error
    if done.returncode:
        raise ServerError(
            f"trust: {Path(command[0]).name}: exit {done.returncode}: "
            f"{(done.stderr or done.stdout)[-300:].strip()}"
        )
    return done.stdout
