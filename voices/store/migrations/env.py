"""Alembic's entry: it runs the migrations on the connection that voices/store/database.py gives."""

from alembic import context

from voices.store.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
