"""Expand: the fingerprint of each timeline, and indexes of the reminders that are deferred or expired."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

EXPIRED = sa.text("state = 'expired'")
DEFERRED = sa.text("state = 'pending' AND wake_at > at")


def upgrade() -> None:
    op.create_table(
        "fingerprint",
        sa.Column("timeline", sa.Text(), primary_key=True, nullable=False),
        sa.Column("file", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("content", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("environment", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("reconciled_at", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False, server_default=sa.text("''")),
    )
    op.create_index("owed_deferred", "owed", ["key"], sqlite_where=DEFERRED, postgresql_where=DEFERRED)
    op.create_index("owed_expired", "owed", ["key"], sqlite_where=EXPIRED, postgresql_where=EXPIRED)


def downgrade() -> None:
    op.drop_index("owed_expired", "owed")
    op.drop_index("owed_deferred", "owed")
    op.drop_table("fingerprint")
