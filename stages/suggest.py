"""Let CLIP, asked in words, suggest a label for every clip: for annotators, before any label."""

from __future__ import annotations

import argparse

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.schema import read_clips, write_suggestions
from vigil.suggestions import suggest_all
from vigil.words import ask_clip


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Write `suggestions.csv`: a row per clip and view."""
    clips = read_clips(paths.clips)
    found = suggest_all(clips, ask_clip(config, paths), config, paths)
    write_suggestions(paths.suggestions, found, config.classes)
    views = ", ".join(f"zero_shot_{view}" for view in config.zero_shot.views)
    without = len(clips) - len({one.clip_id for one in found})
    line = f"suggest: {len(found)} suggestions for {len(clips) - without} clips by {views}"
    print(line + (f"; {without} without embeddings left out" if without else ""))


if __name__ == "__main__":
    run(main, __doc__)
