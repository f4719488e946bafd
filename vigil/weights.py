"""Pretrained weights: a registry, a verified local copy, a mirror folder, a resumable download.

A file is used only after its sha256 matched the registry's; where the publisher names no hash,
the first download's is recorded in `lock.json` beside the files and checked ever after. The
environment variable `VIGIL_WEIGHTS` names a folder that is looked into before the network.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vigil.errors import InputError, ModelError
from vigil.items import file_hash
from vigil.schema import write_json

MIRROR_VARIABLE = "VIGIL_WEIGHTS"
SHIPPED = Path(__file__).parent / "demo" / "weights"
_CHUNK = 1 << 20
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Entry:
    """One pretrained file.

    Attributes:
        name: registry name, `<set>/<name>`.
        file: file name.
        publisher: who publishes it.
        license: SPDX-like license of the weights.
        architecture: variant name for the network builder.
        url: where the publisher serves it; empty for shipped files.
        sha256: full hash or published prefix, hex; empty where none is published.
        bytes: size; 0 where unknown.
    """

    name: str
    file: str
    publisher: str
    license: str
    architecture: str
    url: str = ""
    sha256: str = ""
    bytes: int = 0


@cache
def registry() -> dict[str, Entry]:
    """Return every known file by name."""
    raw = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return {name: Entry(name=name, **values) for name, values in raw.items()}


def entry(kind: str, name: str) -> Entry:
    """Return the registry's entry `<kind>/<name>`.

    Raises:
        InputError: no such entry; the message lists the ones of that kind.
    """
    found = registry().get(f"{kind}/{name}")
    if found is None:
        known = [key.split("/")[1] for key in registry() if key.startswith(f"{kind}/")]
        raise InputError(f"weights: {name}: expected one of {known}, got an unknown name")
    return found


def fetch(item: Entry, folder: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Return a verified local copy of `item`, taken from the first place that has it.

    Places: shipped with vigil, `folder`, the mirror named by `VIGIL_WEIGHTS`, the publisher.

    Args:
        item: what to get.
        folder: where verified files are kept.
        say: receives progress lines.

    Raises:
        ModelError: not to be had anywhere, or its hash or size is wrong.
    """
    if not item.url:
        return _shipped(item)
    local = folder / item.file
    if local.exists():
        return _verified(item, local, folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = local.with_name(f"{local.name}.part")
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror and (Path(mirror) / item.file).is_file():
        shutil.copyfile(Path(mirror) / item.file, partial)
    else:
        _download(item, partial, folder, say)
    try:
        _verified(item, partial, folder)
    except ModelError:
        partial.unlink()
        raise
    os.replace(partial, local)
    return local


def _shipped(item: Entry) -> Path:
    path = SHIPPED / item.file
    if not path.is_file():
        raise ModelError(f"weights: {item.name}: expected {path}, got none; run make demo-weights")
    return path


def _verified(item: Entry, path: Path, folder: Path) -> Path:
    """Check size and hash; record the hash where the registry knows it only in part."""
    size = path.stat().st_size
    if item.bytes and size != item.bytes:
        raise ModelError(f"weights: {path.name}: expected {item.bytes} bytes, got {size}")
    lock_path = folder / "lock.json"
    lock: dict[str, str] = json.loads(lock_path.read_text()) if lock_path.exists() else {}
    expected = lock.get(item.file, item.sha256)
    found = file_hash(path)
    if not found.startswith(expected):
        raise ModelError(f"weights: {path.name}: expected sha256 {expected}, got {found}")
    if item.file not in lock:
        write_json(lock_path, {**lock, item.file: found})
    return path


def _download(item: Entry, partial: Path, folder: Path, say: Callable[[str], None]) -> None:
    """Download `item` to `partial`, going on from what is there already."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(item.url, headers={"User-Agent": "vigil"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            _save(answer, partial, have if answer.status == 206 else 0, item, say)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # everything is there already
            raise _unavailable(item, folder, str(error)) from error
    except OSError as error:
        raise _unavailable(item, folder, str(getattr(error, "reason", error))) from error


def _save(answer: Any, partial: Path, have: int, item: Entry, say: Callable[[str], None]) -> None:
    total = have + int(answer.headers.get("Content-Length") or 0)
    shown = -1
    with partial.open("ab" if have else "wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            have += len(chunk)
            percent = 100 * have // total if total else 0
            if percent // 10 != shown:
                shown = percent // 10
                say(f"weights: {item.file}: {have / 1e6:.0f} of {total / 1e6:.0f} MB")


def _unavailable(item: Entry, folder: Path, why: str) -> ModelError:
    return ModelError(
        f"weights: {item.file}: could not be downloaded ({why}); get it from {item.url} "
        f"and put it into {folder} or into the folder that {MIRROR_VARIABLE} names"
    )
