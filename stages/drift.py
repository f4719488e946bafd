"""Hold what is served against the training: a report, metrics, and what to label next."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.files import write_json, write_text
from vigil.paths import Paths
from vigil.watching.drift import compare_all
from vigil.watching.prometheus import metrics
from vigil.watching.reading import read_logs
from vigil.watching.reference import references
from vigil.watching.report import as_json, page
from vigil.watching.sampling import hand_over, uncertain_here, write_footage


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/drift/`; with `--suggest` also the suggestions of the labeling queue."""
    now = time.time()
    logs = Path(arguments.logs) if arguments.logs else paths.root / config.request_log.folder
    served = read_logs(logs, now - 3600 * arguments.hours if arguments.hours else 0.0)
    found = compare_all(served, references(paths), config.drift)
    windows = uncertain_here(served.seen, config, paths)
    folder = paths.drift_report
    write_json(folder / "report.json", as_json(served, found, windows))
    write_text(folder / "index.html", page(served, found, windows))
    write_text(folder / "metrics.prom", metrics(served, found, now))
    elsewhere = write_footage(folder / "to_label.csv", windows)
    for (model, by), findings in found.items():
        for one in findings:
            chance = f"by chance {one.band.mean:.3f}, at most {one.band.high:.3f}, n = {one.n}"
            what = f"{by} in {model}: {one.feature:20} {one.state:8}"
            print(f"drift: {what} PSI {one.psi:.3f}, {chance}")
    print(f"drift: {folder / 'index.html'}; {len(windows)} uncertain windows, {elsewhere} no clips")
    if arguments.suggest:
        print(f"drift: {hand_over(windows, config, paths)} suggestions in {paths.prelabels}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--logs", {"help": "folder of the request logs; else the parameters'"}),
        ("--hours", {"type": float, "help": "look at so many last hours alone"}),
        ("--suggest", {"action": "store_true", "help": "hand known clips to the labeling queue"}),
    )
