"""Compare views, heads and crops of CLIP-GRU by frame AUC on the same videos, in one table."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from vigil.clip_study import clip_table, conduct, read_clip_study
from vigil.command import run
from vigil.config import Config
from vigil.environment import describe
from vigil.frame_judging import read_parts
from vigil.paths import Paths
from vigil.schema import write_json, write_text
from vigil.words import ask_clip


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Write `reports/study/<name>.{json,md}`; finished trainings are kept below `.vigil`."""
    file = Path(arguments.study)
    study = read_clip_study(file)
    asked = ask_clip(config, paths)
    work = paths.cache.parent / "study" / file.stem
    results = conduct(
        study, asked, config, paths, work, lambda text: print(f"study: {text}", flush=True)
    )
    out = paths.reports / "study"
    write_json(
        out / f"{file.stem}.json",
        {
            "study": study.model_dump(mode="json"),
            "results": [asdict(result) for result in results],
            "environment": describe(),
        },
    )
    videos = len(read_parts(paths.dataset / "splits.csv").test)
    frames = results[0].metrics["auc"]["n"]
    text = f"{study.title}\n\n{frames} frames of {videos} test videos, {len(study.seeds)} seeds\n\n"
    text += clip_table(results)
    write_text(out / f"{file.stem}.md", text)
    print(text)


if __name__ == "__main__":
    run(main, __doc__, ("--study", {"default": "studies/clip.yaml", "help": "YAML of the study"}))
