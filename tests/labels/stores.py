"""Small projects for the label store: clips without videos, and votes on them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vigil.config import LabelingSection
from vigil.labels.database import sqlite_url
from vigil.labels.store import LabelStore
from vigil.labels.votes import Draft, Kind
from vigil.schema import Clip

ROOT = Path(__file__).parent.parent.parent
_tokens = itertools.count()


def labeling(**changes: Any) -> LabelingSection:
    """The shipped parameters, without gold clips, and with these changes."""
    return LabelingSection.model_validate(_shipped() | {"gold_share": 0.0} | changes)


@cache
def _shipped() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    return dict(loaded["labeling"])


def clips(n: int = 4, video: str = "cam1", frames: int = 48) -> list[Clip]:
    """`n` windows of four seconds, one after the other."""
    return [
        Clip(f"{video}@{4000 * i}-{4000 * i + 4000}", video, 4.0 * i, 4.0 * i + 4.0,
             frames * i, frames * i + frames, 2)
        for i in range(n)
    ]  # fmt: skip


def open_sqlite(folder: Path, **changes: Any) -> LabelStore:
    """A store in a file of `folder`."""
    return LabelStore.open(sqlite_url(folder / "labels.db"), labeling(**changes))


def filled(store: LabelStore, of: Sequence[Clip] | None = None) -> list[str]:
    """Put clips into a store; return their ids."""
    wanted = list(of) if of is not None else clips()
    store.sync_clips(wanted, {clip.video_id: f"hash of {clip.video_id}" for clip in wanted})
    return [clip.clip_id for clip in wanted]


def draft(clip_id: str, label: str | None = "assault", by: str = "kim", **more: Any) -> Draft:
    """A vote with a token that no other has."""
    more = {"token": f"t{next(_tokens)}", "kind": Kind.LABEL} | more
    return Draft(clip_id=clip_id, annotator=by, label=label, **more)
