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


def m004_facts(connection: sqlite3.Connection) -> None:
    """Facts, the exchanges that say them, and what was decided about them.

    A fact goes with the last exchange that says it, and its decisions with it; what it had superseded holds
    again until that is decided anew. An exchange whose text changed says nothing until it was read again,
    an answer that was replaced nothing any more.
    """
    connection.execute("ALTER TABLE exchanges ADD COLUMN facts_with TEXT")
    connection.execute("CREATE INDEX exchanges_by_facts ON exchanges (facts_with, row)")
    connection.execute(
        """
        CREATE TABLE facts (
            id TEXT PRIMARY KEY,
            text TEXT NOT NULL,
            subject TEXT NOT NULL,
            topic TEXT NOT NULL,
            value TEXT NOT NULL,
            words TEXT NOT NULL,
            language TEXT NOT NULL,
            valid_from INTEGER,
            valid_until INTEGER,
            confidence REAL NOT NULL,
            origin TEXT NOT NULL,
            single INTEGER NOT NULL,
            superseded_by TEXT,
            created_at INTEGER NOT NULL,
            decided_with TEXT,
            workspace TEXT NOT NULL
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        "CREATE INDEX facts_by_subject ON facts (subject COLLATE NOCASE, topic, workspace, valid_from)"
    )
    connection.execute("CREATE INDEX facts_by_end ON facts (valid_until)")
    connection.execute("CREATE INDEX facts_by_decision ON facts (decided_with)")
    connection.execute(
        """
        CREATE TABLE fact_sources (
            fact TEXT NOT NULL REFERENCES facts ON DELETE CASCADE,
            row INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE,
            said_at INTEGER NOT NULL,
            PRIMARY KEY (fact, row)
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX fact_sources_by_row ON fact_sources (row)")
    connection.execute(
        """
        CREATE TABLE decisions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            fact TEXT NOT NULL REFERENCES facts ON DELETE CASCADE,
            older TEXT NOT NULL REFERENCES facts ON DELETE CASCADE,
            action TEXT NOT NULL,
            reason TEXT NOT NULL,
            origin TEXT NOT NULL,
            state TEXT NOT NULL,
            before TEXT NOT NULL DEFAULT '{}',
            decided_at INTEGER NOT NULL,
            UNIQUE (fact, older)
        )
        """
    )
    connection.execute("CREATE INDEX decisions_by_older ON decisions (older)")
    connection.execute(
        """
        CREATE TRIGGER fact_without_source AFTER DELETE ON fact_sources
        WHEN NOT EXISTS (SELECT 1 FROM fact_sources WHERE fact = OLD.fact)
        BEGIN
            UPDATE facts SET superseded_by = NULL, valid_until = NULL, decided_with = NULL
                WHERE superseded_by = OLD.fact;
            DELETE FROM facts WHERE id = OLD.fact;
        END
        """
    )
    connection.execute(
        """
        CREATE TRIGGER text_with_other_facts AFTER UPDATE OF question, answer ON exchanges
        WHEN OLD.question IS NOT NEW.question OR OLD.answer IS NOT NEW.answer
        BEGIN
            DELETE FROM fact_sources WHERE row = NEW.row;
            UPDATE exchanges SET facts_with = NULL WHERE row = NEW.row;
        END
        """
    )
    connection.execute(
        """
        CREATE TRIGGER replaced_with_facts AFTER UPDATE OF superseded_by ON exchanges
        WHEN NEW.superseded_by IS NOT NULL AND OLD.superseded_by IS NULL
        BEGIN
            DELETE FROM fact_sources WHERE row = NEW.row;
            UPDATE exchanges SET facts_with = NULL WHERE row = NEW.row;
        END
        """
    )


def m005_adapters(connection: sqlite3.Connection) -> None:
    """Trained adapters, what each learned and from which exchanges, and which was on in turn.

    What was learned is kept when its exchange is forgotten: the adapter still knows it, and is marked.
    """
    connection.execute(
        """
        CREATE TABLE adapters (
            id TEXT PRIMARY KEY,
            base TEXT NOT NULL,
            base_hash TEXT NOT NULL,
            recipe_name TEXT NOT NULL,
            recipe TEXT NOT NULL,
            manifest TEXT NOT NULL,
            report TEXT,
            parent TEXT,
            state TEXT NOT NULL,
            is_outdated INTEGER NOT NULL DEFAULT 0,
            created_at INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )
    connection.execute("CREATE INDEX adapters_by_base ON adapters (base_hash, created_at)")
    connection.execute(
        """
        CREATE TABLE adapter_facts (
            adapter TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE,
            fact TEXT NOT NULL,
            exchange TEXT NOT NULL,
            PRIMARY KEY (adapter, fact, exchange)
        ) WITHOUT ROWID
        """
    )
    connection.execute(
        """
        CREATE TABLE adapter_turns (
            turn INTEGER PRIMARY KEY AUTOINCREMENT,
            base_hash TEXT NOT NULL,
            adapter TEXT REFERENCES adapters ON DELETE CASCADE
        )
        """
    )
    connection.execute("CREATE INDEX adapter_turns_by_base ON adapter_turns (base_hash, turn)")


def m006_usefulness(connection: sqlite3.Connection) -> None:
    """How often what was made of an exchange (a completion, a block of code) was taken."""
    connection.execute(
        """
        CREATE TABLE accepted (
            row INTEGER NOT NULL REFERENCES exchanges ON DELETE CASCADE,
            kind TEXT NOT NULL,
            times INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            PRIMARY KEY (row, kind)
        ) WITHOUT ROWID
        """
    )


def m007_purposes(connection: sqlite3.Connection) -> None:
    """What an adapter is for: answering from facts, or drawing them and deciding about them."""
    for table in ("adapters", "adapter_turns"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN purpose TEXT NOT NULL DEFAULT 'facts'")


MIGRATIONS: tuple[Migration, ...] = (
    m001_exchanges,
    m002_jobs_and_sources,
    m003_vectors_of_pieces,
    m004_facts,
    m005_adapters,
    m006_usefulness,
    m007_purposes,
)
