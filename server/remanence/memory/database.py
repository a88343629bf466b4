"""The SQLite file: one writer at a time, readers that never wait for it, steps that only go forward."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Generator
from pathlib import Path

from remanence.memory.migrations import MIGRATIONS

# Each thread has its own; rows are read from anywhere and once, and the system caches them too.
_READER_CACHE_KB = 512


class StoreError(Exception):
    """The database cannot do what was asked; the message says why and what to do."""


class Database:
    """Connections to one database file. Safe to use from several threads.

    WAL mode with `synchronous=FULL`: a transaction that has returned survives a power cut.
    `secure_delete` overwrites what is deleted, so that forgetting leaves no text in free pages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.RLock()
        self._readers = threading.local()
        self._open_readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            self._writer = self._connect()
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise StoreError(_in_words(error, path)) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.row_factory = sqlite3.Row
        connection.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            PRAGMA foreign_keys = ON;
            PRAGMA secure_delete = ON;
            PRAGMA cache_size = -2048;
            PRAGMA temp_store = MEMORY;
            """
        )
        return connection

    def _migrate(self) -> None:
        version = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} was written by a newer Remanence (format {version}, this one knows "
                f"{len(MIGRATIONS)}). Upgrade Remanence, or set REMANENCE_HOME to another folder."
            )
        for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
            with self.transaction() as connection:
                step(connection)
                connection.execute(f"PRAGMA user_version = {number}")

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """The writing connection inside a transaction: committed on return, rolled back on an error.

        Raises StoreError where SQLite refuses (a full disk, a damaged file).
        """
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    self._writer.rollback()
                    raise
                self._writer.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                if self._writer.in_transaction:
                    self._writer.rollback()
                if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                    raise
                raise StoreError(_in_words(error, self.path)) from error

    def reader(self) -> sqlite3.Connection:
        """This thread's own reading connection; it sees every committed transaction."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KB}")
            self._readers.connection = connection
            with self._readers_lock:
                self._open_readers.append(connection)
        return connection

    def revision(self) -> int:
        """The number of the newest change."""
        found = self.reader().execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()
        return int(found[0])

    @staticmethod
    def next_revision(connection: sqlite3.Connection) -> int:
        """Count one more change, within the caller's transaction."""
        found = connection.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'revision' RETURNING value"
        ).fetchone()
        return int(found[0])

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database and empty it, so that it holds no old text."""
        with self._write_lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum(self) -> int:
        """Rewrite the file without free space; the bytes given back. Raises StoreError (a full disk)."""
        with self._write_lock:
            before = self.size()
            try:
                self._writer.execute("VACUUM")
                self.checkpoint()
            except sqlite3.DatabaseError as error:
                raise StoreError(_in_words(error, self.path)) from error
            return max(0, before - self.size())

    def problems(self) -> list[str]:
        """What SQLite's own check finds wrong; empty when sound."""
        try:
            rows = self.reader().execute("PRAGMA quick_check(10)").fetchall()
            broken = self.reader().execute("PRAGMA foreign_key_check").fetchmany(10)
        except sqlite3.DatabaseError as error:
            return [_in_words(error, self.path)]
        found = [str(row[0]) for row in rows if row[0] != "ok"]
        return found + [f"a row of {row[0]} belongs to nothing" for row in broken]

    def size(self) -> int:
        """Bytes on disk, the write-ahead log included."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        with self._write_lock, self._readers_lock:
            for connection in self._open_readers:
                connection.close()
            self._open_readers.clear()
            self._writer.close()


def _in_words(error: sqlite3.DatabaseError, path: Path) -> str:
    text = str(error)
    if "full" in text:
        return (
            f"The disk that holds {path.parent} is full: nothing was stored. Free some space and try again."
        )
    if "malformed" in text or "not a database" in text:
        return (
            f"{path} is damaged ({text}). Move it away and restore a backup; "
            "`sqlite3 memory.db .recover` may save what it still holds."
        )
    if "readonly" in text or "unable to open" in text:
        return f"{path} cannot be written ({text}). Check the folder's permissions."
    return f"The database refused ({text})."
