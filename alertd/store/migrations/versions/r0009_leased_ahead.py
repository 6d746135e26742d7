"""Expand: whether a lease was taken ahead and has not begun. Every earlier lease has begun."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("ahead", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("delivery", "ahead")
