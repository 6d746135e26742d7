"""Run by Alembic: the steps go into the transaction that `alertd.store.database.upgrade` has begun."""

from alembic import context

from alertd.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place: Alembic copies the table then.
    render_as_batch=True,
    compare_server_default=True,
)
context.run_migrations()
