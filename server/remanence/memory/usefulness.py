"""What users took of what was offered: how often each memory was of use, and as what."""

from __future__ import annotations

from collections.abc import Sequence

from remanence.memory.database import Database
from remanence.memory.timestamps import now_ms


def note_accepted(database: Database, ids: Sequence[str], kind: str) -> int:
    """Count that something made of these memories was taken; gives how many of them are known.

    Raises StoreError.
    """
    with database.transaction() as connection:
        noted = 0
        for exchange in dict.fromkeys(ids):
            noted += connection.execute(
                "INSERT INTO accepted (row, kind, times, last_at)"
                " SELECT row, ?, 1, ? FROM exchanges WHERE id = ?"
                " ON CONFLICT (row, kind) DO UPDATE SET times = times + 1, last_at = excluded.last_at",
                [kind, now_ms(), exchange],
            ).rowcount
    return noted


def times_accepted(database: Database, exchange: str) -> int:
    """How often something made of this memory was taken, of every kind."""
    found = database.reader().execute(
        "SELECT coalesce(sum(times), 0) FROM accepted JOIN exchanges USING (row) WHERE id = ?", [exchange]
    )
    return int(found.fetchone()[0])
