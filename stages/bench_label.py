"""Measure the labeling UI's server: 5,000 clips, eight people who label at once."""

from __future__ import annotations

import asyncio
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from labeling_ui.bench import measure, served
from labeling_ui.bench_browser import find_chromium, in_words, measure_browser
from labeling_ui.bench_project import generate
from vigil.command import run
from vigil.config import Config
from vigil.environment import describe
from vigil.files import write_json
from vigil.paths import Paths

_BARS = {"key to acknowledged, p95": 150.0, "first page": 2000.0}  # milliseconds
_MEMORY_MB = 500.0


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Generate a project, serve it, label it at people's pace and without any pause."""
    with tempfile.TemporaryDirectory() as folder:
        per_video = 50
        project = generate(
            Path(folder), config, arguments.clips // per_video, per_video, arguments.people
        )
        print(f"bench_label: {arguments.clips} clips, {arguments.people} annotators", flush=True)
        with served(project.params) as server:
            found = {
                name: asyncio.run(
                    measure(server, project.passwords, config.classes[0], arguments.votes, pace_s)
                )
                for name, pace_s in (("paced", arguments.pace), ("flat_out", 0.0))
            }
            if find_chromium():
                found["browser"] = measure_browser(
                    server, project.passwords, config.classes[0], arguments.votes, arguments.pace
                )
    write_json(paths.reports / "label_benchmark.json", found | {"environment": describe()})
    for name in ("paced", "flat_out"):
        print(_lines(name, found[name]))
    print(in_words(found["browser"]) if "browser" in found else "  browser: no Chromium here")


def _lines(name: str, found: dict[str, Any]) -> str:
    pace = f"one decision every {found['pace_s']:g} s each" if found["pace_s"] else "no pause"
    key, page = found["key_to_ack_ms"], found["page_ms"]
    bar, first_bar = _BARS.values()
    return "\n".join([
        f"  {name} ({pace}, {found['votes']} votes, {found['votes_per_s']} votes/s)",
        f"    key to acknowledged  p50 {key['p50']:7.1f} ms  p95 {key['p95']:7.1f} ms  "
        f"p99 {key['p99']:7.1f} ms  (bar: p95 < {bar:.0f} ms)",
        f"    a page of clips      p50 {page['p50']:7.1f} ms  p95 {page['p95']:7.1f} ms",
        f"    first page           {found['first_page_ms']:7.1f} ms  (bar: < {first_bar:.0f} ms)",
        f"    list of videos after {found['videos_ms_after']:7.1f} ms",
        f"    processor time       {found['cpu_ms_per_vote']:7.1f} ms of the server for a vote",
        f"    server memory        {found['memory_mb']:7.1f} MB  (bar: < {_MEMORY_MB:.0f} MB)",
    ])  # fmt: skip


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--clips", {"type": int, "default": 5000}),
        ("--people", {"type": int, "default": 8}),
        ("--votes", {"type": int, "default": 200, "help": "of each annotator and part"}),
        ("--pace", {"type": float, "default": 0.5, "help": "seconds from decision to decision"}),
    )
