"""Run by alembic. The connection, its transaction and its lock belong to `explorer.catalog.database`."""

from alembic import context

from explorer.catalog.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
