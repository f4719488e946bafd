"""The tables of the label store. Votes, renames and the audit log only ever grow."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Integer, MetaData, String, Text, exists
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

APPEND_ONLY = ("votes", "renames", "audit")
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name them too."""

    metadata = MetaData(naming_convention=_NAMES)


class VideoTable(Base):
    """A video that has, or had, clips."""

    __tablename__ = "videos"

    video_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True)


class ClipTable(Base):
    """A clip as it is cut now, or as it was when it was last seen."""

    __tablename__ = "clips"

    clip_id: Mapped[str] = mapped_column(String(320), primary_key=True)
    key: Mapped[str] = mapped_column(String(16), unique=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.video_id"), index=True)
    start_s: Mapped[float] = mapped_column(Float(53))
    end_s: Mapped[float] = mapped_column(Float(53))
    start_frame: Mapped[int]
    end_frame: Mapped[int]
    n_persons: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(64))
    retired: Mapped[bool]


class VoteTable(Base):
    """One row a vote, in the order of saving; see `vigil.labels.votes.Vote`.

    `action` is shared by the votes that one call saved for one annotator: an undo takes back all
    of them.
    """

    __tablename__ = "votes"
    __table_args__ = (
        Index("ix_votes_clip_id_annotator", "clip_id", "annotator"),
        Index("ix_votes_annotator_vote_id", "annotator", "vote_id"),
        {"sqlite_autoincrement": True},
    )

    vote_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    token: Mapped[str] = mapped_column(String(100), unique=True)
    action: Mapped[str] = mapped_column(String(100), index=True)
    clip_id: Mapped[str] = mapped_column(ForeignKey("clips.clip_id"))
    annotator: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(16))
    label: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    start_s: Mapped[float | None] = mapped_column(Float(53))
    end_s: Mapped[float | None] = mapped_column(Float(53))
    track_ids: Mapped[list[int]] = mapped_column(JSON)
    source: Mapped[str] = mapped_column(String(16))
    suggested: Mapped[str | None] = mapped_column(String(200))
    seconds: Mapped[float | None] = mapped_column(Float(53))
    retracts: Mapped[int | None] = mapped_column(ForeignKey("votes.vote_id"), index=True)
    voted_at: Mapped[str] = mapped_column(String(40))
    decided_at: Mapped[str] = mapped_column(String(40), server_default="")
    fingerprint: Mapped[str] = mapped_column(String(64))


_Undo, _Redo = aliased(VoteTable), aliased(VoteTable)
REDONE = exists().where(_Redo.retracts == VoteTable.vote_id)  # of an undo: it is taken back itself
UNDONE = exists().where(_Undo.retracts == VoteTable.vote_id).where(
    ~exists().where(_Redo.retracts == _Undo.vote_id)
)  # fmt: skip


class LeaseTable(Base):
    """A clip kept for an annotator until a time, in seconds of the epoch."""

    __tablename__ = "leases"

    clip_id: Mapped[str] = mapped_column(ForeignKey("clips.clip_id"), primary_key=True)
    annotator: Mapped[str] = mapped_column(String(100), primary_key=True)
    until: Mapped[float] = mapped_column(Float(53), index=True)


class GoldTable(Base):
    """A clip whose label is known."""

    __tablename__ = "gold"

    clip_id: Mapped[str] = mapped_column(ForeignKey("clips.clip_id"), primary_key=True)
    label: Mapped[str] = mapped_column(String(200))


class SettingTable(Base):
    """What an admin set over `params.yaml`."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class RenameTable(Base):
    """Classes renamed or merged: `mapping` holds for votes up to and with `last_vote_id`."""

    __tablename__ = "renames"
    __table_args__ = ({"sqlite_autoincrement": True},)

    rename_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    mapping: Mapped[dict[str, str]] = mapped_column(JSON)
    last_vote_id: Mapped[int]
    actor: Mapped[str] = mapped_column(String(100))
    at: Mapped[str] = mapped_column(String(40))


class AuditTable(Base):
    """Who changed what, written in the transaction that changed it."""

    __tablename__ = "audit"
    __table_args__ = ({"sqlite_autoincrement": True},)

    audit_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
