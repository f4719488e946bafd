"""All the gate's questions, asked in order of their cost, and the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import EvaluateSection, GateSection
from vigil.environment import describe
from vigil.errors import ServerError
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Check, Feeds
from vigil.release.gate.contract import contract
from vigil.release.gate.parity import Reference, parity, reference
from vigil.release.gate.precision import FP32, against_fp32, gain, precision, twin_of
from vigil.release.gate.quality import TestSplit, quality
from vigil.release.gate.speed import speed
from vigil.serving.repository import ModelConfig, read_config, stage_variant, versions
from vigil.serving.server import EmbeddedTriton
from vigil.session import Array, OnnxSession, TritonSession

CANDIDATE, SERVED = "candidate", "served"


@dataclass(frozen=True, eq=False)
class Trained:
    """What the candidate was exported from.

    Attributes:
        run: PyTorch, behind CLIP's ONNX for what takes crops: arrays by input name to arrays by
            output name.
        metadata: what its ONNX metadata must say.
        precision: what it was to be exported in.
    """

    run: Callable[[Feeds], Mapping[str, Array]]
    metadata: Mapping[str, str]
    precision: str = FP32


@dataclass(frozen=True)
class Served:
    """The model that serves now.

    Attributes:
        folder: its folder in the live repository.
        version: the version that serves.
        files: that version's files.
        test_sha256: the test split that it was judged on; "" where that is not known.
    """

    folder: Path
    version: int
    files: Candidate
    test_sha256: str


@dataclass(frozen=True, eq=False)
class Case:
    """What is to be judged, and by what.

    Attributes:
        candidate: the candidate.
        served: what it would replace; None where nothing is served yet.
        trained: the checkpoint.
        split: the frozen test split.
        params: tolerances, margins and the load.
        evaluate: resamples of the bootstrap.
    """

    candidate: Candidate
    served: Served | None
    trained: Trained
    split: TestSplit
    params: GateSection
    evaluate: EvaluateSection


Figures = dict[str, Any]


def judge(case: Case, startup_timeout_s: float) -> dict[str, Any]:
    """Hold a candidate against its checkpoint and against the served model.

    Args:
        case: what is judged.
        startup_timeout_s: longest wait for the server that both are tried on, in seconds.

    Returns:
        The verdict as plain values: `ship`, `why` (what speaks against it), `checks`, `notes`,
        `metrics`, `speed`, and what was judged, by hash.

    Raises:
        InputError: the test split lacks what the model reads.
    """
    served, facts = case.served, case.split.reads.facts
    checks = contract(
        case.candidate,
        served.files if served else None,
        case.split.classes,
        case.trained.metadata,
        facts,
    )
    kind, found = precision(case.candidate, case.trained.precision)
    checks += found
    figures: Figures = {"metrics": {}, "speed": {}, "precision": kind}
    if all(check.passed for check in checks):
        found, measured = _on_server(case, kind, startup_timeout_s)
        checks, figures = [*checks, *found], figures | measured
    notes = []
    if served is not None and served.test_sha256 != case.split.sha256:
        notes.append(
            "The served version was judged on other test clips: it may have learned from some of "
            "these, which makes it look better than it is."
        )
    rows = case.split.rows
    test = {
        "clips": len(rows),
        "videos": len({row["video_id"] for row in rows}),
        "sha256": case.split.sha256,
    }
    notes += gain(figures)
    return verdict(case.candidate, served, test, notes, checks, figures)


def verdict(
    candidate: Candidate,
    served: Served | None,
    test: dict[str, Any],
    notes: list[str],
    checks: list[Check],
    figures: Figures,
) -> dict[str, Any]:
    """Sum up: ship only where nothing speaks against it.

    Args:
        candidate: what was judged.
        served: what it would replace.
        test: what it was judged on: clips (with labels), videos, sha256.
        notes: what a reader must know beside the checks.
        checks: all that was asked.
        figures: metrics and speed.
    """
    why = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    return {
        "model": candidate.name,
        "ship": not why,
        "why": why,
        "notes": notes,
        "judged_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "candidate": {"sha256": candidate.sha256},
        "served": {"version": served.version, "sha256": served.files.sha256} if served else None,
        "test": test,
        "checks": [check.as_dict() for check in checks],
        **figures,
        "environment": describe(),
    }


def _on_server(case: Case, kind: str, startup_timeout_s: float) -> tuple[list[Check], Figures]:
    """Run candidate and served model side by side on a server of their own."""
    ask, lay_out = partial(_ask, case, kind), partial(_stage_twin, case.candidate)
    return on_server(
        case.candidate,
        case.served,
        startup_timeout_s,
        ask,
        lay_out if kind != FP32 else lambda _: None,
    )


def on_server(
    candidate: Candidate,
    served: Served | None,
    startup_timeout_s: float,
    ask: Callable[[EmbeddedTriton], tuple[list[Check], Figures]],
    lay_out: Callable[[Path], None] = lambda _: None,
) -> tuple[list[Check], Figures]:
    """Start a server of candidate and served model, and ask it what needs one.

    Args:
        candidate: served as `CANDIDATE`.
        served: served as `SERVED`, if there is one.
        startup_timeout_s: longest wait for the server, in seconds.
        ask: what is asked; a server that fails at it fails the candidate.
        lay_out: puts further models into the server's repository.
    """
    figures: Figures = {"metrics": {}, "speed": {}}
    with tempfile.TemporaryDirectory(prefix="vigil-gate-") as folder:
        stage_variant(candidate.folder, Path(folder), CANDIDATE, as_it_is)
        if served:
            stage_variant(served.folder, Path(folder), SERVED, as_it_is)
        lay_out(Path(folder))
        server = EmbeddedTriton(folder, startup_timeout_s=startup_timeout_s)
        try:
            server.start()
        except ServerError as error:
            return [Check("contract", "the server loads it", False, str(error))], figures
        try:
            return ask(server)
        except ServerError as error:
            return [Check("parity", "the server answers", False, str(error))], figures
        finally:
            server.stop()


def _stage_twin(candidate: Candidate, repository: Path) -> None:
    """Lay out the fp32 network that a candidate was made of, to be served beside it."""
    variant = stage_variant(candidate.folder, repository, FP32, as_it_is)
    for version in versions(variant):
        version.unlink()
    (variant / "1").mkdir()
    (variant / "1" / "model.onnx").symlink_to(twin_of(candidate))


def _ask(case: Case, kind: str, server: EmbeddedTriton) -> tuple[list[Check], Figures]:
    """Ask the running server everything that needs one."""
    split, params = case.split, case.params
    http, grpc = server.http_url, server.grpc_url
    names = [CANDIDATE, *([SERVED] if case.served else []), *([FP32] if kind != FP32 else [])]
    sessions = {name: TritonSession(grpc, name, "grpc") for name in names}
    right, checks = _right(case, kind)
    runs = {
        "ONNX Runtime": OnnxSession(case.candidate.files["model.onnx"], device="cpu").run,
        "Triton over HTTP": TritonSession(http, CANDIDATE, "http").run,
        "Triton over gRPC": sessions[CANDIDATE].run,
    }
    checks += parity(right, runs, sizes(read_config(case.candidate.folder)))
    scores = {name: split.scores(session.run) for name, session in sessions.items()}
    found, metrics = quality(split, scores.get(SERVED), scores[CANDIDATE], params, case.evaluate)
    checks += found
    if kind != FP32:
        found, metrics[FP32] = against_fp32(
            split, scores[FP32], scores[CANDIDATE], params, case.evaluate
        )
        checks += found
    rows = [right.take(np.array([i])) for i in range(right.count)]
    fast, latency = speed({"http": http, "grpc": grpc}, names, rows, params)
    return [*checks, *fast], {"metrics": metrics, "speed": latency}


def _right(case: Case, kind: str) -> tuple[Reference, list[Check]]:
    """Return what is right, PyTorch or below fp32 its own answers, and checks of the fp32 twin."""
    split, params, candidate = case.split, case.params, case.candidate
    feeds = split.reads.batch(split.rows[: params.rows]).feeds
    feeds = {name: array[: params.rows] for name, array in feeds.items()}
    right = reference(case.trained.run, feeds, params.tolerance)
    if kind == FP32:
        return right, []
    twin = OnnxSession(twin_of(candidate), device="cpu").run
    checks = parity(right, {FP32: twin}, sizes(read_config(candidate.folder)))
    own = OnnxSession(candidate.files["model.onnx"], device="cpu").run
    return reference(own, feeds, params.tolerance_reduced, "its own answer"), checks


def sizes(config: ModelConfig) -> list[int]:
    """Return batch sizes 1, 2, 3, the preferred ones and the largest, as far as the model goes."""
    most = max(1, config.max_batch_size)
    asked = {1, 2, 3, most, *config.dynamic_batching.preferred_batch_size}
    return sorted(size for size in asked if size <= most)


def as_it_is(_: ModelConfig) -> None:
    """Change nothing but the name."""
