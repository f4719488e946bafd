"""The gate for networks of the perception stages: the detector, the pose network, CLIP.

What it proves: the files fit together and keep what callers know; Triton computes what ONNX Runtime
computes row by row, however requests are batched, on the project's own footage; one broken row
harms no other; it is not slower; and, where it is known who is in the test videos, that people are
found as well as by the served version. **Where nothing is known it does not prove that people are
found.** How far its outputs lie from the served version's is told, and judged by nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vigil.config import GateSection
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Check
from vigil.release.gate.contract import plain
from vigil.release.gate.judging import (
    CANDIDATE,
    SERVED,
    Figures,
    Served,
    on_server,
    sizes,
    verdict,
)
from vigil.release.gate.parity import parity, reference
from vigil.release.gate.people import Known, judge_people
from vigil.release.gate.speed import speed
from vigil.serving.repository import read_config
from vigil.serving.server import EmbeddedTriton
from vigil.session import Array, OnnxSession, TritonSession

NOTE = (
    "Nobody labeled what this network answers: that it computes the same everywhere is proved, "
    "that it is right is not. Judge what it feeds (the recognizers, `make demo`'s figures of "
    "detector and skeletons) before it is published."
)


@dataclass(frozen=True, eq=False)
class Unlabeled:
    """What is to be judged.

    Attributes:
        candidate: the candidate.
        served: what it would replace; None where nothing is served yet.
        feeds: arrays of N rows by input name, as the stages ask.
        videos: of how many videos they are.
        params: tolerance and the load.
        known: footage of which it is known who is there; or why nothing is known.
    """

    candidate: Candidate
    served: Served | None
    feeds: Mapping[str, Array]
    videos: int
    params: GateSection
    known: Known | str


def judge_unlabeled(case: Unlabeled, startup_timeout_s: float) -> dict[str, Any]:
    """Hold a network against ONNX Runtime, and against the served one as a caller sees it.

    Returns:
        The verdict, see `vigil.release.gate.judging.judge`; its metric, where there is one, is
        average precision.
    """
    served = case.served
    checks = plain(case.candidate, served.files if served else None)
    figures: Figures = {"metrics": {}, "speed": {}}
    notes = [NOTE if isinstance(case.known, str) else case.known.note]
    if all(check.passed for check in checks):
        found, figures = on_server(
            case.candidate, served, startup_timeout_s, lambda server: _ask(case, server, notes)
        )
        checks += found
    digest = hashlib.sha256(b"".join(_bytes(case.feeds[name]) for name in sorted(case.feeds)))
    test = {"clips": 0, "videos": case.videos, "sha256": digest.hexdigest()}
    if isinstance(case.known, str):
        test["unjudged"] = case.known
    else:
        test |= {"frames": figures.pop("frames", 0), "videos": len(case.known.truths)}
    return verdict(case.candidate, served, test, notes, checks, figures)


def _ask(case: Unlabeled, server: EmbeddedTriton, notes: list[str]) -> tuple[list[Check], Figures]:
    """Ask the running server everything that needs one."""
    http, grpc, params = server.http_url, server.grpc_url, case.params
    local = OnnxSession(case.candidate.files["model.onnx"], device="cpu")
    right = reference(
        local.run, case.feeds, params.tolerance, "ONNX Runtime, batch 1", relative=True
    )
    candidate = TritonSession(grpc, CANDIDATE, "grpc")
    runs = {
        "Triton over HTTP": TritonSession(http, CANDIDATE, "http").run,
        "Triton over gRPC": candidate.run,
    }
    checks = parity(right, runs, sizes(read_config(case.candidate.folder)))
    served = TritonSession(grpc, SERVED, "grpc") if case.served else None
    if served is not None:
        notes.append(_distance(right.answers, served, case.feeds))
    figures: Figures = {"metrics": {}}
    if not isinstance(case.known, str):
        found, figures["metrics"], figures["frames"] = judge_people(case.known, candidate, served)
        checks += found
    names = [CANDIDATE, SERVED] if case.served else [CANDIDATE]
    rows = [right.take(np.array([i])) for i in range(right.count)]
    fast, latency = speed({"http": http, "grpc": grpc}, names, rows, params)
    return [*checks, *fast], figures | {"speed": latency}


def _distance(
    answers: Mapping[str, Array], served: TritonSession, feeds: Mapping[str, Array]
) -> str:
    """Say how far a candidate's outputs lie from the served version's."""
    old = served.run(feeds)
    parts = []
    for name, new in answers.items():
        if old[name].shape != new.shape:
            parts.append(f"{name} has another shape")
            continue
        gap = np.abs(old[name] - new)
        parts.append(f"{name} by {np.median(gap):.2g} (median), {gap.max(initial=0):.2g} at most")
    return f"Outputs differ from the served version's: {'; '.join(parts)}."


def _bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()
