"""A candidate: the files of a model folder that decide what would be served."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import ModelError
from vigil.items import file_hash
from vigil.serving.repository import LABELS, ModelConfig, read_config, versions

NETWORK, CONFIG = "model.onnx", "config.pbtxt"
_SCRIPT = ("model.py", "behaviour.json")  # of a model of Triton's own Python backend


@dataclass(frozen=True)
class Candidate:
    """A model that might be served.

    Attributes:
        name: of the model.
        folder: a model folder of Triton's; its newest version is meant.
        files: where each file lies that decides what would be served: a network or a script with
            its description, the configuration, and the class names where there are classes.
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
        if config.default_model_filename not in {"", NETWORK}:
            raise ModelError(f"{folder}: expected {NETWORK}, got {config.default_model_filename}")
        found = versions(folder)
        if not found:
            raise ModelError(f"{folder}: expected an exported model, got no version")
        scripted = config.backend == "python" and not (found[-1] / NETWORK).is_file()
        inside = _SCRIPT if scripted else (NETWORK,)
        files = {name: found[-1] / name for name in inside} | {CONFIG: folder / CONFIG}
        if names_classes(config):
            files[LABELS] = folder / LABELS
        missing = [str(path) for path in files.values() if not path.is_file()]
        if missing:
            raise ModelError(f"{folder}: expected {', '.join(missing)}")
        return cls(folder.name, folder, files)

    @property
    def sha256(self) -> dict[str, str]:
        """Hash of each file."""
        return {name: file_hash(path) for name, path in self.files.items()}


def names_classes(config: ModelConfig) -> bool:
    """Tell whether a model's answers are of classes that its label file names."""
    return "labels" in config.parameters or any(one.label_filename for one in config.output)


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the hash of each of `names` that lies in a version's folder."""
    return {name: file_hash(folder / name) for name in names if (folder / name).is_file()}
