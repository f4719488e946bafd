"""Renames of classes, and a database that itself refuses to change or drop what people said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
_TABLES = {
    "votes": ("vote_id", "token"),
    "renames": ("rename_id",),
    "audit": ("audit_id",),
}


def upgrade() -> None:
    """Add the table of renames and the triggers."""
    op.create_table(
        "renames",
        sa.Column("rename_id", sa.Integer(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("last_vote_id", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("rename_id", name="pk_renames"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgres()


def _sqlite() -> None:
    for table, columns in _TABLES.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}")
        for column in columns:  # INSERT OR REPLACE deletes without telling the trigger above
            known = f"EXISTS (SELECT 1 FROM {table} WHERE {column} = NEW.{column})"  # noqa: S608
            name = f"{table}_no_replace_{column}"
            op.execute(f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {known} {refuse}")


def _postgres() -> None:
    op.execute(
        "CREATE FUNCTION vigil_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% are append-only', TG_TABLE_NAME; END $$"
    )
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION vigil_append_only()"
        )
