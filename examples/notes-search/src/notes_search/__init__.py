"""Notes in PostgreSQL, found by full-text search."""
