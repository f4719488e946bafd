"""What taught a version: commit, data, parameters and metrics, written beside it for good.

`dvc.lock` says of every stage which files it read and wrote, by hash. Walking it back from the
export of a model names every file its answers come from; whether the model at hand is really the
one that was exported is checked by its hash, and said.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from vigil.config import Config
from vigil.environment import describe
from vigil.errors import InputError
from vigil.items import file_hash
from vigil.release.candidate import NETWORK, Candidate

_LAST = ("export", "ensemble", "fuse", "behaviour")  # write a model each, as `<stage>@<model>`
_CROPS = "_crops"
_PRETRAINED = "weights"  # writes every network that is not trained here
_CODE = ("vigil/", "stages/")
_WEIGHTS = "vigil/demo/weights"  # lie among the code, and teach
_GIT_TIMEOUT_S = 30


def lineage(
    candidate: Candidate, verdict: Mapping[str, Any], config: Config, root: Path
) -> dict[str, Any]:
    """Describe where a candidate comes from.

    Args:
        candidate: the model's files.
        verdict: what the gate said of it.
        config: all parameters.
        root: folder of `dvc.lock`, inside a git repository or not.

    Returns:
        Plain values: model, published_at (UTC), sha256 by file, git (commit and whether the tree
        was changed; None outside of git), dvc_lock_sha256, traced (whether the lock knows this very
        file), data (hash by path of everything it was made from), params, metrics, environment.
    """
    lock = root / "dvc.lock"
    stages = _stages(lock)
    last = _maker(stages, candidate)
    return {
        "model": candidate.name,
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": candidate.sha256,
        "git": _git(root),
        "dvc_lock_sha256": file_hash(lock) if lock.is_file() else None,
        "traced": last is not None and _wrote(stages[last], candidate),
        "data": ancestry(stages, last) if last else {},
        "params": config.model_dump(mode="json"),
        "metrics": verdict["metrics"],
        "environment": describe(),
    }


def ancestry(stages: Mapping[str, Any], last: str) -> dict[str, str]:
    """Walk `dvc.lock` back from one stage.

    Args:
        stages: the lock's `stages`.
        last: the name of one of them.

    Returns:
        Hash by path of every file that it was made from, code left out.
    """
    makers = {out["path"]: name for name, stage in stages.items() for out in stage.get("outs", ())}
    found: dict[str, str] = {}
    queue, seen = [last], set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        for part in stages[name].get("deps", ()):
            path = part["path"]
            if path.startswith(_CODE) and path != _WEIGHTS:
                continue
            found[path] = part.get("md5", "")
            queue += [maker for out, maker in makers.items() if _overlap(out, path)]
    return dict(sorted(found.items()))


def _overlap(out: str, path: str) -> bool:
    """Tell whether one of two paths is or holds the other."""
    return out == path or out.startswith(f"{path}/") or path.startswith(f"{out}/")


def _stages(lock: Path) -> dict[str, Any]:
    if not lock.is_file():
        return {}
    try:
        found: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{lock}: expected what `dvc repro` writes, got {error}") from error
    return found


def _maker(stages: Mapping[str, Any], candidate: Candidate) -> str | None:
    """Return the stage of the lock that writes a model, if there is one."""
    name = candidate.name
    asked = [f"{kind}@{name}" for kind in _LAST]
    if name.endswith(_CROPS):
        asked.append(f"crops@{name.removesuffix(_CROPS)}")
    found = next((stage for stage in asked if stage in stages), None)
    written = stages.get(_PRETRAINED, {}).get("outs", ())
    if found is None and any(f"/{name}/" in f"{out['path']}/" for out in written):
        return _PRETRAINED
    return found


def _wrote(stage: Mapping[str, Any], candidate: Candidate) -> bool:
    """Tell whether a stage of the lock wrote the candidate's very network."""
    network = candidate.files.get(NETWORK)
    if network is None:  # a script's folder is one output, under one hash
        return False
    content = network.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return any(out.get("md5") == found for out in stage.get("outs", ()))


def _git(root: Path) -> dict[str, Any] | None:
    def ask(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 (whichever git the user runs)
            capture_output=True, text=True, check=True, timeout=_GIT_TIMEOUT_S,
        ).stdout.strip()  # fmt: skip

    try:
        commit = ask("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
