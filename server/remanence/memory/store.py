"""Exchanges in the database: captured once, grown in place, superseded, forgotten for good."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from remanence.memory.database import Database
from remanence.memory.exchange import Exchange, Status
from remanence.memory.identity import Identity, exchange_id, is_grown
from remanence.memory.rows import Row, Scope, Turn
from remanence.memory.scopes import Scopes, conditions
from remanence.memory.timestamps import now_ms

Outcome = Literal["stored", "duplicate", "updated", "ignored"]
_LOOKED_THROUGH = 5000  # rows in which what was just captured is looked for behind those of an import
_COLUMNS = (
    "row, id, question, answer, tool, conversation_id, conversation_title, external_id,"
    " asked_at, answered_at, created_at, model, workspace, uri, language_id, tags, superseded_by"
)
_BATCH = 500  # host parameters in one statement, below SQLite's historic limit of 999


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of one exchange. `id` is the row that now holds its text."""

    id: str
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An exchange ready to be stored: already redacted, and named."""

    exchange: Exchange
    identity: Identity
    redactor_version: int


class Store:
    """The exchanges of one database. Implements `rows.Rows`. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.identity_key = self._secret("identity_key")
        self._salt = self._secret("tombstone_salt")
        self._scopes = Scopes(database)
        self._counted = (-1, 0)  # at a revision, so many

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open or create the database at `path`. Raises StoreError in words."""
        return cls(Database(path))

    def close(self) -> None:
        self.database.close()

    # Writing

    def capture(
        self,
        candidates: Iterable[Candidate],
        then: Callable[[sqlite3.Connection, list[Captured]], None] | None = None,
    ) -> list[Captured]:
        """Store exchanges in one transaction, durable when this returns. Raises StoreError.

        `then` writes in the same transaction what must not be apart from it.
        """
        with self.database.transaction() as connection:
            captured = [self._capture(connection, candidate) for candidate in candidates]
            if then is not None:
                then(connection, captured)
            return captured

    def _capture(self, connection: sqlite3.Connection, candidate: Candidate) -> Captured:
        exchange, identity = candidate.exchange, candidate.identity
        if self._is_forgotten(connection, identity):
            return Captured(identity.id, "ignored", "it was forgotten")
        if exchange.status is Status.UNANSWERED or not exchange.answer.strip():
            return Captured(identity.id, "ignored", "it has no answer yet")
        known = self._same_turn(connection, identity, exchange)
        if known is not None:
            if known["content_hash"] == identity.content_hash:
                if known["status"] != exchange.status and exchange.status is Status.COMPLETE:
                    connection.execute(
                        "UPDATE exchanges SET status = ? WHERE row = ?", [exchange.status, known["row"]]
                    )
                return Captured(known["id"], "duplicate")
            if known["question_hash"] == identity.question_hash:
                if is_grown(known["answer"], exchange.answer) or known["status"] != Status.COMPLETE:
                    self._update(connection, int(known["row"]), candidate)
                    return Captured(known["id"], "updated")
                if is_grown(exchange.answer, known["answer"]):
                    return Captured(known["id"], "duplicate", "a longer answer is already stored")
        same_text = connection.execute(
            "SELECT row, id FROM exchanges WHERE content_hash = ? ORDER BY row LIMIT 1",
            [identity.content_hash],
        ).fetchone()
        if same_text is not None:
            connection.execute(
                "INSERT OR REPLACE INTO sightings VALUES (?, ?)", [identity.id, same_text["row"]]
            )
            return Captured(same_text["id"], "duplicate")
        connection.execute("DELETE FROM sightings WHERE id = ?", [identity.id])
        if known is not None and not identity.by_content:
            self._supersede(connection, known, identity.id)
        self._insert(connection, candidate)
        return Captured(identity.id, "stored")

    def _same_turn(
        self, connection: sqlite3.Connection, identity: Identity, exchange: Exchange
    ) -> sqlite3.Row | None:
        columns = "SELECT row, id, content_hash, question_hash, answer, status FROM exchanges"
        if identity.by_content:  # the latest answer to this question may be this one, half written
            return connection.execute(
                f"{columns} WHERE tool = ? AND conversation_id = '' AND question_hash = ?"
                " ORDER BY row DESC LIMIT 1",
                [exchange.tool, identity.question_hash],
            ).fetchone()
        return connection.execute(f"{columns} WHERE id = ?", [identity.id]).fetchone()

    def _insert(self, connection: sqlite3.Connection, candidate: Candidate) -> None:
        exchange, identity, now = candidate.exchange, candidate.identity, now_ms()
        connection.execute(
            """
            INSERT INTO exchanges (
                id, content_hash, question_hash, tool, conversation_id, conversation_title, external_id,
                question, answer, status, asked_at, answered_at, model, workspace, uri, language_id, tags,
                origin, redactor_version, created_at, updated_at, revision
            ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                *(identity.id, identity.content_hash, identity.question_hash),
                *(exchange.tool, exchange.conversation_id, exchange.conversation_title, exchange.external_id),
                *(exchange.question, exchange.answer, exchange.status),
                *(exchange.asked_at, exchange.answered_at, exchange.model),
                *(exchange.workspace, exchange.uri, exchange.language_id),
                json.dumps(exchange.tags, ensure_ascii=False),
                *(exchange.origin, candidate.redactor_version, now, now, Database.next_revision(connection)),
            ],
        )

    def _update(self, connection: sqlite3.Connection, row: int, candidate: Candidate) -> None:
        exchange, identity = candidate.exchange, candidate.identity
        connection.execute(
            """
            UPDATE exchanges SET content_hash = ?, question = ?, answer = ?, status = ?,
                answered_at = coalesce(?, answered_at), model = coalesce(?, model), redactor_version = ?,
                updated_at = ?, revision = ?, embedded_with = NULL, keyworded = 0
            WHERE row = ?
            """,
            [
                *(identity.content_hash, exchange.question, exchange.answer, exchange.status),
                *(exchange.answered_at, exchange.model, candidate.redactor_version),
                *(now_ms(), Database.next_revision(connection), row),
            ],
        )
        connection.execute("DELETE FROM vectors WHERE row = ?", [row])
        connection.execute("DELETE FROM keywords WHERE row = ?", [row])

    def _supersede(self, connection: sqlite3.Connection, known: sqlite3.Row, successor: str) -> None:
        old_id = exchange_id("superseded", known["id"], bytes(known["content_hash"]).hex())
        if connection.execute("SELECT 1 FROM exchanges WHERE id = ?", [old_id]).fetchone() is not None:
            # a version before it said the same: this one grew until it did too
            old_id = exchange_id("superseded", old_id, str(known["row"]))
        connection.execute(
            "UPDATE exchanges SET id = ?, superseded_by = ?, revision = ? WHERE row = ?",
            [old_id, successor, Database.next_revision(connection), known["row"]],
        )

    def forget(self, ids: Sequence[str]) -> list[int]:
        """Remove these exchanges, their earlier answers and all that was made of them; the row numbers.

        A salted hash of each id and text stays behind, so that no import brings them back.
        """
        with self.database.transaction() as connection:
            found = {
                int(version["row"]): version for named in ids for version in _versions(connection, named)
            }
            for version in found.values():
                self._forget(connection, version)
        if found:
            self.database.checkpoint()
        return list(found)

    def count_versions(self, ids: Sequence[str]) -> int:
        """How many rows `forget` would remove."""
        connection = self.database.reader()
        return len({int(version["row"]) for named in ids for version in _versions(connection, named)})

    def _forget(self, connection: sqlite3.Connection, version: sqlite3.Row) -> None:
        row = int(version["row"])
        sighted = connection.execute("SELECT id FROM sightings WHERE row = ?", [row]).fetchall()
        turns = [version["id"].encode(), *(other["id"].encode() for other in sighted)]
        marks = [(turn, False) for turn in turns] + [(bytes(version["content_hash"]), True)]
        connection.executemany(
            "INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?)",
            [(self._salted(mark), is_text, now_ms()) for mark, is_text in marks],
        )
        connection.execute("DELETE FROM exchanges WHERE row = ?", [row])
        connection.execute("INSERT INTO deletions VALUES (?, ?)", [Database.next_revision(connection), row])

    def _is_forgotten(self, connection: sqlite3.Connection, identity: Identity) -> bool:
        hashes = [self._salted(identity.id.encode()), self._salted(identity.content_hash)]
        return (
            connection.execute("SELECT 1 FROM tombstones WHERE hash IN (?, ?)", hashes).fetchone() is not None
        )

    def _salted(self, mark: bytes) -> bytes:
        return hashlib.blake2b(mark, key=self._salt, digest_size=24).digest()

    # Reading

    def get(self, exchange: str) -> Row | None:
        """The exchange with this id, or the one that stands for it where the same text was seen before."""
        found = (
            self.database.reader()
            .execute(
                "SELECT row FROM exchanges WHERE id = ? UNION ALL SELECT row FROM sightings WHERE id = ?",
                [exchange, exchange],
            )
            .fetchone()
        )
        rows = self.rows([int(found["row"])]) if found else []
        return rows[0] if rows else None

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """See `rows.Rows`."""
        wanted = [int(number) for number in numbers]
        found: dict[int, Row] = {}
        cursor = _tuples(self.database.reader())
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            marks = ",".join("?" * len(batch))
            phrases: dict[int, list[str]] = {}
            for row, phrase in cursor.execute(
                f"SELECT row, phrase FROM keywords WHERE row IN ({marks}) ORDER BY row, position", batch
            ):
                phrases.setdefault(row, []).append(phrase)
            for record in cursor.execute(f"SELECT {_COLUMNS} FROM exchanges WHERE row IN ({marks})", batch):
                found[record[0]] = _row(record, tuple(phrases.get(record[0], ())))
        return [found[number] for number in wanted if number in found]

    def turns(self, numbers: Sequence[int]) -> dict[int, Turn]:
        """See `rows.Rows`."""
        wanted = [int(number) for number in numbers]
        found: dict[int, Turn] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            records = _tuples(self.database.reader()).execute(
                f"""
                SELECT row, (
                    SELECT earlier.row FROM exchanges AS earlier
                    WHERE earlier.conversation_id = this.conversation_id AND earlier.row < this.row
                    ORDER BY earlier.row DESC LIMIT 1
                ), (
                    SELECT later.row FROM exchanges AS later
                    WHERE later.conversation_id = this.conversation_id AND later.row > this.row
                    ORDER BY later.row LIMIT 1
                ), length(question) + length(answer)
                FROM exchanges AS this WHERE row IN ({",".join("?" * len(batch))}) AND conversation_id <> ''
                """,
                batch,
            )
            found |= {row: Turn(before, after, length) for row, before, after, length in records}
        return found

    def unindexed(self, after_revision: int, limit: int) -> list[Row]:
        """See `rows.Rows`. Without what an import stored: that is thousands of rows, and nobody waits for
        one of them; what a door captured comes from no file and may be asked for at once."""
        records = self.database.reader().execute(
            f"""
            SELECT {_COLUMNS} FROM exchanges
            WHERE row IN (SELECT row FROM exchanges WHERE revision > ? ORDER BY revision DESC LIMIT ?)
                AND origin IS NULL
            ORDER BY revision DESC LIMIT ?
            """,
            [after_revision, _LOOKED_THROUGH, limit],
        )
        return [_row(record, ()) for record in records]

    def scope(self, scope: Scope) -> NDArray[np.int64]:
        """See `rows.Rows`."""
        return self._scopes.rows(scope)

    def workspace_of(self, path: str) -> str | None:
        """The project folder, among those that memories come from, that this path lies in; the nearest."""
        connection = self.database.reader()
        for folder in PurePath(path).parents:
            known = "SELECT 1 FROM exchanges WHERE workspace = ? LIMIT 1"
            if connection.execute(known, [str(folder)]).fetchone() is not None:
                return str(folder)
        return None

    def ids(self, scope: Scope) -> list[str]:
        """The ids within the scope, oldest row first."""
        where, values = conditions(scope)
        records = self.database.reader().execute(
            f"SELECT id FROM exchanges WHERE {where} ORDER BY row", values
        )
        return [record[0] for record in records]

    def count(self) -> int:
        """How many exchanges there are."""
        revision = self.revision()  # read first: what is stored meanwhile is counted the next time
        counted = self._counted
        if counted[0] != revision:
            found = self.database.reader().execute("SELECT count(*) FROM exchanges").fetchone()
            counted = self._counted = (revision, int(found[0]))
        return counted[1]

    def count_changed(self, after_revision: int) -> int:
        """How many exchanges changed after this revision."""
        found = self.database.reader().execute(
            "SELECT count(*) FROM exchanges WHERE revision > ?", [after_revision]
        )
        return int(found.fetchone()[0])

    def count_forgotten(self) -> int:
        """How many exchanges were ever forgotten here."""
        found = self.database.reader().execute("SELECT count(*) FROM tombstones WHERE is_text")
        return int(found.fetchone()[0])

    def revision(self) -> int:
        """The number of the newest change; each index says up to which one it is complete."""
        return self.database.revision()

    def _secret(self, key: str) -> bytes:
        found = self.database.reader().execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
        return bytes(found[0])


