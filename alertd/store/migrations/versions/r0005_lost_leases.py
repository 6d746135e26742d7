"""Expand: how many leases of a delivery in a row have ended without a settlement.

A lease that had run out before this migration counts when its delivery is leased again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_WHERE = sa.text("state = 'ready' AND (lost_leases > 0 OR lease_until IS NOT NULL)")


def upgrade() -> None:
    op.add_column(
        "delivery", sa.Column("lost_leases", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index("delivery_lost", "delivery", ["next_at"], sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade() -> None:
    op.drop_index("delivery_lost", table_name="delivery")
    op.drop_column("delivery", "lost_leases")
