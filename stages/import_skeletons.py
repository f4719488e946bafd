"""Turn a public skeleton file (PYSKL's, mmaction2's) into the data set that the stages train on.

For instance NTU RGB+D's published subjects as train and test, two of its 60 classes against others:
`python -m stages.import_skeletons ntu60_2d.pkl --classes normal=0-41,43-48 faint=42
assault=49-51 --train xsub_train --test xsub_val --group-pattern 'P[0-9]+'`. Train, evaluate and
export work on the result as on your own.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.public_skeletons import Choice, import_file, parse_labels


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `annotations.pkl`, `splits.csv` and `splits.md`, and say what was left out."""
    choice = Choice(
        labels=parse_labels(arguments.classes, config.classes),
        train=arguments.train,
        val=arguments.val,
        test=arguments.test,
        group_field=arguments.group_field,
        group_pattern=arguments.group_pattern,
        keypoints=arguments.keypoints,
        fps=arguments.fps,
    )
    summary = import_file(arguments.file, paths.dataset, config.classes, config.dataset, choice)
    print(
        f"import: {summary.clips} clips; left out: {summary.other_labels} of other labels; "
        f"{summary.absent} ids of the file's splits have no annotation"
    )
    print(summary.splits)


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("file", {"type": Path, "help": "the public pickle"}),
        ("--classes", {
            "nargs": "*", "default": [], "metavar": "NAME=LABELS",
            "help": "the file's labels of each class, such as assault=49-51,57; others are left "
            "out. Without it label n is the n-th of classes in the parameter file"}),
        ("--train", {"help": "the file's split to train on; without any, splits are made here"}),
        ("--val", {"help": "the file's split to choose on; without it, cut from train"}),
        ("--test", {"help": "the file's split to test on"}),
        ("--group-field", {"help": "annotation key of the scene that no split may divide"}),
        ("--group-pattern", {"help": "or a regular expression that finds it in a clip's id"}),
        ("--keypoints", {"type": Path, "help": "Kinetics: the folder of keypoint files"}),
        ("--fps", {"type": float, "default": 30.0, "help": "frames per second of the clips"}),
    )  # fmt: skip
