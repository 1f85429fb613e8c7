"""How an older catalogue becomes a newer one, step by step (alembic; started by `explorer.catalog.database`)."""
