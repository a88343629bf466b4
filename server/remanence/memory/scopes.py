"""Which rows a scope lets through, kept from one recall to the next.

To ask for half a million row numbers takes half a second; what changed since they were asked for, next to
nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.memory.database import Database
from remanence.memory.rows import Scope

_KEPT = 8  # scopes: a bit for each row of the store, each


@dataclass(frozen=True, slots=True)
class _Inside:
    """The rows inside as bits, as they were at `revision`."""

    revision: int
    bits: NDArray[np.uint8]


class Scopes:
    """The scopes asked for last. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[Scope, _Inside] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, scope: Scope) -> NDArray[np.int64]:
        """The row numbers that the scope lets through, ascending."""
        where, values = conditions(scope)
        reader = self._database.reader()
        if scope.conversation_id is not None:  # a few rows, found by the database's own index
            return _numbers(reader, where, values)
        revision = self._database.revision()  # read first: what is stored meanwhile is looked at again
        with self._lock:
            known = self._kept.get(scope)
        if known is not None and known.revision == revision:
            return np.flatnonzero(np.unpackbits(known.bits))
        if known is None:
            numbers = _numbers(reader, where, values)
        else:
            numbers = _caught_up(reader, known, where, values)
        inside = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.bool_)
        inside[numbers] = True
        with self._lock:
            self._kept[scope] = _Inside(revision, np.packbits(inside))
            self._kept.move_to_end(scope)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return numbers


def conditions(scope: Scope) -> tuple[str, list[str | int]]:
    """The scope as an SQL condition on `exchanges`, and its values."""
    asked = "coalesce(asked_at, answered_at, created_at)"
    wanted: list[tuple[str, str | int | None]] = [
        ("workspace = ?", scope.workspace),
        ("tool = ?", scope.tool),
        ("conversation_id = ?", scope.conversation_id),
        (f"{asked} >= ?", scope.since),
        (f"{asked} <= ?", scope.until),
        ("EXISTS (SELECT 1 FROM json_each(tags) WHERE json_each.value = ?)", scope.tag),
    ]
    chosen = [(condition, value) for condition, value in wanted if value is not None]
    where = " AND ".join(condition for condition, _ in chosen) or "1"
    return where, [value for _, value in chosen]


def _numbers(reader: sqlite3.Connection, where: str, values: Sequence[str | int]) -> NDArray[np.int64]:
    # as one text: row by row it takes three times as long
    found = reader.execute(f"SELECT group_concat(row, ' ') FROM exchanges WHERE {where}", values).fetchone()
    return np.sort(np.fromstring(found[0] or "", dtype=np.int64, sep=" "))


def _caught_up(
    reader: sqlite3.Connection, known: _Inside, where: str, values: Sequence[str | int]
) -> NDArray[np.int64]:
    """The rows inside now: those from before, but for what changed or went since."""
    gone = _after(reader, "SELECT row FROM deletions WHERE revision > ?", [known.revision])
    changed = _after(reader, "SELECT row FROM exchanges WHERE revision > ?", [known.revision])
    inside = _after(
        reader,
        f"SELECT row FROM exchanges INDEXED BY exchanges_by_revision WHERE revision > ? AND {where}",
        [known.revision, *values],
    )
    before = np.flatnonzero(np.unpackbits(known.bits))
    return np.union1d(np.setdiff1d(before, np.union1d(gone, changed)), inside)


def _after(reader: sqlite3.Connection, query: str, values: Sequence[str | int]) -> NDArray[np.int64]:
    return np.fromiter((record[0] for record in reader.execute(query, values)), dtype=np.int64)
