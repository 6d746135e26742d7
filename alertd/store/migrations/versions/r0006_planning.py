"""Contract: of the repeats of ``then_every``, keep those that come soon.

Older versions scheduled 400 days of repeats, which can be 9,600 rows for one milestone. Now the ledger holds
the next few, and each decision about a due repeat schedules the following ones. This migration deletes the
surplus without a trace in the history, because nothing about these reminders changes: each is scheduled
again when its turn comes, under the same key. If a migration deletes steps of ``after`` too, the next
reconciliation schedules them again. No policy has more steps than the number that is kept.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEPT = 64
"""How many pending overdue reminders of a milestone, receiver and window stay, the earliest ones.

This is more than the steps and the repeats that planning schedules for one window.
"""


def upgrade() -> None:
    op.execute(
        sa.text(
            """
            delete from owed where key in (
                select key from (
                    select key, row_number() over (
                        partition by milestone, receiver, window_id order by at, key
                    ) as number
                    from owed where state = 'pending' and cause = 'overdue'
                ) as numbered
                where number > :kept
            )
            """
        ).bindparams(kept=KEPT)
    )


def downgrade() -> None:
    """Do nothing: the older version schedules the deleted reminders again."""
