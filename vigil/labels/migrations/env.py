"""Alembic's entry: run the steps in the transaction that `vigil.labels.migrating` holds open."""

from alembic import context

from vigil.labels.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
