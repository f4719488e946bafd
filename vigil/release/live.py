"""The live repository: what lies where, which version serves, and how that is changed for good.

Layout, one folder a model, readable by any Triton as it is:

    <repository>/<model>/config.pbtxt       its version policy names the one version that serves:
                                            this is the last-good pointer
    <repository>/<model>/labels.txt         where the model has classes
    <repository>/<model>/<version>/model.onnx, or model.py and what it reads
    <repository>/<model>/<version>/{config.pbtxt, labels.txt, lineage.json, verdict.json}

It lies in a folder or in an object store, see `vigil.release.storage`. A version appears at one
moment, whole, and is never written to again. The pointer moves at one moment, after the version
has been loaded and has answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from vigil.config.place import is_name
from vigil.errors import InputError, ModelError
from vigil.release.candidate import Candidate, hashes
from vigil.release.storage import POINTER, storage_at
from vigil.serving.repository import LABELS, ModelConfig, read_config, render_config

LINEAGE, VERDICT = "lineage.json", "verdict.json"


class LiveModel:
    """One model of the live repository, whether it has been published yet or not."""

    def __init__(self, repository: Path | str, name: str) -> None:
        """Name the model; nothing is read or written yet.

        Args:
            repository: folder of the live repository, or its S3 address.
            name: the model's name.

        Raises:
            InputError: the name or the address is none.
        """
        if not is_name(name):
            raise InputError(f"release: expected the name of a model, got {name!r}")
        self.storage, self.name = storage_at(repository), name

    @property
    def repository(self) -> Path:
        """The folder of the live repository.

        Raises:
            InputError: it lies in an object store.
        """
        return self.storage.folder()

    @property
    def place(self) -> str:
        """Where the model lies, for people."""
        return f"{self.storage.url}/{self.name}"

    def lock(self) -> AbstractContextManager[None]:
        """Keep others from changing this model, or notice that they did."""
        return self.storage.lock(self.name)

    def numbers(self) -> list[int]:
        """Return the versions that there are, oldest first."""
        return self.storage.numbers(self.name)

    @property
    def current(self) -> int | None:
        """The version that serves: the last good one; None before the first was published.

        Raises:
            ModelError: the configuration does not name exactly one version.
        """
        path = self.storage.fetch(self.name, POINTER)
        if not path.is_file():
            return None
        named = list(read_config(path.parent).version_policy.specific.versions)
        if len(named) != 1:
            raise ModelError(f"{self.place}: expected a policy of one version, got {named}")
        return int(named[0])

    def version(self, number: int) -> Path:
        """Return a folder with a version's files: its own, or a copy.

        Raises:
            ModelError: there is no such version.
        """
        return self.storage.fetch_version(self.name, self._known(number))

    def at_hand(self, number: int) -> Path:
        """Return a model folder of Triton's that serves a version: its own, or a copy."""
        folder = self.version(number).parent
        for name in (POINTER, LABELS):
            self.storage.fetch(self.name, name)
        return folder

    def config_of(self, number: int) -> ModelConfig:
        """Return the configuration that serves a version, and only that one."""
        config = read_config(self._file(number, POINTER).parent)
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
        path = self._file(number, name)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.place}/{number}/{name}: expected what publish writes, got {error}"
            ) from error
        return found

    def _file(self, number: int, name: str) -> Path:
        return self.storage.fetch(self.name, f"{self._known(number)}/{name}")

    def _known(self, number: int) -> int:
        if number not in (found := self.numbers()):
            raise ModelError(f"{self.name}: expected one of {found}, got {number}")
        return number

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
            What has just been done: `written`, `complete`.
        """
        told = {LINEAGE: _json(lineage), VERDICT: _json(verdict)}
        return self.storage.stage(self.name, number, {**candidate.files, **told})

    def free_number(self) -> int:
        """Return the number of the next version."""
        return self.storage.free_number(self.name)

    def write_labels(self, number: int) -> None:
        """Write a version's class names where Triton reads them; the gate lets no others pass."""
        path = self._file(number, LABELS)
        if path.is_file():
            self.storage.replace(self.name, LABELS, path.read_text(encoding="utf-8"))

    def point(self, number: int) -> None:
        """Make a version the one that serves from now on, also after a restart.

        Raises:
            Conflict: another publish or rollback came first.
        """
        self.storage.point(self.name, render_config(self.config_of(number)))

    def drop(self, *numbers: int) -> None:
        """Remove versions, so that none is ever seen half removed."""
        if numbers:
            self.storage.drop(self.name, [self._known(number) for number in numbers])

    def clean(self) -> None:
        """Remove the half copies that a publish which was killed left behind."""
        self.storage.clean(self.name, self.current)


def models(repository: Path | str) -> list[str]:
    """Return the names of the models that have been published; one on trial has no pointer."""
    storage = storage_at(repository)
    return [
        name
        for name in storage.models()
        if read_config(storage.fetch(name, POINTER).parent).version_policy.specific.versions
    ]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
