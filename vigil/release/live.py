"""The live repository: what lies where, which version serves, and how that is changed for good.

Layout, one folder a model, readable by any Triton as it is:

    <repository>/<model>/config.pbtxt       its version policy names the one version that serves:
                                            this is the last-good pointer
    <repository>/<model>/labels.txt         where the model has classes
    <repository>/<model>/<version>/model.onnx, or model.py and what it reads
    <repository>/<model>/<version>/{config.pbtxt, labels.txt, lineage.json, verdict.json}

A version folder appears by one rename and is never written to again. The pointer moves by one
rename, after the version has been loaded and has answered.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from vigil.errors import ModelError
from vigil.files import flush
from vigil.release.candidate import Candidate, hashes
from vigil.release.durable import copy, locked, replace_text, write_json
from vigil.serving.repository import LABELS, ModelConfig, read_config, render_config, versions

LINEAGE, VERDICT = "lineage.json", "verdict.json"
_STAGING = ".staging-"


class LiveModel:
    """One model of the live repository, whether it has been published yet or not."""

    def __init__(self, repository: Path, name: str) -> None:
        """Name the model; nothing is read or written yet.

        Args:
            repository: folder of the live repository.
            name: the model's name.
        """
        self.repository, self.name = repository, name
        self.folder = repository / name

    def lock(self) -> AbstractContextManager[None]:
        """Keep others from changing this model; see `vigil.release.durable.locked`."""
        return locked(self.repository / f".{self.name}.lock")

    def numbers(self) -> list[int]:
        """Return the versions on disk, oldest first."""
        return [int(path.name) for path in versions(self.folder)] if self.folder.is_dir() else []

    @property
    def current(self) -> int | None:
        """The version that serves: the last good one; None before the first was published.

        Raises:
            ModelError: the configuration does not name exactly one version.
        """
        if not (self.folder / "config.pbtxt").is_file():
            return None
        named = list(read_config(self.folder).version_policy.specific.versions)
        if len(named) != 1:
            raise ModelError(f"{self.folder}: expected a policy of one version, got {named}")
        return int(named[0])

    def version(self, number: int) -> Path:
        """Return the folder of a version.

        Raises:
            ModelError: there is none.
        """
        path = self.folder / str(number)
        if not path.is_dir():
            raise ModelError(f"{self.name}: expected one of {self.numbers()}, got {number}")
        return path

    def config_of(self, number: int) -> ModelConfig:
        """Return the configuration that serves a version, and only that one."""
        config = read_config(self.version(number))
        config.name = self.name
        config.version_policy.Clear()
        config.version_policy.specific.versions.append(number)
        return config

    def candidate(self, number: int) -> Candidate:
        """Return a version's own files, as they were judged."""
        folder = self.version(number)
        names = self.lineage(number)["sha256"]
        return Candidate(self.name, folder, {name: folder / name for name in names})

    def lineage(self, number: int) -> dict[str, Any]:
        """Return where a version comes from.

        Raises:
            ModelError: it says nothing of that.
        """
        return self._read(number, LINEAGE)

    def verdict(self, number: int) -> dict[str, Any]:
        """Return what the gate said of a version.

        Raises:
            ModelError: nothing is written of that.
        """
        return self._read(number, VERDICT)

    def before(self, number: int) -> int | None:
        """Return the version that a version was judged against and replaced.

        Not the one numbered below it: that may have been taken back.
        """
        served = self.verdict(number)["served"]
        return int(served["version"]) if served else None

    def _read(self, number: int, name: str) -> dict[str, Any]:
        path = self.version(number) / name
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: expected what publish writes, got {error}") from error
        return found

    def check(self, number: int) -> None:
        """Compare a version's files with what was judged.

        Raises:
            ModelError: a file is missing or another one.
        """
        wanted = self.lineage(number)["sha256"]
        found = hashes(self.version(number), wanted)
        changed = sorted(name for name in wanted if wanted[name] != found.get(name))
        if changed:
            raise ModelError(
                f"{self.name}: version {number}: expected the files that were judged, "
                f"got others: {', '.join(changed)}"
            )

    def stage(
        self, candidate: Candidate, lineage: dict[str, Any], verdict: dict[str, Any], number: int
    ) -> Iterator[str]:
        """Bring a candidate into the repository as a version that does not serve yet.

        Yields:
            What has just been done: `written`, `renamed`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{_STAGING}{number}"
        partial.mkdir()
        for name, path in candidate.files.items():
            copy(path, partial / name)
        write_json(partial / LINEAGE, lineage)
        write_json(partial / VERDICT, verdict)
        flush(partial)
        yield "written"
        partial.rename(self.folder / str(number))
        flush(self.folder)
        yield "renamed"

    def write_labels(self, number: int) -> None:
        """Write a version's class names where Triton reads them; the gate lets no others pass."""
        path = self.version(number) / LABELS
        if path.is_file():
            replace_text(self.folder / LABELS, path.read_text(encoding="utf-8"))

    def point(self, number: int) -> None:
        """Make a version the one that serves from now on, also after a restart."""
        replace_text(self.folder / "config.pbtxt", render_config(self.config_of(number)))

    def drop(self, number: int) -> None:
        """Remove a version, so that it is never seen half removed."""
        partial = self.folder / f"{_STAGING}drop-{number}"
        self.version(number).rename(partial)
        shutil.rmtree(partial)

    def clean(self) -> None:
        """Remove the half copies that a publish which was killed left behind.

        A version that was renamed but never served may stay: it passed the gate, and counts as one.
        """
        for leftover in [*self.folder.glob(f"{_STAGING}*"), *self.folder.glob(".*.part")]:
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def models(repository: Path) -> list[str]:
    """Return the names of the models that have been published; one on trial has no pointer."""
    folders = sorted(path.parent for path in repository.glob("*/config.pbtxt"))
    return [
        folder.name for folder in folders if read_config(folder).version_policy.specific.versions
    ]
