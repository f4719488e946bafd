"""The gate and the live repository of one project, from its parameters and folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vigil.benchmark.systems import torch_function
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.ensemble import load, named
from vigil.errors import InputError
from vigil.export import OUTPUTS, metadata, names
from vigil.files import write_json, write_text
from vigil.paths import Paths
from vigil.release import publish as publishing
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Feeds
from vigil.release.gate.judging import Case, Served, Trained, judge
from vigil.release.gate.page import page
from vigil.release.gate.quality import TestSplit
from vigil.release.lineage import lineage
from vigil.release.live import VERDICT, LiveModel
from vigil.serving.control import Control
from vigil.session import Array

PAGE = "index.html"


def live_model(config: Config, paths: Paths, name: str) -> LiveModel:
    """Return a model's place in the project's live repository."""
    return LiveModel(paths.root / config.release.repository, name)


def report(paths: Paths, name: str) -> Path:
    """Return the folder of the gate's verdict on a model."""
    return paths.reports / "gate" / name


def verify(config: Config, paths: Paths, name: str) -> dict[str, Any]:
    """Judge the exported model `name` against its checkpoint and the served one.

    Returns:
        The verdict, also written as `verdict.json` and `index.html` into `report`.

    Raises:
        InputError: there is no test split.
        ModelError: no checkpoint or no exported model.
    """
    case = Case(
        Candidate.at(paths.triton_repo / name),
        served(live_model(config, paths, name)),
        *_trained(config, paths, name),
        config.gate,
        config.evaluate,
    )
    found = judge(case, config.serve.startup_timeout_s)
    write_json(report(paths, name) / VERDICT, found)
    write_text(report(paths, name) / PAGE, page(found))
    return found


def publish(config: Config, paths: Paths, name: str, servers: Sequence[Control]) -> int:
    """Publish the exported model `name` by the verdict that `verify` wrote; return its version.

    Raises:
        InputError, ModelError, ServerError: see `vigil.release.publish.publish`.
    """
    path = report(paths, name) / VERDICT
    try:
        verdict: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"publish: {path}: expected the gate's verdict; run verify") from error
    candidate = Candidate.at(paths.triton_repo / name)
    live = live_model(config, paths, name)
    publishing.check_verdict(live, candidate, verdict)
    told = lineage(candidate, verdict, config, paths.root)
    return publishing.publish(live, candidate, verdict, told, servers, config.release.keep)


def served(live: LiveModel) -> Served | None:
    """Return what a model's live folder serves; None before the first publish."""
    number = live.current
    if number is None:
        return None
    folder = live.version(number)
    files = Candidate(live.name, folder, {n: folder / n for n in live.lineage(number)["sha256"]})
    return Served(live.folder, number, files, str(live.verdict(number)["test"]["sha256"]))


def _trained(config: Config, paths: Paths, name: str) -> tuple[Trained, TestSplit]:
    """Build PyTorch's side of the comparison and the test split."""
    graph, spec = load(named(name, config, paths), name)
    function = torch_function(graph, names(spec))

    def run(feeds: Feeds) -> dict[str, Array]:
        answers = (answer.numpy() for answer in function(feeds))
        return dict(zip(OUTPUTS, answers, strict=True))

    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    split = TestSplit(
        select(splits, rows, "test"), spec.reads, tuple(config.classes), config.normal_class
    )
    return Trained(run, metadata(spec), config.export.precision_of(name)), split
