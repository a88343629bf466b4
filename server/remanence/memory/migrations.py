"""The database's shape, as a plain list of steps that only ever goes forward (as in simonw/llm)."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable

Migration = Callable[[sqlite3.Connection], None]


def m001_exchanges(connection: sqlite3.Connection) -> None:
    """Exchanges with what belongs to them: keywords, vectors, other sightings of the same text."""
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [
            ("revision", 0),
            ("identity_key", secrets.token_bytes(32)),
            ("tombstone_salt", secrets.token_bytes(32)),
            ("database_id", secrets.token_hex(8)),
        ],
    )
    connection.execute(
        """
        CREATE TABLE exchanges (
            row INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            content_hash BLOB NOT NULL,
            question_hash BLOB NOT NULL,
            tool TEXT NOT NULL,
            conversation_id TEXT NOT NULL,
            conversation_title TEXT,
            external_id TEXT,
            question TEXT NOT NULL,
            answer TEXT NOT NULL,
            status TEXT NOT NULL,
            asked_at INTEGER,
            answered_at INTEGER,
            model TEXT,
            workspace TEXT,
            uri TEXT,
            language_id TEXT,
            tags TEXT NOT NULL,
            origin TEXT,
            redactor_version INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            superseded_by TEXT,
            revision INTEGER NOT NULL,
            embedded_with TEXT,
            keyworded INTEGER NOT NULL DEFAULT 0
        )
        """
    )
    for index in (
        "exchanges_by_content ON exchanges (content_hash)",
        "exchanges_by_question ON exchanges (tool, conversation_id, question_hash)",
        "exchanges_by_conversation ON exchanges (conversation_id)",
        "exchanges_by_workspace ON exchanges (workspace)",
        "exchanges_by_successor ON exchanges (superseded_by) WHERE superseded_by IS NOT NULL",
        "exchanges_by_time ON exchanges (asked_at)",
        "exchanges_by_revision ON exchanges (revision)",
        "exchanges_by_embedder ON exchanges (embedded_with, row)",
        "exchanges_without_keywords ON exchanges (row) WHERE keyworded = 0",
    ):
        connection.execute(f"CREATE INDEX {index}")
    connection.execute(
        """
        CREATE TABLE keywords (
            row INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE,
            position INTEGER NOT NULL,
            phrase TEXT NOT NULL,
            score REAL NOT NULL,
            PRIMARY KEY (row, position)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE vectors (
            row INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE,
            model TEXT NOT NULL,
            revision INTEGER NOT NULL,
            vector BLOB NOT NULL,
            PRIMARY KEY (row, model)
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX vectors_by_revision ON vectors (model, revision)")
    connection.execute(
        """
        CREATE TABLE sightings (
            id TEXT PRIMARY KEY,
            row INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX sightings_by_row ON sightings (row)")
    connection.execute("CREATE TABLE deletions (revision INTEGER PRIMARY KEY, row INTEGER NOT NULL)")
    connection.execute(
        "CREATE TABLE tombstones ("
        "hash BLOB PRIMARY KEY, is_text INTEGER NOT NULL, created_at INTEGER NOT NULL)"
    )


def m002_jobs_and_sources(connection: sqlite3.Connection) -> None:
    """Long work that outlives a restart, and how far each source has been read."""
    connection.execute(
        """
        CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            state TEXT NOT NULL,
            request TEXT NOT NULL,
            progress REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            figures TEXT NOT NULL DEFAULT '{}',
            reasons TEXT NOT NULL DEFAULT '[]',
            error TEXT,
            interruptions INTEGER NOT NULL DEFAULT 0,
            created_at INTEGER NOT NULL,
            finished_at INTEGER
        )
        """
    )
    connection.execute(
        """
        CREATE TABLE sources (
            name TEXT PRIMARY KEY,
            enabled INTEGER NOT NULL,
            last_synced_at INTEGER
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE source_files (
            source TEXT NOT NULL,
            path TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            PRIMARY KEY (source, path)
        ) WITHOUT ROWID
        """
    )


def m003_vectors_of_pieces(connection: sqlite3.Connection) -> None:
    """Long exchanges get vectors of their pieces: embedded again, found by their one vector until then.

    A row's vectors stay one blob, one vector after another, the whole's first.
    """
    connection.execute(
        "UPDATE exchanges SET embedded_with = NULL WHERE length(question) + 1 + length(answer) > 1000"
    )


MIGRATIONS: tuple[Migration, ...] = (m001_exchanges, m002_jobs_and_sources, m003_vectors_of_pieces)
