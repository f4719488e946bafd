"""Several systems' frame scores as one report: ranking, alarms, what missed people cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vigil import environment
from vigil.config import Config
from vigil.errors import InputError
from vigil.evaluation.alarms import measure_events, operating_point
from vigil.evaluation.frames import Pooled, explained, measure_frames, pool, sources
from vigil.frames import FrameTruth
from vigil.html import interval
from vigil.schema import FrameScores


@dataclass(frozen=True, eq=False)
class Said:
    """What one system said.

    Attributes:
        test: scores of the test videos.
        val: scores of the validation videos; may be empty.
        perfect: scores of the test videos with the true boxes; empty where they are not known.
    """

    test: Sequence[FrameScores]
    val: Sequence[FrameScores]
    perfect: Sequence[FrameScores] = ()


def report(
    systems: Mapping[str, Said],
    test: Sequence[FrameTruth],
    val: Sequence[FrameTruth],
    misses: Mapping[str, Any] | None,
    truth: str,
    config: Config,
) -> tuple[dict[str, Any], dict[str, Pooled]]:
    """Measure systems on the same frames.

    Args:
        systems: what each said, at least one.
        test: truth of the test videos, in the scores' order.
        val: truth of the validation videos, in the scores' order.
        misses: see `vigil.evaluation.misses.summarize`; None where true boxes are not known.
        truth: where the truth comes from, in words a person understands.
        config: classes and the sections `evaluate` and `frames`.

    Returns:
        A JSON-ready mapping: n_videos, n_frames, hours, event_frames, truth, validation (videos and
        hours), systems (by name `metrics`, `sources`, `events`, `perfect_boxes`), differences
        (pooled AUC of `one` less that of `other`), misses, environment; and the test frames.

    Raises:
        InputError: no system, no test video, or systems that judged different frames.
    """
    if not systems:
        raise InputError("frames: expected at least one system, got none")
    normal = list(config.classes).index(config.normal_class)
    pooled = {name: pool(said.test, test, normal) for name, said in systems.items()}
    measured, gaps = measure_frames(pooled, config.classes, config.evaluate)
    first = next(iter(pooled.values()))
    found = {
        "n_videos": len(test),
        "n_frames": len(first.videos),
        "event_frames": int(first.event.sum()),
        "hours": sum(one.seconds for one in test) / 3600,
        "truth": truth,
        "classes": list(config.classes),
        "without_track": config.frames.without_track,
        "validation": {"videos": len(val), "hours": sum(one.seconds for one in val) / 3600},
        "systems": {
            name: {
                "metrics": measured[name],
                "sources": sources(pooled[name]),
                "events": _events(said, test, val, config),
                "perfect_boxes": _perfect(said, pooled[name], test, normal, config),
            }
            for name, said in systems.items()
        },
        "differences": [
            {"one": one, "other": other, **metric} for (one, other), metric in gaps.items()
        ],
        "misses": misses,
        "environment": environment.describe(),
    }
    return found, pooled


def _events(
    said: Said, test: Sequence[FrameTruth], val: Sequence[FrameTruth], config: Config
) -> dict[str, Any] | None:
    """Return the figures of alarms; None where no validation video chooses a threshold."""
    if not said.val:
        return None
    rule = config.frames.alarm
    threshold = operating_point(said.val, val, rule)
    return {
        **measure_events(said.test, test, threshold, rule, config.evaluate),
        "validation": measure_events(said.val, val, threshold, rule, config.evaluate),
    }


def _perfect(
    said: Said, tracked: Pooled, test: Sequence[FrameTruth], normal: int, config: Config
) -> dict[str, Any] | None:
    if not said.perfect:
        return None
    return dict(explained(tracked, pool(said.perfect, test, normal), config.evaluate))


def brief(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few values that `dvc metrics` has columns for, by system."""
    values: dict[str, Any] = {"n_frames": found["n_frames"]}
    for name, system in found["systems"].items():
        values[name] = {
            figure: metric["value"]
            for figure, metric in system["metrics"].items()
            if figure in ("auc", "average_precision")
        }
        events = system["events"]
        if events is not None:
            values[name] |= {
                figure: events[figure]["value"]
                for figure in ("recall", "false_alarms_per_hour") if figure in events
            }  # fmt: skip
    return values


def show(found: Mapping[str, Any]) -> str:
    """Return the main figures as text, a line per system."""
    lines = [f"frames: {found['n_frames']} frames of {found['n_videos']} test videos"]
    for name, system in found["systems"].items():
        line = f"  {name:24s} AUC {interval(system['metrics'], 'auc')}"
        events, counts = system["events"], system["sources"]
        if events is not None:
            line += (f", {events['found']} of {events['events']} events, "
                     f"{events['false_alarms_per_hour']['value']:.0f} false alarms/h")  # fmt: skip
        unseen = found["n_frames"] - counts["judged"]
        lines.append(line + (f", {unseen} frames without anybody" if unseen else ""))
    return "\n".join(lines)
