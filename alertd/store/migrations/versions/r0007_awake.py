"""Expand: where the retry horizon of a delivery starts. The time in which no daemon ran moves it later."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("tried_from", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("delivery", "tried_from")
