"""Add the leader and more fields of the node reports.

On PostgreSQL, also vacuum the tables that change often more frequently.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("node", sa.Column("stopped", sa.Boolean(), server_default=sa.false(), nullable=False))
    for name in ("findings", "paused"):
        op.add_column("node", sa.Column(name, sa.Text(), server_default=sa.text("'[]'"), nullable=False))
    op.create_table(
        "lead",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Each delivery is written three times and then never again. With the default settings, its dead row
        # versions stay at the start of the indexes until a fifth of the table is dead.
        for table in ("owed", "delivery"):
            op.execute(
                f"alter table {table} set (autovacuum_vacuum_scale_factor = 0.01, "
                "autovacuum_analyze_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 1)"
            )
        for table in ("lead", "node"):
            op.execute(f"alter table {table} set (fillfactor = 50, autovacuum_vacuum_threshold = 1000)")


def downgrade() -> None:
    op.drop_table("lead")
    for name in ("stopped", "findings", "paused"):
        op.drop_column("node", name)
