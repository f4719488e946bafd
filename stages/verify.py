"""Judge an exported model against its checkpoint and the served one: ship or don't, and why.

Exit code 0: ship; 1: do not. Not in dvc.yaml: the verdict depends on what serves at the moment and
on this machine's speed, and neither is a file of the pipeline.
"""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.errors import VigilError
from vigil.paths import Paths
from vigil.release.gate.page import seen
from vigil.release.project import report, verify


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/gate/<model>/` and print what speaks against the candidate."""
    name = arguments.model
    verdict = verify(config, paths, name)
    passed = sum(check["passed"] for check in verdict["checks"])
    print(f"verify: {name}: {passed} of {len(verdict['checks'])} checks passed on "
          f"{seen(verdict['test'])} of {verdict['test']['videos']} videos")  # fmt: skip
    if verdict["test"].get("unjudged"):
        print(f"verify: {name}: accuracy not judged: {verdict['test']['unjudged']}")
    for row in verdict["metrics"].get("differences", []):
        print(f"  {row['metric']:22s}{row['first']:.3f} -> {row['second']:.3f}  "
              f"[{row['low']:+.3f}, {row['high']:+.3f}]  {row['verdict']}")  # fmt: skip
    print(f"verify: {report(paths, name) / 'index.html'}")
    if not verdict["ship"]:
        raise VigilError(f"verify: {name}: do not ship: {'; '.join(verdict['why'])}")
    print(f"verify: {name}: ship")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "any served model"}),
    )
