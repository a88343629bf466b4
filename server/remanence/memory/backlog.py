"""What is stored but not yet embedded, keyworded or indexed, and where the results are put."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.memory.database import Database


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row's text as it stood at `revision`; results for an older text are thrown away."""

    row: int
    revision: int
    question: str
    answer: str

    @property
    def text(self) -> str:
        """What is embedded: question and answer in one, as in the prototype that the design measured."""
        return f"{self.question}\n{self.answer}"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A keyword of an exchange. `score` is its cosine to the exchange's vector."""

    phrase: str
    score: float


@dataclass(frozen=True, slots=True)
class LexicalRow:
    """What the lexical index holds of a row."""

    row: int
    revision: int
    question: str
    answer: str
    keywords: tuple[str, ...]
    title: str
    tool: str
    conversation_id: str
    workspace: str


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of rows: `numbers` int64 (n,), `values` float16 (n, d), unit norm, up to `revision`."""

    numbers: NDArray[np.int64]
    values: NDArray[np.float16]
    revision: int


class Backlog:
    """The work queues of one database. They are queries, not lists: nothing is lost with a process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def to_embed(self, model: str, limit: int) -> list[Waiting]:
        """The newest rows without a vector of this model."""
        records = self._database.reader().execute(
            """
            SELECT row, revision, question, answer FROM exchanges
            WHERE row IN (
                SELECT row FROM exchanges WHERE embedded_with IS NULL
                UNION ALL SELECT row FROM exchanges WHERE embedded_with < ?
                UNION ALL SELECT row FROM exchanges WHERE embedded_with > ?
                ORDER BY row DESC LIMIT ?
            ) ORDER BY row DESC
            """,
            [model, model, limit],
        )
        return [Waiting(*record) for record in records]

    def count_to_embed(self, model: str) -> int:
        reader = self._database.reader()
        every = reader.execute("SELECT count(*) FROM exchanges").fetchone()[0]
        done = reader.execute("SELECT count(*) FROM exchanges WHERE embedded_with = ?", [model]).fetchone()[0]
        return int(every) - int(done)

    def put_vectors(self, model: str, waiting: Sequence[Waiting], vectors: NDArray[np.float32]) -> list[int]:
        """Store vectors, float16, with the rows they belong to; the positions of those that were kept.

        A row that changed or went since it was read is left for the next round.
        """
        halves = vectors.astype(np.float16)
        kept: list[int] = []
        with self._database.transaction() as connection:
            for position, item in enumerate(waiting):
                changed = connection.execute(
                    "UPDATE exchanges SET embedded_with = ? WHERE row = ? AND question = ? AND answer = ?",
                    [model, item.row, item.question, item.answer],
                ).rowcount
                if changed:
                    connection.execute(
                        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
                        [item.row, model, Database.next_revision(connection), halves[position].tobytes()],
                    )
                    kept.append(position)
        return kept

    def vectors(self, model: str, after_revision: int, limit: int) -> Vectors:
        """The next vectors of this model that were put after this revision, oldest first."""
        records = (
            self._database.reader()
            .execute(
                "SELECT row, revision, vector FROM vectors WHERE model = ? AND revision > ?"
                " ORDER BY revision LIMIT ?",
                [model, after_revision, limit],
            )
            .fetchall()
        )
        if not records:
            return Vectors(np.empty(0, np.int64), np.empty((0, 0), np.float16), after_revision)
        values = np.frombuffer(b"".join(record["vector"] for record in records), np.float16)
        numbers = np.fromiter((record["row"] for record in records), np.int64, len(records))
        return Vectors(numbers, values.reshape(len(records), -1), int(records[-1]["revision"]))

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
                "SELECT model FROM vectors WHERE model <> ? GROUP BY model ORDER BY count(*) DESC LIMIT 1",
                [model],
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

    def to_keyword(self, model: str, limit: int) -> list[tuple[Waiting, NDArray[np.float16]]]:
        """The newest rows that have a vector of this model but no keywords yet, with that vector."""
        records = self._database.reader().execute(
            """
            SELECT e.row, e.revision, e.question, e.answer, v.vector
            FROM exchanges AS e JOIN vectors AS v ON v.row = e.row AND v.model = ?
            WHERE e.keyworded = 0 ORDER BY e.row DESC LIMIT ?
            """,
            [model, limit],
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
                coalesce(workspace, '') AS workspace
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
            )
            for record in records
        ]

    def deleted(self, after_revision: int) -> list[int]:
        """Rows removed after this revision."""
        records = self._database.reader().execute(
            "SELECT row FROM deletions WHERE revision > ? ORDER BY revision", [after_revision]
        )
        return [record[0] for record in records]
