"""What is stored but not yet embedded, keyworded or indexed, and where the results are put."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.memory.database import Database, StoreError
from remanence.memory.units import pieces


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row's text as it stood at `revision`; results for an older text are thrown away."""

    row: int
    revision: int
    question: str
    answer: str

    @property
    def pieces(self) -> tuple[str, ...]:
        """What is embedded: the whole, and of a long one each piece. Cut anew at each call."""
        return pieces(self.question, self.answer)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A keyword of an exchange. `score` is its cosine to the exchange's vector."""

    phrase: str
    score: float


@dataclass(frozen=True, slots=True)
class LexicalRow:
    """What the lexical index holds of a row. `facts` are those that say it in other words than its own."""

    row: int
    revision: int
    question: str
    answer: str
    keywords: tuple[str, ...]
    title: str
    tool: str
    conversation_id: str
    workspace: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of rows: `numbers` int64 (n,), how many each has in `counts` int64 (n,), all of them in
    `values` float16 (sum of counts, d), unit norm, a row's whole first, up to `revision`.
    """

    numbers: NDArray[np.int64]
    values: NDArray[np.float16]
    counts: NDArray[np.int64]
    revision: int


def texts_of(waiting: Sequence[Waiting], most: int) -> tuple[list[Waiting], list[str], list[int]]:
    """The first of what waits, with their pieces one after another and how many of these each has: at
    most `most` pieces, but one row at least where there is one.
    """
    taken: list[Waiting] = []
    texts: list[str] = []
    counts: list[int] = []
    for item in waiting:
        own = item.pieces
        if taken and len(texts) + len(own) > most:
            break
        taken.append(item)
        texts += own
        counts.append(len(own))
    return taken, texts, counts


class Backlog:
    """The work queues of one database. They are queries, not lists: nothing is lost with a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def to_embed(self, model: str, limit: int) -> list[Waiting]:
        """The newest rows without a vector of this model."""
        # each part walks its own stretch of the index; asked as one, SQLite walks through every row
        records = self._database.reader().execute(
            """
            SELECT row, revision, question, answer FROM exchanges
            WHERE row IN (
                SELECT * FROM (
                    SELECT row FROM exchanges WHERE embedded_with IS NULL ORDER BY row DESC LIMIT :limit
                ) UNION ALL SELECT * FROM (
                    SELECT row FROM exchanges WHERE embedded_with < :model
                    ORDER BY embedded_with DESC, row DESC LIMIT :limit
                ) UNION ALL SELECT * FROM (
                    SELECT row FROM exchanges WHERE embedded_with > :model
                    ORDER BY embedded_with DESC, row DESC LIMIT :limit
                )
            ) ORDER BY row DESC LIMIT :limit
            """,
            {"model": model, "limit": limit},
        )
        return [Waiting(*record) for record in records]

    def count_to_embed(self, model: str) -> int:
        # what waits is counted, not what is done: that is nearly every row
        found = self._database.reader().execute(
            """
            SELECT (SELECT count(*) FROM exchanges WHERE embedded_with IS NULL)
                + (SELECT count(*) FROM exchanges WHERE embedded_with < ?)
                + (SELECT count(*) FROM exchanges WHERE embedded_with > ?)
            """,
            [model, model],
        )
        return int(found.fetchone()[0])

    def put_vectors(
        self, model: str, waiting: Sequence[Waiting], vectors: Sequence[NDArray[np.float32]]
    ) -> list[int]:
        """Store each row's vectors (u, d), as float16; the positions of the rows that were kept.

        A row that changed or went since it was read is left for the next round.
        """
        kept: list[int] = []
        with self._database.transaction() as connection:
            for position, (item, own) in enumerate(zip(waiting, vectors, strict=True)):
                changed = connection.execute(
                    "UPDATE exchanges SET embedded_with = ? WHERE row = ? AND question = ? AND answer = ?",
                    [model, item.row, item.question, item.answer],
                ).rowcount
                if changed:
                    halves = own.astype(np.float16).tobytes()
                    connection.execute(
                        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
                        [item.row, model, Database.next_revision(connection), halves],
                    )
                    kept.append(position)
        return kept

    def vectors(self, model: str, dimensions: int, after_revision: int, limit: int) -> Vectors:
        """The next rows' vectors of this model that were put after this revision, oldest first: at most
        `limit` vectors, but one row at least where there is one.

        Raises StoreError where a row's vectors are not of these dimensions.
        """
        numbers: list[int] = []
        blobs: list[bytes] = []
        revision, room = after_revision, 2 * dimensions * limit
        records = self._database.reader().execute(
            "SELECT row, revision, vector FROM vectors WHERE model = ? AND revision > ?"
            " ORDER BY revision LIMIT ?",
            [model, after_revision, limit],
        )
        with contextlib.closing(records):
            for record in records:
                blob: bytes = record["vector"]
                if not blob or len(blob) % (2 * dimensions):
                    raise StoreError(
                        f"A stored vector has not {dimensions} dimensions: run `remanence doctor --reembed`."
                    )
                if numbers and len(blob) > room:
                    break
                room -= len(blob)
                numbers.append(record["row"])
                blobs.append(blob)
                revision = int(record["revision"])
        sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
        values = np.frombuffer(b"".join(blobs), np.float16).reshape(-1, dimensions)
        return Vectors(np.array(numbers, np.int64), values, sizes // (2 * dimensions), revision)

    def count_vectors(self, model: str) -> int:
        found = self._database.reader().execute("SELECT count(*) FROM vectors WHERE model = ?", [model])
        return int(found.fetchone()[0])

    def without_vector(self, model: str, after_revision: int) -> list[int]:
        """Rows that changed or went after this revision and have no vector of this model (any more)."""
        records = self._database.reader().execute(
            """
            SELECT row FROM deletions WHERE revision > ?
            UNION SELECT row FROM exchanges AS e WHERE revision > ?
                AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.row = e.row AND v.model = ?)
            """,
            [after_revision, after_revision, model],
        )
        return [record[0] for record in records]

    def model_before(self, model: str) -> str | None:
        """The other model that has vectors here, the one with the most."""
        found = (
            self._database.reader()
            .execute(
                """
                SELECT model FROM (
                    SELECT model FROM vectors WHERE model < ?
                    UNION ALL SELECT model FROM vectors WHERE model > ?
                ) GROUP BY model ORDER BY count(*) DESC LIMIT 1
                """,
                [model, model],
            )
            .fetchone()
        )
        return found[0] if found else None

    def drop_other_vectors(self, model: str) -> int:
        """Remove the vectors of every other model, once all rows have one of this model."""
        with self._database.transaction() as connection:
            # not `<>`, which walks through every vector there is
            gone = connection.execute("DELETE FROM vectors WHERE model < ? OR model > ?", [model, model])
            return gone.rowcount

    def forget_vectors(self) -> None:
        """Drop every vector, so that each row is embedded again."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM vectors")
            connection.execute("UPDATE exchanges SET embedded_with = NULL")

    def to_keyword(
        self, model: str, dimensions: int, limit: int
    ) -> list[tuple[Waiting, NDArray[np.float16]]]:
        """The newest rows that have a vector of this model but no keywords yet, with the whole's vector."""
        records = self._database.reader().execute(
            """
            SELECT e.row, e.revision, e.question, e.answer, substr(v.vector, 1, ?)
            FROM exchanges AS e CROSS JOIN vectors AS v ON v.row = e.row AND v.model = ?
            WHERE e.keyworded = 0 ORDER BY e.row DESC LIMIT ?
            """,
            [2 * dimensions, model, limit],
        )
        return [(Waiting(*record[:4]), np.frombuffer(record[4], np.float16)) for record in records]

    def count_to_keyword(self) -> int:
        found = self._database.reader().execute("SELECT count(*) FROM exchanges WHERE keyworded = 0")
        return int(found.fetchone()[0])

    def put_keywords(self, keyworded: Sequence[tuple[Waiting, Sequence[Phrase]]]) -> None:
        """Store keywords; a row with none is marked done too. Changes the rows' revision."""
        with self._database.transaction() as connection:
            for item, phrases in keyworded:
                changed = connection.execute(
                    "UPDATE exchanges SET keyworded = 1 WHERE row = ? AND question = ? AND answer = ?",
                    [item.row, item.question, item.answer],
                ).rowcount
                if not changed:
                    continue
                connection.execute("DELETE FROM keywords WHERE row = ?", [item.row])
                connection.executemany(
                    "INSERT INTO keywords VALUES (?, ?, ?, ?)",
                    [(item.row, i, phrase.phrase, phrase.score) for i, phrase in enumerate(phrases)],
                )
                connection.execute(
                    "UPDATE exchanges SET revision = ? WHERE row = ?",
                    [Database.next_revision(connection), item.row],
                )

    def changed(self, after_revision: int, limit: int) -> list[LexicalRow]:
        """The next rows that changed after this revision, oldest change first, with their keywords."""
        records = self._database.reader().execute(
            """
            SELECT row, revision, question, answer,
                coalesce((SELECT group_concat(phrase, char(31)) FROM
                    (SELECT phrase FROM keywords WHERE row = e.row ORDER BY position)), '') AS phrases,
                coalesce(conversation_title, '') AS title, tool, conversation_id,
                coalesce(workspace, '') AS workspace,
                coalesce((SELECT group_concat(f.text, char(31)) FROM fact_sources AS s JOIN facts AS f
                    ON f.id = s.fact WHERE s.row = e.row AND rtrim(f.text, '.') <> rtrim(f.words, '.')), '')
                    AS facts
            FROM exchanges AS e WHERE revision > ? ORDER BY revision LIMIT ?
            """,
            [after_revision, limit],
        )
        return [
            LexicalRow(
                row=record["row"],
                revision=record["revision"],
                question=record["question"],
                answer=record["answer"],
                keywords=tuple(phrase for phrase in record["phrases"].split("\x1f") if phrase),
                title=record["title"],
                tool=record["tool"],
                conversation_id=record["conversation_id"],
                workspace=record["workspace"],
                facts=tuple(fact for fact in record["facts"].split("\x1f") if fact),
            )
            for record in records
        ]

    def deleted(self, after_revision: int) -> list[int]:
        """Rows removed after this revision."""
        records = self._database.reader().execute(
            "SELECT row FROM deletions WHERE revision > ? ORDER BY revision", [after_revision]
        )
        return [record[0] for record in records]
