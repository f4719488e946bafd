"""Follow the footage: clips come, go, return and are cut anew; their votes stay."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from vigil.errors import InputError
from vigil.labels.audit import record
from vigil.labels.rows import ClipRow
from vigil.labels.tables import ClipTable, VideoTable
from vigil.schema import Clip

ACTOR = "vigil"  # in the audit log, for what no person does


def clip_fingerprint(clip: Clip, video_hash: str) -> str:
    """Return the sha256 of what a clip shows: the video's bytes and the window's frames."""
    text = f"{video_hash}:{clip.start_frame}:{clip.end_frame}"
    return hashlib.sha256(text.encode()).hexdigest()


def sync_clips(
    connection: Connection, clips: Sequence[Clip], video_hashes: Mapping[str, str]
) -> None:
    """Make the store's clips those that are cut now; nothing is ever deleted.

    Args:
        connection: of a writing transaction.
        clips: all clips of the project.
        video_hashes: sha256 of each video's bytes by video id. Clips of a video that is not
            among them stay as they are: its file is gone, not its clips.

    Raises:
        InputError: a clip twice.
    """
    cut = _cut(clips, video_hashes)
    here = {clip.clip_id for clip in clips}
    known = {row.clip_id: row for row in connection.execute(select(ClipTable.__table__))}
    _add_videos(connection, sorted({str(clip["video_id"]) for clip in cut.values()}))
    added = [values for clip_id, values in cut.items() if clip_id not in known]
    if added:
        rows = [values | {"key": new_key(), "retired": False} for values in added]
        connection.execute(insert(ClipTable), rows)
    gone = [name for name, row in known.items() if name not in here and not row.retired]
    back = [name for name, row in known.items() if name in cut and row.retired]
    recut = [
        name
        for name, row in known.items()
        if name in cut and row.fingerprint != cut[name]["fingerprint"]
    ]
    for name in gone:
        connection.execute(_clip(name).values(retired=True))
    for name, row in known.items():
        if name in cut and _differs(row._mapping, cut[name]):
            connection.execute(_clip(name).values(retired=False, **cut[name]))
    detail = {"added": len(added), "retired": gone, "returned": back, "recut": recut}
    if any(detail.values()):
        record(connection, ACTOR, "sync", detail)


def new_key() -> str:
    """Return an opaque id that nobody can guess: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def as_clip_row(row: RowMapping) -> ClipRow:
    """Return a row of the table as what the store answers."""
    names = ("clip_id", "video_id", "start_s", "end_s", "start_frame", "end_frame", "n_persons")
    clip = Clip(**{name: row[name] for name in names})
    return ClipRow(row["key"], clip, row["fingerprint"], row["retired"])


def _cut(clips: Sequence[Clip], video_hashes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    cut: dict[str, dict[str, Any]] = {}
    for clip in clips:
        if clip.clip_id in cut:
            raise InputError(f"labels: {clip.clip_id}: expected each clip once, got it twice")
        if clip.video_id in video_hashes:
            mark = clip_fingerprint(clip, video_hashes[clip.video_id])
            cut[clip.clip_id] = {**vars(clip), "fingerprint": mark}
    return cut


def _add_videos(connection: Connection, video_ids: Sequence[str]) -> None:
    known = set(connection.execute(select(VideoTable.video_id)).scalars())
    rows = [{"video_id": name, "key": new_key()} for name in video_ids if name not in known]
    if rows:
        connection.execute(insert(VideoTable), rows)


def _clip(clip_id: str) -> Any:
    return update(ClipTable).where(ClipTable.clip_id == clip_id)


def _differs(row: RowMapping, cut: Mapping[str, Any]) -> bool:
    return bool(row["retired"]) or any(row[name] != value for name, value in cut.items())
