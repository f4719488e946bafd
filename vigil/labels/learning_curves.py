"""The simulation's answer for people and programs: a table, a picture, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import SimulateSection
from vigil.figures import save_png
from vigil.files import write_json
from vigil.labels.simulation import Curve, Task

_LINES = {"none": ":", "video": "-", "relevance": "--", "k_center": "-."}
_SIZE = (8.0, 4.5)


def table(curves: Sequence[Curve], params: SimulateSection) -> str:
    """Return the labels that each strategy needs as a Markdown table."""
    lines = [f"| order | kept apart by | labels for {params.share:.0%} | fewer than the first |",
             "|---|---|---|---|"]  # fmt: skip
    for one in curves:
        needed = f"{one.needed} [{one.needed_range[0]}, {one.needed_range[1]}]"
        saved = f"{one.saved:.0%} [{one.saved_range[0]:.0%}, {one.saved_range[1]:.0%}]"
        lines.append(f"| {one.strategy} | {one.spread} | {needed} | {saved} |")
    return "\n".join(lines)


def write(
    folder: Path, curves: Sequence[Curve], final: float, task: Task, params: SimulateSection
) -> None:
    """Write `curves.png` and `report.json` into `folder`.

    Args:
        folder: receives both.
        curves: of the simulation.
        final: macro-F1 with all labels.
        task: what was labeled and judged.
        params: of the simulation.
    """
    write_json(
        folder / "report.json",
        {
            "clips": len(task.labels),
            "test_clips": len(task.test_labels),
            "videos": len(set(task.videos)),
            "final_macro_f1": final,
            "runs": params.runs,
            "share": params.share,
            "strategies": [
                {
                    "strategy": one.strategy,
                    "spread": one.spread,
                    "needed": one.needed,
                    "needed_95": one.needed_range,
                    "saved": one.saved,
                    "saved_95": one.saved_range,
                    "labels": list(range(params.start, params.start + one.f1.shape[1])),
                    "macro_f1": [round(value, 4) for value in one.f1.mean(0).tolist()],
                }
                for one in curves
            ],
        },
    )
    draw = partial(_draw, curves=curves, final=final, params=params)
    save_png(folder / "curves.png", draw, _SIZE)


def _draw(figure: Any, curves: Sequence[Curve], final: float, params: SimulateSection) -> None:
    """Draw every mean, and bands of 95 % around the first curve and the one of fewest labels."""
    axes = figure.subplots()
    best = min(curves, key=lambda one: one.needed)
    colors = {name: f"C{place}" for place, name in enumerate({one.strategy: 0 for one in curves})}
    for one in curves:
        labels = params.start + np.arange(one.f1.shape[1])
        mean, marked = one.f1.mean(0), one is best or one is curves[0]
        name = one.strategy if one.spread == "none" else f"{one.strategy}, by {one.spread}"
        look = {"color": colors[one.strategy], "linestyle": _LINES[one.spread], "label": name}
        axes.plot(labels, mean, linewidth=2.5 if marked else 0.9, **look)
        if marked:
            error = 1.96 * one.f1.std(0, ddof=1) / np.sqrt(len(one.f1))
            band = {"color": colors[one.strategy], "alpha": 0.15, "linewidth": 0}
            axes.fill_between(labels, mean - error, mean + error, **band)
    axes.axhline(params.share * final, color="0.3", linestyle=":", linewidth=1)
    axes.set_xlabel("labels")
    axes.set_ylabel(f"macro-F1 on other scenes, mean of {params.runs} runs")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(alpha=0.3)
