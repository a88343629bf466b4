"""Tools that leave conversations on disk: one module each, all of one shape."""
