"""Writing the files of an index so that a crash leaves either the old or the new one, never half."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

Piece = bytes | memoryview


class IndexWriteError(Exception):
    """The index could not be written (a full disk, a read-only folder). What it held it still holds."""


class IndexReadError(Exception):
    """The index could not be searched: its files are damaged. It is to be rebuilt from the database."""


def replace_atomically(path: Path, pieces: Iterable[Piece]) -> None:
    """Write the pieces one after another to `path`: temporary file, fsync, rename, fsync of the folder.

    Raises OSError; the old file is then untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb", opener=open_private) as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def open_private(path: str, flags: int) -> int:
    """An `opener` that makes new files readable by their owner alone."""
    return os.open(path, flags, 0o600)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable where the system can (Windows has no such call)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
