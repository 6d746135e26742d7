"""Create the tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("notifier", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("channel", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("bound_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("notice", sa.Text(), nullable=True),
        sa.Column("fallback_for", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("delivery_bound", "delivery", ["bound_at", "id"], unique=False)
    op.create_index(
        "delivery_leased",
        "delivery",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'ready' AND lease_until IS NOT NULL"),
        postgresql_where=sa.text("state = 'ready' AND lease_until IS NOT NULL"),
    )
    op.create_index(
        "delivery_next",
        "delivery",
        ["next_at", "lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "delivery_ready",
        "delivery",
        ["channel", "next_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_table(
        "history",
        sa.Column(
            "seq",
            sa.Integer().with_variant(sa.BigInteger(), "postgresql"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("milestone", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facts", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("entry", name="history_entry"),
        sqlite_autoincrement=True,
    )
    op.create_index("history_at", "history", ["at", "seq"], unique=False)
    op.create_index("history_of", "history", ["milestone", "at", "seq"], unique=False)
    op.create_table(
        "milestone",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("timeline", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("file", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("standing", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("done_on", sa.Text(), nullable=True),
        sa.Column("stated", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("snapshot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "milestone_done",
        "milestone",
        ["done_on"],
        unique=False,
        sqlite_where=sa.text("done_on IS NOT NULL"),
        postgresql_where=sa.text("done_on IS NOT NULL"),
    )
    op.create_index("milestone_timeline", "milestone", ["timeline", "withdrawn", "file"], unique=False)
    op.create_table(
        "node",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("config_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("problems", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("receivers", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("node"),
    )
    op.create_table(
        "remembered",
        sa.Column("milestone", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("milestone", "channel"),
    )
    op.create_table(
        "attempt",
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery"],
            ["delivery.id"],
        ),
        sa.PrimaryKeyConstraint("delivery", "number"),
    )
    op.create_table(
        "owed",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("milestone", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("cause", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("slot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("window_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=False),
        sa.Column("grouping", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("move", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["milestone"],
            ["milestone.id"],
        ),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("owed_of", "owed", ["milestone", "receiver", "state", "at"], unique=False)
    op.create_index(
        "owed_wake",
        "owed",
        ["wake_at", "milestone", "receiver"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "member",
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery"],
            ["delivery.id"],
        ),
        sa.ForeignKeyConstraint(
            ["key"],
            ["owed.key"],
        ),
        sa.PrimaryKeyConstraint("delivery", "position"),
    )
    op.create_index("member_key", "member", ["key"], unique=False)


def downgrade() -> None:
    for table in ("node", "remembered", "history", "attempt", "member", "delivery", "owed", "milestone"):
        op.drop_table(table)
