"""A candidate: the three files of a model folder that decide what would be served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vigil.errors import ModelError
from vigil.items import file_hash
from vigil.serving.repository import LABELS, read_config, versions

FILES = ("model.onnx", "config.pbtxt", LABELS)


@dataclass(frozen=True)
class Candidate:
    """A model that might be served.

    Attributes:
        name: of the model.
        folder: a model folder of Triton's; its newest version is meant.
        files: where each of `FILES` lies.
    """

    name: str
    folder: Path
    files: dict[str, Path]

    @classmethod
    def at(cls, folder: Path) -> Candidate:
        """Find the candidate in a model folder.

        Raises:
            ModelError: a file is missing, or the network's file has another name.
        """
        config = read_config(folder)
        if config.default_model_filename not in {"", "model.onnx"}:
            raise ModelError(f"{folder}: expected model.onnx, got {config.default_model_filename}")
        found = versions(folder)
        if not found:
            raise ModelError(f"{folder}: expected an exported model, got no version")
        places = (found[-1] / "model.onnx", folder / "config.pbtxt", folder / LABELS)
        missing = [str(path) for path in places if not path.is_file()]
        if missing:
            raise ModelError(f"{folder}: expected {', '.join(missing)}")
        return cls(folder.name, folder, dict(zip(FILES, places, strict=True)))

    @property
    def sha256(self) -> dict[str, str]:
        """Hash of each file."""
        return {name: file_hash(path) for name, path in self.files.items()}


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of each of `FILES` that lies in a version's folder."""
    return {name: file_hash(folder / name) for name in FILES if (folder / name).is_file()}
