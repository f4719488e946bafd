"""What `vigil-bench` is told on its command line, read into loads, targets and parameters."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, get_args

from vigil.benchmark.schedule import Arrivals, Closed, Load, at_rate, from_trace
from vigil.benchmark.served import Target, parse_shapes
from vigil.config import BenchmarkProtocol, BenchmarkSection
from vigil.errors import InputError
from vigil.session import TransportName

PROTOCOLS = get_args(BenchmarkProtocol)
ARGUMENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("command", {"choices": ("run", "compare", "trust")}),
    ("files", {"nargs": "*", "type": Path, "help": "compare: two reports, A.json B.json"}),
    ("--model", {"help": "name of the served model (parameter benchmark.model)"}),
    ("--url", {"help": "HTTP endpoint host:port of a running server"}),
    ("--grpc-url", {"help": "its gRPC endpoint, for --protocol grpc"}),
    ("--repository", {"type": Path, "help": "serve this repository instead (triton_repo)"}),
    ("--protocol", {"nargs": "+", "choices": PROTOCOLS, "help": "http grpc http_shm grpc_shm"}),
    ("--concurrency", {"type": int, "nargs": "+", "help": "closed loop: callers"}),
    ("--rate", {"type": float, "nargs": "+", "help": "open loop: requests per second"}),
    ("--arrivals", {"choices": get_args(Arrivals), "help": "of --rate"}),
    ("--trace", {"type": Path, "help": "open loop: CSV of offset_s to replay"}),
    ("--speed", {"type": float, "default": 1.0, "help": "of the trace; 2: twice as fast"}),
    ("--slo-p99-ms", {"type": float, "default": 0.0, "help": "search the highest rate below it"}),
    ("--input", {"type": Path, "help": ".npz file or folder; may hold right answers too"}),
    ("--shape", {"nargs": "+", "default": [], "help": "random inputs: NAME:SIZE,SIZE"}),
    ("--batch", {"type": int, "default": 1, "help": "rows of a request"}),
    ("--beside", {"action": "store_true", "help": "and ONNX Runtime in process, by turns"}),
    ("--window", {"type": float, "help": "seconds of a window"}),
    ("--windows", {"type": int, "help": "most windows"}),
    ("--timeout", {"type": float, "help": "seconds for an answer"}),
    ("--seed", {"type": int, "help": "of the arrivals"}),
    ("--out", {"type": Path, "help": "folder of the reports (reports/bench)"}),
    ("--threshold", {"type": float, "default": 0.05, "help": "compare: least change that counts"}),
    ("--perf-analyzer", {"type": Path, "help": "trust: program, or wheel tritonclient 2.51.0"}),
    ("--wrk", {"default": "wrk", "help": "trust: program"}),
    ("--rounds", {"type": int, "default": 5, "help": "trust: measurements of each"}),
)


def parameters(parsed: Namespace, section: BenchmarkSection) -> BenchmarkSection:
    """Put what the command line says into the section of `params.yaml`.

    Raises:
        InputError: a value that the section refuses.
    """
    given = {
        "model": parsed.model,
        "protocols": parsed.protocol,
        "window_s": parsed.window,
        "max_windows": parsed.windows,
        "timeout_s": parsed.timeout,
        "seed": parsed.seed,
        "arrivals": parsed.arrivals,
        "slo_p99_ms": parsed.slo_p99_ms,
    }
    changed = {key: value for key, value in given.items() if value is not None}
    try:
        return BenchmarkSection.model_validate(section.model_dump() | changed)
    except ValueError as error:
        first = str(error).splitlines()[1:3]
        raise InputError(f"benchmark: {': '.join(part.strip() for part in first)}") from error


def loads(parsed: Namespace, params: BenchmarkSection) -> list[Load]:
    """Return what the command line asks for; the parameters' callers where it asks for nothing.

    Raises:
        InputError: a rate or trace that is none, or callers out of bounds.
    """
    found: list[Load] = [Closed(count) for count in parsed.concurrency or ()]
    if any(not 1 <= count <= 1024 for count in parsed.concurrency or ()):
        raise InputError(f"benchmark: --concurrency: expected 1 to 1024, got {parsed.concurrency}")
    found += [at_rate(rate, params.arrivals, params.seed) for rate in parsed.rate or ()]
    if parsed.trace is not None:
        found.append(from_trace(parsed.trace, parsed.speed))
    if found or params.slo_p99_ms:
        return found
    return [Closed(count) for count in params.concurrencies]


def target(
    parsed: Namespace, model: str, urls: dict[TransportName, str], onnx: Path | None
) -> Target:
    """Return what to ask.

    Raises:
        InputError: a shape that is none, or a batch below 1.
    """
    if parsed.batch < 1:
        raise InputError(f"benchmark: --batch: expected at least 1, got {parsed.batch}")
    return Target(
        model, urls, parsed.input, parsed.batch, parse_shapes(parsed.shape), onnx, parsed.beside
    )


def addresses(parsed: Namespace, protocols: tuple[str, ...]) -> dict[TransportName, str]:
    """Return the endpoints of the server that the command line names.

    Raises:
        InputError: no HTTP endpoint (statistics are read there), or no gRPC one though it is asked.
    """
    urls: dict[TransportName, str] = {}
    if parsed.url:
        urls["http"] = parsed.url
    if parsed.grpc_url:
        urls["grpc"] = parsed.grpc_url
    if "http" not in urls or (any(p.startswith("grpc") for p in protocols) and "grpc" not in urls):
        raise InputError("benchmark: expected --url and, for gRPC, --grpc-url of the same server")
    for url in urls.values():
        if not url.rpartition(":")[2].isdecimal() or "/" in url:
            raise InputError(f"benchmark: expected host:port, got {url!r}")
    return urls
