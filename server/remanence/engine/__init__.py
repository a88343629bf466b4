"""The engine: the one process per data directory that owns the memory, and how doors reach it."""
