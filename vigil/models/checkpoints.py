"""Checkpoints that a kill at any moment leaves whole: each is written aside, then renamed."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from vigil.schema import atomic

BACKEND = "vigil"


class AtomicBackend(LocalBackend):  # type: ignore[misc]
    """mmengine's local files, but a file appears only when all of it is there."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write `obj` to `filepath`, whose folder is made where it is missing."""
        with atomic(Path(filepath)) as partial:
            partial.write_bytes(obj)


register_backend(BACKEND, AtomicBackend, force=True)


def latest(run: Path) -> Path | None:
    """Return the checkpoint of the last epoch in the folder `run`, None where there is none."""
    return max(
        run.glob("epoch_*.pth"),
        key=lambda path: int(path.stem.removeprefix("epoch_")),
        default=None,
    )
