"""Add the next digest of each receiver, and the content of a delivery that is a digest."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("edition", sa.Text(), nullable=True))
    op.create_table(
        "next_digest",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def downgrade() -> None:
    op.drop_table("next_digest")
    op.drop_column("delivery", "edition")
