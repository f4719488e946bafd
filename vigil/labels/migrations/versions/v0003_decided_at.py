"""When a vote was decided, where it reached the store much later than that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; votes of before were decided when they were saved."""
    op.add_column(
        "votes", sa.Column("decided_at", sa.String(40), nullable=False, server_default="")
    )
