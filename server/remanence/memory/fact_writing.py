"""What the statements of facts and decisions do to the database, each within its caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from remanence.memory.database import Database
from remanence.memory.fact import Draft
from remanence.memory.timestamps import now_ms

Action = Literal["update", "delete", "ignore"]

# what a fact's own words do not say: the exchange is found by it too (see `backlog.Backlog.changed`)
_OTHER_WORDS = (
    "SELECT f.text FROM fact_sources AS s JOIN facts AS f ON f.id = s.fact"
    " WHERE s.row = ? AND rtrim(f.text, '.') <> rtrim(f.words, '.') ORDER BY f.id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be decided about an `older` fact when `fact` came, see Decision. `text` is what `fact` shall
    say from then on, where that is other than before."""

    fact: str
    older: str
    action: Action
    reason: str
    origin: str
    pending: bool = False
    text: str | None = None


def put(connection: sqlite3.Connection, row: int, drafts: Iterable[Draft], reader: str) -> list[str]:
    """See `FactStore.put`."""
    new: list[str] = []
    marked = connection.execute("UPDATE exchanges SET facts_with = ? WHERE row = ?", [reader, row])
    if marked.rowcount == 0:
        return new
    said = {draft.id: draft for draft in drafts}
    before = {
        str(fact) for (fact,) in connection.execute("SELECT fact FROM fact_sources WHERE row = ?", [row])
    }
    if not said and not before:
        return new
    indexed = connection.execute(_OTHER_WORDS, [row]).fetchall()
    for fact in before - said.keys():
        connection.execute("DELETE FROM fact_sources WHERE fact = ? AND row = ?", [fact, row])
    for draft in said.values():
        at = draft.valid_from or 0
        inserted = _insert(connection, draft)
        again = not inserted and _holds_again(connection, draft.id, at)
        connection.execute("INSERT OR REPLACE INTO fact_sources VALUES (?, ?, ?)", [draft.id, row, at])
        if inserted or again:
            new.append(draft.id)
        else:
            _held_before(connection, draft.id, at)
    if connection.execute(_OTHER_WORDS, [row]).fetchall() != indexed:
        _index_again(connection, [row])
    return new


def _insert(connection: sqlite3.Connection, draft: Draft) -> bool:
    added = connection.execute(
        "INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, NULL, ?, NULL, ?)",
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
            draft.workspace,
        ],
    )
    return added.rowcount > 0


def _holds_again(connection: sqlite3.Connection, fact: str, said_at: int) -> bool:
    """A fact that is said again after it was superseded holds again, from then on."""
    changed = connection.execute(
        "UPDATE facts SET valid_from = ?, valid_until = NULL, superseded_by = NULL, decided_with = NULL"
        " WHERE id = ? AND valid_until IS NOT NULL AND valid_until < ?",
        [said_at, fact, said_at],
    )
    return changed.rowcount > 0


def _held_before(connection: sqlite3.Connection, fact: str, said_at: int) -> None:
    """A fact found in an earlier exchange holds since then; not one that took another's place after that."""
    connection.execute(
        "UPDATE facts SET valid_from = ? WHERE id = ? AND valid_from > ? AND NOT EXISTS"
        " (SELECT 1 FROM decisions WHERE fact = facts.id AND state = 'done' AND action <> 'ignore')",
        [said_at, fact, said_at],
    )


def settle(connection: sqlite3.Connection, verdict: Verdict) -> bool:
    """One of `FactStore.settle`; whether it was new."""
    found = {
        str(each["id"]): each
        for each in connection.execute(
            "SELECT id, text, valid_from, valid_until, superseded_by, created_at,"
            " (SELECT max(said_at) FROM fact_sources WHERE fact = id) AS last_said"
            " FROM facts WHERE id IN (?, ?)",
            [verdict.fact, verdict.older],
        )
    }
    if len(found) < 2:
        return False
    new, old = found[verdict.fact], found[verdict.older]
    state = connection.execute(
        "SELECT state FROM decisions WHERE fact = ? AND older = ?", [verdict.fact, verdict.older]
    ).fetchone()
    ends = not verdict.pending and verdict.action != "ignore"
    if old["valid_until"] is not None if ends else state is not None and state["state"] == "done":
        return False
    before = {"valid_until": old["valid_until"], "superseded_by": old["superseded_by"]}
    rewritten = verdict.text is not None and not verdict.pending and verdict.text != new["text"]
    connection.execute(
        "INSERT INTO decisions (fact, older, action, reason, origin, state, before, decided_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fact, older) DO UPDATE SET"
        " action = excluded.action, reason = excluded.reason, origin = excluded.origin,"
        " state = excluded.state, before = excluded.before, decided_at = excluded.decided_at",
        [
            *(verdict.fact, verdict.older, verdict.action, verdict.reason, verdict.origin),
            "pending" if verdict.pending else "done",
            json.dumps(before | ({"text": new["text"]} if rewritten else {})),
            now_ms(),
        ],
    )
    if not ends:
        return True
    next_said = connection.execute(
        "SELECT min(said_at) FROM fact_sources WHERE fact = ? AND said_at >= ?",
        [verdict.fact, old["last_said"] or 0],
    ).fetchone()[0]
    connection.execute(
        "UPDATE facts SET valid_until = ?, superseded_by = ? WHERE id = ? AND valid_until IS NULL",
        [
            next_said or new["valid_from"] or new["created_at"],
            verdict.fact if verdict.action == "update" else None,
            verdict.older,
        ],
    )
    if rewritten and verdict.text is not None:
        say(connection, verdict.fact, verdict.text)
    return True


def say(connection: sqlite3.Connection, fact: str, text: str) -> None:
    """Let a fact say it in other words; those that its exchanges are found by change with them."""
    connection.execute("UPDATE facts SET text = ? WHERE id = ?", [text, fact])
    rows = connection.execute("SELECT row FROM fact_sources WHERE fact = ?", [fact]).fetchall()
    _index_again(connection, [int(row) for (row,) in rows])


def _index_again(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    for row in rows:
        connection.execute(
            "UPDATE exchanges SET revision = ? WHERE row = ?", [Database.next_revision(connection), row]
        )
