"""Run the migrations for Alembic, in the transaction that `alertd.store.database.upgrade` has begun."""

from alembic import context

from alertd.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can change few things in place, so Alembic copies the table instead (its "batch" mode).
    render_as_batch=True,
    compare_server_default=True,
)
context.run_migrations()
