"""Facts in the database: said by exchanges, superseded rather than overwritten, with a log to undo by."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from remanence.memory.database import Database
from remanence.memory.fact import Draft, Fact
from remanence.memory.timestamps import now_ms

Action = Literal["update", "delete", "ignore"]
State = Literal["done", "pending", "undone"]

_COLUMNS = (
    "f.id, f.text, f.subject, f.topic, f.value, f.words, f.language, f.valid_from, f.valid_until,"
    " f.confidence, f.origin, f.single, f.superseded_by, f.created_at,"
    " (SELECT json_group_array(e.id) FROM (SELECT row FROM fact_sources WHERE fact = f.id ORDER BY row) AS s"
    " JOIN exchanges AS e ON e.row = s.row) AS exchanges"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An exchange whose facts were not drawn yet."""

    row: int
    question: str
    answer: str
    time: int
    redactor_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about an `older` fact when `fact` came; `origin` is the rules or a model's name.

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


class FactStore:
    """Facts and decisions of one database. Safe to use from several threads. Writing raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Drawing facts from exchanges

    def unread(self, reader: str, limit: int) -> list[Unread]:
        """Exchanges that `reader` (the rules' version, or a model's name) has not read, the newest first."""
        never = self._unread_where("facts_with IS NULL", [limit])
        if len(never) == limit:
            return never
        rest = limit - len(never)
        return (
            never
            + self._unread_where("facts_with < ?", [reader, rest])
            + self._unread_where("facts_with > ?", [reader, rest])[: max(rest, 0)]
        )

    def count_unread(self, reader: str) -> int:
        """How many exchanges wait to be read."""
        found = self._database.reader().execute(
            "SELECT (SELECT count(*) FROM exchanges WHERE facts_with IS NULL)"
            " + (SELECT count(*) FROM exchanges WHERE facts_with < ?)"
            " + (SELECT count(*) FROM exchanges WHERE facts_with > ?)",
            [reader, reader],
        )
        return int(found.fetchone()[0])

    def put(self, row: int, drafts: Iterable[Draft], reader: str) -> list[str]:
        """Store what an exchange says, in place of what it said before; gives the ids that are new.

        One that is gone meanwhile says nothing.
        """
        new: list[str] = []
        with self._database.transaction() as connection:
            marked = connection.execute("UPDATE exchanges SET facts_with = ? WHERE row = ?", [reader, row])
            if marked.rowcount == 0:
                return new
            said = {draft.id: draft for draft in drafts}
            before = {
                str(fact)
                for (fact,) in connection.execute("SELECT fact FROM fact_sources WHERE row = ?", [row])
            }
            for fact in before - said.keys():
                connection.execute("DELETE FROM fact_sources WHERE fact = ? AND row = ?", [fact, row])
            for draft in said.values():
                if _insert(connection, draft):
                    new.append(draft.id)
                connection.execute("INSERT OR IGNORE INTO fact_sources VALUES (?, ?)", [draft.id, row])
                _date(connection, draft)
        return new

    # Reading

    def get(self, fact: str) -> Fact | None:
        """One fact by its id."""
        found = self._select("WHERE f.id = ?", [fact])
        return found[0] if found else None

    def get_all(self, facts: Sequence[str]) -> list[Fact]:
        """Those of these facts that there are, in this order."""
        by_id = {
            fact.id: fact
            for fact in self._select(
                "WHERE f.id IN (SELECT value FROM json_each(?))", [json.dumps(list(facts))]
            )
        }
        return [by_id[fact] for fact in facts if fact in by_id]

    def of_exchanges(self, rows: Sequence[int]) -> dict[int, list[Fact]]:
        """What each of these rows says."""
        said = self._database.reader().execute(
            "SELECT row, fact FROM fact_sources WHERE row IN (SELECT value FROM json_each(?))"
            " ORDER BY row, fact",
            [json.dumps(list(rows))],
        )
        pairs = [(int(row), str(fact)) for row, fact in said]
        known = {fact.id: fact for fact in self.get_all([fact for _, fact in pairs])}
        found: dict[int, list[Fact]] = {}
        for row, fact in pairs:
            found.setdefault(row, []).append(known[fact])
        return found

    def current(self, limit: int = 1000, after: str = "") -> list[Fact]:
        """Facts that hold, in the order of their ids, from behind `after`."""
        return self._select("WHERE f.valid_until IS NULL AND f.id > ? ORDER BY f.id LIMIT ?", [after, limit])

    def superseded(self, limit: int = 1000, after: str = "") -> list[Fact]:
        """Facts that hold no more, in the order of their ids, from behind `after`."""
        return self._select(
            "WHERE f.valid_until IS NOT NULL AND f.id > ? ORDER BY f.id LIMIT ?", [after, limit]
        )

    def rivals(self, fact: Fact, limit: int = 8) -> list[Fact]:
        """Older facts of the same subject and topic that hold, the newest first."""
        return self._select(
            "WHERE f.subject = ? COLLATE NOCASE AND f.topic = ? AND f.id != ? AND f.valid_until IS NULL"
            " AND coalesce(f.valid_from, 0) <= ? ORDER BY f.valid_from DESC, f.id LIMIT ?",
            [fact.subject, fact.topic, fact.id, fact.valid_from or 0, limit],
        )

    def count(self) -> int:
        """How many hold."""
        found = self._database.reader().execute("SELECT count(*) FROM facts WHERE valid_until IS NULL")
        return int(found.fetchone()[0])

    # Decisions

    def decide(
        self, fact: str, older: str, action: Action, reason: str, origin: str, *, pending: bool = False
    ) -> None:
        """Note a decision and, unless it is pending, do it: the older fact ends where the new one begins.

        Deciding again about the same two replaces what was pending or undone.
        """
        with self._database.transaction() as connection:
            known = _known(connection, fact, older)
            if known is None:
                return
            new, old = known
            before = {"valid_until": old["valid_until"], "superseded_by": old["superseded_by"]}
            connection.execute(
                "INSERT INTO decisions (fact, older, action, reason, origin, state, before, decided_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fact, older) DO UPDATE SET"
                " action = excluded.action, reason = excluded.reason, origin = excluded.origin,"
                " state = excluded.state, before = excluded.before, decided_at = excluded.decided_at"
                " WHERE state != 'done'",
                [
                    fact,
                    older,
                    action,
                    reason,
                    origin,
                    "pending" if pending else "done",
                    json.dumps(before),
                    now_ms(),
                ],
            )
            if not pending and action != "ignore":
                connection.execute(
                    "UPDATE facts SET valid_until = ?, superseded_by = ?"
                    " WHERE id = ? AND valid_until IS NULL",
                    [new["valid_from"] or new["created_at"], fact if action == "update" else None, older],
                )

    def undo(self, decision: int) -> bool:
        """Take a decision back: the older fact is as it was before. False where none such is done."""
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
            connection.execute("UPDATE decisions SET state = 'undone' WHERE id = ?", [decision])
        return True

    def decisions(self, state: State | None = None, limit: int = 100) -> list[Decision]:
        """The log, newest first."""
        where, values = ("WHERE state = ?", [state]) if state else ("", [])
        found = self._database.reader().execute(
            f"SELECT * FROM decisions {where} ORDER BY id DESC LIMIT ?", [*values, limit]
        )
        return [
            Decision(
                id=each["id"],
                fact=each["fact"],
                older=each["older"],
                action=each["action"],
                reason=each["reason"],
                origin=each["origin"],
                state=each["state"],
                decided_at=each["decided_at"],
            )
            for each in found
        ]

    def _select(self, rest: str, values: Sequence[object]) -> list[Fact]:
        found = self._database.reader().execute(f"SELECT {_COLUMNS} FROM facts AS f {rest}", values)  # type: ignore[arg-type]
        return [_fact(each) for each in found]

    def _unread_where(self, where: str, values: Sequence[object]) -> list[Unread]:
        found = self._database.reader().execute(
            "SELECT row, question, answer, coalesce(asked_at, answered_at, created_at) AS time,"
            f" redactor_version FROM exchanges WHERE {where} ORDER BY row DESC LIMIT ?",
            values,  # type: ignore[arg-type]
        )
        return [Unread(**{name: each[name] for name in each.keys()}) for each in found]  # noqa: SIM118


def _insert(connection: sqlite3.Connection, draft: Draft) -> bool:
    added = connection.execute(
        "INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, NULL, ?)",
        [
            draft.id,
            draft.text,
            draft.subject,
            draft.topic,
            draft.value,
            draft.words,
            draft.language,
            draft.valid_from,
            draft.confidence,
            draft.origin,
            draft.single,
            now_ms(),
        ],
    )
    return added.rowcount > 0


def _date(connection: sqlite3.Connection, draft: Draft) -> None:
    """A fact that is said again after it was superseded holds again, from then on."""
    connection.execute(
        "UPDATE facts SET valid_from = ?, valid_until = NULL, superseded_by = NULL"
        " WHERE id = ? AND valid_until IS NOT NULL AND valid_until < ?",
        [draft.valid_from, draft.id, draft.valid_from or 0],
    )


def _known(connection: sqlite3.Connection, fact: str, older: str) -> tuple[sqlite3.Row, sqlite3.Row] | None:
    new = connection.execute("SELECT * FROM facts WHERE id = ?", [fact]).fetchone()
    old = connection.execute("SELECT * FROM facts WHERE id = ?", [older]).fetchone()
    return (new, old) if new is not None and old is not None else None


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
    )
