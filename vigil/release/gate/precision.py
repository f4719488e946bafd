"""A network below fp32: is it of the precision that was asked for, and made of what lies beside?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import EvaluateSection, GateSection
from vigil.errors import ModelError
from vigil.evaluation.scores import Scores
from vigil.items import file_hash
from vigil.quantization import ORIGIN, TWIN, precision_of
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Check
from vigil.release.gate.quality import TestSplit, quality
from vigil.session import OnnxSession

FP32 = "fp32"


def twin_of(candidate: Candidate) -> Path:
    """Return where the fp32 network of a candidate lies, if it was made of one."""
    return candidate.files["model.onnx"].resolve().with_name(TWIN)


def precision(candidate: Candidate, wanted: str) -> tuple[str, list[Check]]:
    """Compare what a candidate says of its precision with what was asked for.

    Args:
        candidate: the candidate.
        wanted: `fp32`, or what `export.precision` names.

    Returns:
        The precision it says it has, and the checks.
    """
    try:
        told = OnnxSession(candidate.files["model.onnx"], device="cpu").metadata
    except ModelError as error:
        return wanted, [Check("contract", "precision", False, str(error))]
    found = precision_of(told)
    detail = found if found == wanted else f"expected {wanted}, got {found}; run export"
    checks = [Check("contract", "precision, as asked for", found == wanted, detail)]
    if found != FP32:
        twin = twin_of(candidate)
        beside = twin.is_file() and file_hash(twin) == told.get(ORIGIN)
        detail = "as its metadata says" if beside else f"expected it as {twin}; run export"
        checks.append(Check("contract", "its fp32 network lies beside", beside, detail))
    return found, checks


def against_fp32(
    split: TestSplit, twin: Scores, candidate: Scores, gate: GateSection, params: EvaluateSection
) -> tuple[list[Check], dict[str, Any]]:
    """Judge a candidate's answers to the test split against those of its fp32 network.

    Returns:
        The checks of `quality` and one of the probabilities; and the figures: `differences`,
        `agreement`, the share of clips that both put into the same class, and `shift`, the mean
        over clips of the largest difference of a probability.
    """
    checks, figures = quality(split, twin, candidate, gate, params, against="its fp32 network")
    same = twin.probabilities.argmax(1) == candidate.probabilities.argmax(1)
    shift = float(np.abs(twin.probabilities - candidate.probabilities).max(1).mean())
    detail = f"{shift:.3f} a clip, {gate.max_shift:g} allowed; same class in {same.mean():.1%}"
    passed = shift <= gate.max_shift
    checks.append(Check("quality", "probabilities near its fp32 network's", passed, detail))
    return checks, {
        "differences": figures.get("differences", []), "agreement": float(np.mean(same)),
        "shift": shift if np.isfinite(shift) else None,
    }  # fmt: skip


def gain(figures: Mapping[str, Any]) -> list[str]:
    """Say where lower precision does not answer sooner than fp32 under the gate's load."""
    models = figures["speed"].get("models", {})
    if FP32 not in models:
        return []
    ratio = models["candidate"]["p50_ms"] / models[FP32]["p50_ms"]
    if ratio < 1:
        return []
    return [
        f"{figures['precision']} gains nothing here: p50 is {ratio:.2f} times that of the same "
        "network in fp32."
    ]
