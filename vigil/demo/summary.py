"""What the demo says at its end, for a person: how good, how fast, and where to look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vigil.config import Config
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.serving.trial import Answers

_METRICS = (("accuracy", "accuracy"), ("macro_f1", "macro F1"), ("auc", "ROC AUC"))


def summarize(
    config: Config, paths: Paths, model: str, answers: Answers, videos: Sequence[Path]
) -> str:
    """Return the closing summary as plain text.

    Args:
        config: all parameters.
        paths: of the project; its reports must be there.
        model: the recognizer.
        answers: what the server said of the test clips.
        videos: the annotated videos.

    Raises:
        InputError: a report is missing.
    """
    quality = _read(paths.reports / f"{model}.json")
    speed = _read(paths.reports / "benchmark.json")
    lines = [
        "",
        f"{model} on {quality['n']} test clips it has never seen",
        f"  classes        {', '.join(config.classes)}",
        *_quality(quality),
        *_confusion(quality),
        f"  served         {answers.right} of {len(answers.truth)} right over HTTP and over gRPC; "
        f"the two differ by at most {answers.agree:.0e}",
        "",
        f"speed on {speed['environment']['cpu']}, {speed['environment']['cores']} cores, "
        f"GPU: {speed['environment']['gpu']}",
        *_speed(speed),
        "",
        "look at",
        f"  quality        {_short(paths, paths.reports / model / 'index.html')}; for programs: "
        f"{_short(paths, paths.reports / f'{model}.json')}",
        *_frames(paths),
        f"  speed          {_short(paths, paths.reports / 'benchmark.html')}; for programs: "
        f"{_short(paths, paths.reports / 'benchmark.json')}",
        "  label          make label: the same clips in your browser",
        f"  annotated      {', '.join(_short(paths, video) for video in videos)}",
        f"  masked         {_short(paths, paths.masked)}/",
        "",
        "The scenes are synthetic and the networks small: these figures show that the pipeline",
        "works, not how well it does on your cameras.",
    ]
    return "\n".join(lines)


def _frames(paths: Paths) -> list[str]:
    """Return where the comparison of all systems frame by frame lies, where it was made."""
    page = paths.frame_report / "index.html"
    return [f"  frames         {_short(paths, page)}"] if page.is_file() else []


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"demo: {path}: expected a report, got {error}") from error
    return loaded


def _quality(report: dict[str, Any]) -> list[str]:
    rows = []
    for key, name in _METRICS:
        found = report["metrics"].get(key)
        if found:
            interval = f"{found['value']:.3f}  [{found['low']:.3f}, {found['high']:.3f}] 95 %"
            others = "".join(
                f", {baseline} {scores[key]['value']:.3f}"
                for baseline, scores in report["baselines"].items()
                if key in scores
            )
            rows.append(f"  {name:14s} {interval}, n = {report['n']}{others}")
    return rows


def _confusion(report: dict[str, Any]) -> list[str]:
    classes, matrix = report["classes"], report["confusion_matrix"]
    width = max(len(name) for name in classes) + 2
    header = "".join(f"{name:>{width}}" for name in classes)
    rows = [
        f"    {name:>{width}} {''.join(f'{count:>{width}}' for count in row)}"
        for name, row in zip(classes, matrix, strict=True)
    ]
    return [
        "  confusion      rows: labeled, columns: predicted",
        f"    {'':>{width}} {header}",
        *rows,
    ]


def _speed(report: dict[str, Any]) -> list[str]:
    """Return the best row of every system: where its throughput is highest."""
    rows = []
    for system in dict.fromkeys(row["system"] for row in report["rows"]):
        mine = [row for row in report["rows"] if row["system"] == system and not row["errors"]]
        if mine:
            best = max(mine, key=lambda row: row["throughput_per_s"])
            rows.append(
                f"  {system:26s}{best['throughput_per_s']:7.1f} inferences/s, p99 "
                f"{best['p99_ms']:.0f} ms at concurrency {best['concurrency']} "
                f"({best['protocol']})"
            )
    return rows


def _short(paths: Paths, path: Path) -> str:
    return str(path.relative_to(paths.root))
