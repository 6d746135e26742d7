"""Makes this process an alertd of a later version, whose ledger is one revision ahead."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection

REVISION = "9999"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("milestone", sa.Column("of_a_later_version", sa.Text(), nullable=True))
"""


def become_newer(folder: Path) -> None:
    """Add a revision. ``folder`` gets its migration.

    Called before anything of the store is imported, because its modules read the revisions once.
    """
    from alertd.store import schema

    before = schema.REVISIONS[-1]
    schema.REVISIONS = (*schema.REVISIONS, REVISION)  # type: ignore[assignment]
    schema.FIRST_VERSIONS[REVISION] = "99.0.0"
    folder.mkdir(exist_ok=True)
    text = MIGRATION.format(revision=REVISION, before=before)
    (folder / f"r{REVISION}_later.py").write_text(text, encoding="utf-8")

    from alertd.store.database import upgrade

    if upgrade.HEAD != REVISION:
        raise SystemExit("tests/torture/newer.py is out of date: the store has read its revisions already")
    own = Path(schema.__file__).with_name("migrations") / "versions"
    make = upgrade.make_alembic_config

    def make_newer(connection: Connection) -> Config:
        config = make(connection)
        config.set_main_option("version_locations", f"{own} {folder}")
        config.set_main_option("version_path_separator", "space")
        return config

    upgrade.make_alembic_config = make_newer
