"""Videos, clips, votes and who they are for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of the first version."""
    _footage()
    _votes()
    _queue()


def _footage() -> None:
    op.create_table(
        "videos",
        sa.Column("video_id", sa.String(255), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("video_id", name="pk_videos"),
        sa.UniqueConstraint("key", name="uq_videos_key"),
    )
    op.create_table(
        "clips",
        sa.Column("clip_id", sa.String(320), nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("video_id", sa.String(255), nullable=False),
        sa.Column("start_s", sa.Float(53), nullable=False),
        sa.Column("end_s", sa.Float(53), nullable=False),
        sa.Column("start_frame", sa.Integer(), nullable=False),
        sa.Column("end_frame", sa.Integer(), nullable=False),
        sa.Column("n_persons", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("clip_id", name="pk_clips"),
        sa.UniqueConstraint("key", name="uq_clips_key"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"], name="fk_clips_video_id"),
    )
    op.create_index("ix_clips_video_id", "clips", ["video_id"])


def _votes() -> None:
    op.create_table(
        "votes",
        sa.Column("vote_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(100), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("clip_id", sa.String(320), nullable=False),
        sa.Column("annotator", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(200)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Float(53)),
        sa.Column("end_s", sa.Float(53)),
        sa.Column("track_ids", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("suggested", sa.String(200)),
        sa.Column("seconds", sa.Float(53)),
        sa.Column("retracts", sa.Integer()),
        sa.Column("voted_at", sa.String(40), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("vote_id", name="pk_votes"),
        sa.UniqueConstraint("token", name="uq_votes_token"),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.clip_id"], name="fk_votes_clip_id"),
        sa.ForeignKeyConstraint(["retracts"], ["votes.vote_id"], name="fk_votes_retracts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_votes_action", "votes", ["action"])
    op.create_index("ix_votes_retracts", "votes", ["retracts"])
    op.create_index("ix_votes_clip_id_annotator", "votes", ["clip_id", "annotator"])
    op.create_index("ix_votes_annotator_vote_id", "votes", ["annotator", "vote_id"])
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name="pk_audit"),
        sqlite_autoincrement=True,
    )


def _queue() -> None:
    op.create_table(
        "leases",
        sa.Column("clip_id", sa.String(320), nullable=False),
        sa.Column("annotator", sa.String(100), nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("clip_id", "annotator", name="pk_leases"),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.clip_id"], name="fk_leases_clip_id"),
    )
    op.create_index("ix_leases_until", "leases", ["until"])
    op.create_table(
        "gold",
        sa.Column("clip_id", sa.String(320), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("clip_id", name="pk_gold"),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.clip_id"], name="fk_gold_clip_id"),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
