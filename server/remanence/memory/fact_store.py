"""Facts in the database: said by exchanges, superseded rather than overwritten, with a log to undo by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from remanence.memory.database import Database
from remanence.memory.fact import Draft, Fact
from remanence.memory.fact_writing import Action, Verdict, put, say, settle
from remanence.memory.rows import Row
from remanence.memory.store import Store

__all__ = ["Action", "Decision", "FactStore", "State", "Unread", "Verdict"]

State = Literal["done", "pending", "undone"]

_OWN = (
    "f.id, f.text, f.subject, f.topic, f.value, f.words, f.language, f.valid_from, f.valid_until,"
    " f.confidence, f.origin, f.single, f.superseded_by, f.created_at, f.workspace"
)
_UNSAID = f"{_OWN}, '[]' AS exchanges, NULL AS last_said, NULL AS last_row"
_COLUMNS = (
    f"{_OWN},"
    " (SELECT json_group_array(e.id) FROM (SELECT row FROM fact_sources WHERE fact = f.id ORDER BY row) AS s"
    " JOIN exchanges AS e ON e.row = s.row) AS exchanges,"
    " (SELECT max(said_at) FROM fact_sources WHERE fact = f.id) AS last_said,"
    " (SELECT row FROM fact_sources WHERE fact = f.id ORDER BY said_at DESC, row DESC LIMIT 1) AS last_row"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An exchange whose facts were not drawn yet. One that a newer answer `replaced` says nothing."""

    row: int
    question: str
    answer: str
    time: int
    redactor_version: int
    replaced: bool = False
    workspace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An exchange whose facts were drawn, by a `reader` (see FactStore)."""

    row: int
    id: str
    question: str
    answer: str
    time: int
    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about an `older` fact when `fact` came; `origin` is the rules or a model's name.
    `text_before` is what `fact` said until then, where the decision had it say something else.

    "update": the older one was superseded. "delete": it no longer holds, and nothing stands for it.
    "ignore": both hold. One that is pending waits for an answer that could be read.
    """

    id: int
    fact: str
    older: str
    action: Action
    reason: str
    origin: str
    state: State
    decided_at: int
    text_before: str | None = None


