"""The gate for `behaviour`: what is served says what the stages' own code says of the same frames.

What it proves: its published networks are those it was made for; on the project's footage it
answers, over HTTP and gRPC, in any chunks and beside other streams, what the same code answers in
this process with ONNX Runtime; and, where test clips are labeled, that it is as often right as the
served version, see `pixels`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import GateSection
from vigil.errors import ModelError, VigilError
from vigil.items import file_hash
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Check
from vigil.release.gate.contract import interface
from vigil.release.gate.judging import (
    CANDIDATE,
    SERVED,
    Figures,
    Served,
    as_it_is,
    on_server,
    verdict,
)
from vigil.release.gate.pixels import Shown, judge_clips
from vigil.release.live import LiveModel
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.behaviour.spec import FILE, BehaviourSpec, Network, read_spec
from vigil.serving.behaviour.stream import Pipeline, Stream
from vigil.serving.client import Client
from vigil.serving.repository import check_model, read_labels, stage_variant
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName
from vigil.video import decode

NOTE = (
    "No label is looked at: that the served model answers what the stages' code answers is proved, "
    "that its recognizers are right is not; each of them has a gate of its own."
)
_SECONDS = 5.0  # of a video
_TIMEOUT_S = 120.0  # of one request
_CHUNKS = (5, 64)  # frames; however a stream is cut, it answers the same
Footage = tuple[NDArray[np.uint8], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Scripted:
    """What is to be judged.

    Attributes:
        candidate: the candidate.
        served: what it would replace; None where nothing is served yet.
        live: the published models by name, the same object each time.
        videos: the footage.
        params: tolerance, margins, and the largest slowdown.
        shown: labeled test clips; or why nothing is judged on labels.
    """

    candidate: Candidate
    served: Served | None
    live: Callable[[str], LiveModel]
    videos: Sequence[Path]
    params: GateSection
    shown: Shown | str


def judge_scripted(case: Scripted, startup_timeout_s: float) -> dict[str, Any]:
    """Hold the served way from pixels to behavior against the stages' code.

    Returns:
        The verdict, see `vigil.release.gate.judging.judge`; its metrics are by recognizer.
    """
    checks = _contract(case)
    figures: Figures = {"metrics": {}, "speed": {}}
    if all(check.passed for check in checks):
        spec = read_spec(case.candidate.files[FILE])

        def lay_out(repository: Path) -> None:
            for one in networks_of(spec):
                folder = case.live(one.model).at_hand(_current(case, one))
                stage_variant(folder, repository, one.model, as_it_is)

        ask = partial(_ask, case, spec)
        found, figures = on_server(case.candidate, case.served, startup_timeout_s, ask, lay_out)
        checks += found
    digest = hashlib.sha256("".join(map(file_hash, case.videos)).encode()).hexdigest()
    if isinstance(case.shown, str):
        note = NOTE
        test: dict[str, Any] = {"clips": 0, "videos": len(case.videos), "unjudged": case.shown}
    else:
        note, test = case.shown.note, case.shown.test
        digest = hashlib.sha256((digest + test["sha256"]).encode()).hexdigest()
    return verdict(case.candidate, case.served, test | {"sha256": digest}, [note], checks, figures)


def networks_of(spec: BehaviourSpec) -> list[Network]:
    """Return every network that the model asks."""
    rest = [one.network for one in spec.recognizers]
    return [spec.find, spec.pose, *([spec.clip] if spec.clip else []), *rest]


def _contract(case: Scripted) -> list[Check]:
    """Compare the files with each other, with the published networks and the served version."""
    try:
        config = check_model(case.candidate.folder)
        spec = read_spec(case.candidate.files[FILE])
        labels = read_labels(case.candidate.folder)
        wrong = [] if tuple(labels) == spec.classes else [f"labels {labels}, not {spec.classes}"]
        wrong += filter(None, (_differs(case, one) for one in networks_of(spec)))
    except ModelError as error:
        return [Check("contract", "files agree", False, str(error))]
    detail = "; ".join(wrong) or f"{len(networks_of(spec))} published networks, as it was made for"
    checks = [Check("contract", "its networks are published and fit", not wrong, detail)]
    if case.served is not None:
        checks += interface(case.served.files, config, labels)
    return checks


def _differs(case: Scripted, network: Network) -> str:
    """Say what is wrong with a network of the live repository, "" for nothing."""
    live = case.live(network.model)
    if live.current is None:
        return f"{network.model} is not published"
    session = _session(case, network)
    batch = live.config_of(live.current).max_batch_size
    found = Network.of(network.model, session, batch)
    fits = (
        found.inputs == network.inputs
        and all(one in found.outputs for one in network.outputs)
        and network.metadata.items() <= found.metadata.items()
        and network.max_batch <= found.max_batch
    )
    return (
        "" if fits else f"{network.model}: version {live.current} is another than it was made for"
    )


def _ask(
    case: Scripted, spec: BehaviourSpec, server: EmbeddedTriton
) -> tuple[list[Check], Figures]:
    """Ask the running server everything that needs one."""
    pipeline = Pipeline.of(spec, partial(_session, case))
    footage = [_footage(video) for video in case.videos]
    wanted = [Stream(pipeline).feed(list(f), t, last=True) for f, t in footage]
    protocols: tuple[tuple[TransportName, str], ...] = (
        ("http", server.http_url),
        ("grpc", server.grpc_url),
    )
    checks = []
    for protocol, url in protocols:
        with Client(url, protocol, timeout_s=_TIMEOUT_S) as client:
            for chunk in _CHUNKS:
                name = f"Triton over {protocol.upper()} = the stages' code, {chunk} frames at once"
                checks.append(_same(name, partial(_streams, client, footage, chunk), wanted, case))
    metrics: dict[str, Any] = {}
    if not isinstance(case.shown, str):
        specs = {CANDIDATE: spec}
        if case.served is not None:
            specs[SERVED] = read_spec(case.served.files.files[FILE])
        with Client(server.grpc_url, timeout_s=_TIMEOUT_S) as client:
            found, metrics = judge_clips(
                case.shown, specs, client, partial(_session, case), case.params
            )
        checks += found
    speed = _speed(case, server, footage[0])
    return [*checks, speed], {"metrics": metrics, "speed": {}}


def _session(case: Scripted, network: Network) -> OnnxSession:
    """Run the version of a network that serves in this process."""
    folder = case.live(network.model).version(_current(case, network))
    return OnnxSession(folder / "model.onnx", device="cpu")


def _current(case: Scripted, network: Network) -> int:
    """Return the version of a network that serves.

    Raises:
        ModelError: none does.
    """
    number = case.live(network.model).current
    if number is None:
        raise ModelError(f"{network.model}: expected a published network, got none")
    return number


def _streams(client: Client, footage: Sequence[Footage], chunk: int) -> list[Behaviour]:
    """Send every video as a stream of its own, all at the same time."""
    with ThreadPoolExecutor(len(footage)) as pool:
        return list(pool.map(lambda one: _one(client, one, chunk, CANDIDATE), footage))


def _one(client: Client, footage: Footage, chunk: int, model: str) -> Behaviour:
    frames, times = footage
    stream = client.stream(model)
    parts = [
        stream.send(frames[i : i + chunk], times[i : i + chunk], last=i + chunk >= len(frames))
        for i in range(0, len(frames), chunk)
    ]
    return joined(parts)


def _same(
    name: str, ask: Callable[[], list[Behaviour]], wanted: Sequence[Behaviour], case: Scripted
) -> Check:
    try:
        found = ask()
    except VigilError as error:
        return Check("parity", name, False, str(error))
    worst = max(_gap(one, other) for one, other in zip(found, wanted, strict=True))
    rows = sum(len(one.clip_s) for one in wanted)
    detail = f"largest difference {worst:.2g}, {case.params.tolerance:g} allowed, {rows} windows"
    return Check("parity", name, worst <= case.params.tolerance, detail)


def _gap(found: Behaviour, wanted: Behaviour) -> float:
    """Return the largest difference, to the largest value where that is above 1."""
    worst = 0.0
    for name, right in wanted.tensors.items():
        given = found.tensors[name]
        if given.shape != right.shape or (np.isnan(given) != np.isnan(right)).any():
            return float("inf")
        gap = np.nan_to_num(np.abs(given.astype(np.float64) - right)).max(initial=0.0)
        scale = max(1.0, float(np.nan_to_num(np.abs(right)).max(initial=0.0)))
        worst = max(worst, float(gap) / scale)
    return worst


def _speed(case: Scripted, server: EmbeddedTriton, footage: Footage) -> Check:
    """Send one video in turns to candidate and served version, a whole video a request."""
    names = [CANDIDATE, SERVED] if case.served else [CANDIDATE]
    spent: dict[str, list[float]] = {name: [] for name in names}
    with Client(server.grpc_url, timeout_s=_TIMEOUT_S) as client:
        for turn in range(case.params.rounds):
            for name in names if turn % 2 else reversed(names):
                began = perf_counter()
                _one(client, footage, len(footage[0]), name)
                spent[name].append(1000 * (perf_counter() - began))
    middle = {name: median(values) for name, values in spent.items()}
    fast = middle[CANDIDATE] <= case.params.max_slowdown * middle.get(SERVED, middle[CANDIDATE])
    detail = f"{middle[CANDIDATE]:.0f} ms for {len(footage[0])} frames"
    if case.served:
        detail += (
            f", {middle[CANDIDATE] / middle[SERVED]:.2f} times the served model's, "
            f"{case.params.max_slowdown:g} allowed"
        )
    return Check("speed", "latency of a whole video", fast, detail)


def _footage(video: Path) -> Footage:
    """Decode a video's first seconds."""
    frames = list(takewhile(lambda frame: frame.time_s < _SECONDS, decode(video)))
    return np.stack([f.rgb for f in frames]), np.array([f.time_s for f in frames])