def _versions(connection: sqlite3.Connection, exchange: str) -> list[sqlite3.Row]:
    """The exchange and the earlier answers that it replaced."""
    return connection.execute(
        """
        WITH RECURSIVE versions (row, id, content_hash) AS (
            SELECT row, id, content_hash FROM exchanges WHERE id = ?
            UNION
            SELECT older.row, older.id, older.content_hash
            FROM exchanges AS older JOIN versions ON older.superseded_by = versions.id
        ) SELECT * FROM versions
        """,
        [exchange],
    ).fetchall()


def _tuples(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """A cursor that gives plain tuples: to unpack a `sqlite3.Row` takes twice as long."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def _row(record: Sequence[Any], keywords: tuple[str, ...]) -> Row:
    """A row from its `_COLUMNS`: to ask for each by its name takes three times as long."""
    row, id, question, answer, tool, conversation_id, title, external_id, *rest = record
    asked_at, answered_at, created_at, model, workspace, uri, language_id, tags, superseded_by = rest
    return Row(
        row=row,
        id=id,
        question=question,
        answer=answer,
        tool=tool,
        conversation_id=conversation_id,
        conversation_title=title,
        external_id=external_id,
        asked_at=asked_at,
        answered_at=answered_at,
        created_at=created_at,
        model=model,
        workspace=workspace,
        uri=uri,
        language_id=language_id,
        tags=tuple(json.loads(tags)) if tags != "[]" else (),
        keywords=keywords,
        superseded_by=superseded_by,
    )