class FactStore:
    """Facts and decisions of one database. Safe to use from several threads. Writing raises StoreError.

    A `reader` is the rules' version, or that and "+" and a model's name: what it has read, the rules alone
    need not read again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # Drawing facts from exchanges

    def unread(self, reader: str, limit: int) -> list[Unread]:
        """Exchanges that `reader` has not read, the newest first: those that nobody has, then the others."""
        found: list[Unread] = []
        for where, values in _not_with("facts_with", reader):
            if len(found) < limit:
                found += self._unread_where(where, [*values, limit - len(found)])
        return found

    def count_unread(self, reader: str) -> int:
        """How many exchanges wait to be read."""
        return sum(
            self._count("exchanges", where, values) for where, values in _not_with("facts_with", reader)
        )

    def put(self, row: int, drafts: Iterable[Draft], reader: str) -> list[str]:
        """Store what an exchange says, in place of what it said before; gives the ids that are new or hold
        again. One that is gone meanwhile says nothing."""
        with self._database.transaction() as connection:
            return put(connection, row, drafts, reader)

    def put_all(self, read: Sequence[tuple[Unread, Sequence[Draft]]], reader: str) -> list[str]:
        """The same for several, at once. One whose text changed since it was read is left for the next
        round."""
        new: list[str] = []
        with self._database.transaction() as connection:
            for each, drafts in read:
                same = connection.execute(
                    "SELECT 1 FROM exchanges WHERE row = ? AND question = ? AND answer = ?",
                    [each.row, each.question, each.answer],
                )
                if same.fetchone() is not None:
                    new += put(connection, each.row, drafts, reader)
        return new

    # Reading

    def get(self, fact: str) -> Fact | None:
        """One fact by its id."""
        found = self._select("WHERE f.id = ?", [fact])
        return found[0] if found else None

    def get_all(self, facts: Sequence[str], *, sources: bool = True) -> list[Fact]:
        """Those of these facts that there are, in this order.

        Without their `sources` nothing is read of who says each and when: for a fact that hundreds of
        exchanges say that takes milliseconds.
        """
        found = self._select(
            "WHERE f.id IN (SELECT value FROM json_each(?))",
            [json.dumps(list(facts))],
            _COLUMNS if sources else _UNSAID,
        )
        by_id = {fact.id: fact for fact in found}
        return [by_id[fact] for fact in facts if fact in by_id]

    def of_exchanges(self, rows: Sequence[int], *, sources: bool = True) -> dict[int, list[Fact]]:
        """What each of these rows says; `sources` as in `get_all`."""
        said = self._database.reader().execute(
            "SELECT row, fact FROM fact_sources WHERE row IN (SELECT value FROM json_each(?))"
            " ORDER BY row, fact",
            [json.dumps(list(rows))],
        )
        pairs = [(int(row), str(fact)) for row, fact in said]
        facts = self.get_all([fact for _, fact in pairs], sources=sources) if pairs else []
        known = {fact.id: fact for fact in facts}
        found: dict[int, list[Fact]] = {}
        for row, fact in pairs:
            if fact in known:  # else it went between the two questions
                found.setdefault(row, []).append(known[fact])
        return found

    def read(self, limit: int) -> list[Read]:
        """Exchanges whose facts were drawn and whose answer stands, the newest first."""
        found = self._database.reader().execute(
            "SELECT row, id, question, answer, coalesce(asked_at, answered_at, created_at) AS time,"
            " facts_with AS reader FROM exchanges WHERE facts_with IS NOT NULL AND superseded_by IS NULL"
            " ORDER BY row DESC LIMIT ?",
            [limit],
        )
        return [Read(**dict(each)) for each in found]

    def exchange(self, exchange: str) -> Row | None:
        """An exchange that says a fact, as it is remembered."""
        return Store(self._database).get(exchange)

    def current(self, limit: int = 1000, after: str = "") -> list[Fact]:
        """Facts that hold, in the order of their ids, from behind `after`."""
        return self._select("WHERE f.valid_until IS NULL AND f.id > ? ORDER BY f.id LIMIT ?", [after, limit])

    def superseded(self, limit: int = 1000, after: str = "") -> list[Fact]:
        """Facts that hold no more, in the order of their ids, from behind `after`."""
        return self._select(
            "WHERE f.valid_until IS NOT NULL AND f.id > ? ORDER BY f.id LIMIT ?", [after, limit]
        )

    def search(self, text: str, limit: int = 100, *, current: bool | None = None) -> list[Fact]:
        """Facts that hold the text in what they say, those said last first; of those that hold, or not, or
        all."""
        held = {None: "", True: " AND f.valid_until IS NULL", False: " AND f.valid_until IS NOT NULL"}[
            current
        ]
        where = f"(instr(lower(f.text), lower(?1)) OR instr(lower(f.subject), lower(?1))){held}"
        return self._select(f"WHERE {where} ORDER BY last_said DESC, f.id LIMIT ?2", [text, limit])

    def rivals(self, fact: Fact, limit: int = 64) -> list[Fact]:
        """Other facts of the same subject, topic and workspace, whether they hold or not: of many those that
        began to hold just before and after it. The last said first."""
        kind = [fact.subject, fact.topic, fact.workspace, fact.valid_from or 0, limit // 2]
        alike = "SELECT id FROM facts WHERE subject = ? COLLATE NOCASE AND topic = ? AND workspace = ?"
        return self._select(
            "WHERE f.id != ? AND f.id IN"
            f" (SELECT * FROM ({alike} AND valid_from >= ? ORDER BY valid_from LIMIT ?)"
            f" UNION ALL SELECT * FROM ({alike} AND valid_from < ? ORDER BY valid_from DESC LIMIT ?))"
            " ORDER BY last_said DESC, last_row DESC, f.id",
            [fact.id, *kind, *kind],
        )

    def count(self) -> int:
        """How many hold."""
        return self._count("facts", "valid_until IS NULL", [])

    # Decisions

    def undecided(self, by: str, limit: int) -> list[Fact]:
        """Facts that `by` (see `reader`) has not compared with the others of their kind."""
        found: list[Fact] = []
        for where, values in _not_with("f.decided_with", by):
            if len(found) < limit:
                found += self._select(f"WHERE {where} LIMIT ?", [*values, limit - len(found)])
        return found

    def count_undecided(self, by: str) -> int:
        """How many facts wait for that."""
        return sum(self._count("facts", where, values) for where, values in _not_with("decided_with", by))

    def settle(self, verdicts: Iterable[Verdict], decided: Sequence[str] = (), by: str = "") -> int:
        """Note decisions and, unless pending, do them, at once: an older fact ends where the newer one was
        said next. Facts `decided` are not handed out to `by` again. How many were new.

        One about the same two takes the place of what was pending or undone.
        """
        with self._database.transaction() as connection:
            done = sum(settle(connection, verdict) for verdict in verdicts)
            connection.executemany(
                "UPDATE facts SET decided_with = ? WHERE id = ?", [(by, fact) for fact in decided]
            )
        return done

    def compare_again(self, then: Callable[[sqlite3.Connection], None]) -> None:
        """Have every fact compared with the others anew; `then` writes in the same transaction."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE facts SET decided_with = NULL WHERE decided_with IS NOT NULL")
            then(connection)

    def decide(
        self, fact: str, older: str, action: Action, reason: str, origin: str, *, pending: bool = False
    ) -> None:
        """One decision, see `settle`."""
        self.settle(
            [Verdict(fact=fact, older=older, action=action, reason=reason, origin=origin, pending=pending)]
        )

    def states(self, fact: str) -> dict[tuple[str, str], State]:
        """What became of the decisions that this fact has a part in, by fact and older."""
        found = self._database.reader().execute(
            "SELECT fact, older, state FROM decisions WHERE fact = ?1 OR older = ?1", [fact]
        )
        return {(each["fact"], each["older"]): each["state"] for each in found}

    def undo(self, decision: int) -> bool:
        """Take a decision back: both facts are as they were before. False where none such is done."""
        with self._database.transaction() as connection:
            found = connection.execute(
                "SELECT * FROM decisions WHERE id = ? AND state = 'done'", [decision]
            ).fetchone()
            if found is None:
                return False
            before = json.loads(found["before"])
            if found["action"] != "ignore":
                connection.execute(
                    "UPDATE facts SET valid_until = ?, superseded_by = ? WHERE id = ?",
                    [before["valid_until"], before["superseded_by"], found["older"]],
                )
            if before.get("text") is not None:
                say(connection, found["fact"], before["text"])
            connection.execute("UPDATE decisions SET state = 'undone' WHERE id = ?", [decision])
        return True

    def redo(self, decision: int) -> bool:
        """Do again what was undone. False where none such is undone."""
        with self._database.transaction() as connection:
            found = connection.execute(
                "SELECT fact, older, action, reason, origin FROM decisions WHERE id = ? AND state = 'undone'",
                [decision],
            ).fetchone()
            return found is not None and settle(connection, Verdict(**dict(found)))

    def decisions(self, state: State | None = None, limit: int = 100) -> list[Decision]:
        """The log, newest first."""
        where, values = ("WHERE state = ?", [state]) if state else ("", [])
        found = self._database.reader().execute(
            "SELECT id, fact, older, action, reason, origin, state, decided_at,"
            " json_extract(before, '$.text') AS text_before"
            f" FROM decisions {where} ORDER BY id DESC LIMIT ?",
            [*values, limit],
        )
        return [Decision(**{name: each[name] for name in each.keys()}) for each in found]  # noqa: SIM118

    def count_pending(self) -> int:
        """How many decisions wait."""
        return self._count("decisions", "state = 'pending'", [])

    def _select(self, rest: str, values: Sequence[object], columns: str = _COLUMNS) -> list[Fact]:
        found = self._database.reader().execute(f"SELECT {columns} FROM facts AS f {rest}", values)  # type: ignore[arg-type]
        return [_fact(each) for each in found]

    def _count(self, table: str, where: str, values: Sequence[object]) -> int:
        found = self._database.reader().execute(f"SELECT count(*) FROM {table} WHERE {where}", values)  # type: ignore[arg-type]
        return int(found.fetchone()[0])

    def _unread_where(self, where: str, values: Sequence[object]) -> list[Unread]:
        found = self._database.reader().execute(
            "SELECT row, question, answer, coalesce(asked_at, answered_at, created_at) AS time,"
            " redactor_version, superseded_by IS NOT NULL AS replaced, coalesce(workspace, '') AS workspace"
            # in the index's own order: by row alone, the whole table would be walked to find none
            f" FROM exchanges WHERE {where} ORDER BY facts_with DESC, row DESC LIMIT ?",
            values,  # type: ignore[arg-type]
        )
        return [
            Unread(
                row=each["row"],
                question=each["question"],
                answer=each["answer"],
                time=each["time"],
                redactor_version=each["redactor_version"],
                replaced=bool(each["replaced"]),
                workspace=each["workspace"],
            )
            for each in found
        ]


def _not_with(column: str, reader: str) -> tuple[tuple[str, list[object]], ...]:
    """Conditions that together say that neither `reader` nor one that begins with it and "+" has done it;
    each walks its own stretch of the index."""
    return (
        (f"{column} IS NULL", []),
        (f"{column} < ?", [reader]),
        (f"{column} > ? AND {column} < ?", [reader, f"{reader}+"]),
        (f"{column} >= ?", [f"{reader},"]),  # "," comes after "+"
    )


def _fact(found: sqlite3.Row) -> Fact:
    return Fact(
        id=found["id"],
        text=found["text"],
        subject=found["subject"],
        topic=found["topic"],
        value=found["value"],
        words=found["words"],
        language=found["language"],
        valid_from=found["valid_from"],
        valid_until=found["valid_until"],
        confidence=found["confidence"],
        origin=found["origin"],
        single=bool(found["single"]),
        superseded_by=found["superseded_by"],
        created_at=found["created_at"],
        exchanges=tuple(json.loads(found["exchanges"])),
        workspace=found["workspace"],
        last_row=found["last_row"] or 0,
        last_said=found["last_said"] or found["valid_from"] or found["created_at"],
    )
