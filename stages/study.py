"""Cross-validate several recognizers and recipes on real skeletons, and write one table."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.environment import describe
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import write_json, write_text
from vigil.study import conduct, read_study, table


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Write `reports/study/<name>.{json,md}`; finished trainings are kept below `.vigil`."""
    file = Path(arguments.study)
    study = read_study(file)
    source = paths.root / study.annotations
    if not source.is_file():
        if "VIGIL_REAL" not in os.environ:
            raise InputError(
                "study: expected VIGIL_REAL to name the folder of real material, got none"
            )
        source = Path(os.environ["VIGIL_REAL"]) / study.annotations
    work = paths.cache.parent / "study" / file.stem
    workers = config.workers or os.cpu_count() or 1
    results = conduct(
        study, paths.root, source, work, workers, lambda text: print(text, flush=True)
    )
    report = {
        "study": study.model_dump(mode="json"),
        "results": [asdict(result) for result in results],
        "environment": describe(),
    }
    out = paths.reports / "study"
    write_json(out / f"{file.stem}.json", report)
    text = f"{study.title}\n\n{results[0].n} clips, {study.folds} folds by scene, "
    text += f"{len(study.seeds)} seeds\n\n{table(results)}"
    write_text(out / f"{file.stem}.md", text)
    print(text)


if __name__ == "__main__":
    run(main, __doc__, ("--study", {"required": True, "help": "YAML file of the study"}))
