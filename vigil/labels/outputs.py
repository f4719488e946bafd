"""Which files the pipeline makes, as `dvc.yaml` says: places where nobody else may write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from vigil.config import Config
from vigil.errors import InputError
from vigil.paths import Paths

_HOLE = re.compile(r"\$\{([^}]+)\}")


def maker_of(path: Path, config: Config, paths: Paths) -> str | None:
    """Return the stage that makes `path` or a folder it lies in; None where no stage does.

    Args:
        path: a file.
        config: fills the holes of `dvc.yaml`.
        paths: of the project; without a `dvc.yaml` no stage makes anything.

    Raises:
        InputError: an unreadable `dvc.yaml`.
    """
    file = paths.root / "dvc.yaml"
    try:
        stages: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))["stages"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError) as error:
        raise InputError(f"{file}: expected a pipeline, got {error!r:.80}") from error
    place = path.resolve()
    for name, stage in stages.items():
        for out in _outs(stage.get("do", stage)):
            pattern = str(paths.root.resolve() / _filled(out, config))
            if any(fnmatchcase(str(one), pattern) for one in (place, *place.parents)):
                return name
    return None


def _outs(stage: dict[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for out in stage.get(kind, ()):
            yield str(next(iter(out)) if isinstance(out, dict) else out)


def _filled(out: str, config: Config) -> str:
    """Return an output with its parameters filled in, `*` for what varies over a matrix."""
    values = config.model_dump()

    def value(hole: re.Match[str]) -> str:
        found: Any = values
        for key in hole[1].split("."):
            found = found.get(key, "*") if isinstance(found, dict) else "*"
        return str(found)

    return _HOLE.sub(value, out)
