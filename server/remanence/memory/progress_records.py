"""What must outlive a restart besides memories: jobs, and how far each source has been read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from remanence.memory.database import Database
from remanence.memory.timestamps import now_ms

_KEPT_JOBS = 200
_POSITION = "position of job "  # and its id: the key in `meta`, where it stands while the job is unfinished
_JOBS = f"SELECT *, (SELECT value FROM meta WHERE key = '{_POSITION}' || id) AS position FROM jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """Long work. `request` is the JSON of what was asked and `position` says, in the work's own words, how
    far it is, so that it can be taken up again after each of its `interruptions` by an engine's end."""

    id: str
    kind: str
    state: str
    request: str
    progress: float = 0.0
    message: str = ""
    figures: Mapping[str, int] = field(default_factory=dict[str, int])
    reasons: Sequence[str] = ()
    error: str | None = None
    interruptions: int = 0
    position: str = ""
    created_at: int = 0
    finished_at: int | None = None


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Whether the user turned a source on, and when it was last read to its end (UTC epoch ms)."""

    name: str
    enabled: bool
    last_synced_at: int | None


class ProgressRecords:
    """Jobs and sources in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_job(self, job: JobRecord) -> None:
        """Write a job as it stands now; the oldest finished ones make room."""
        with self._database.transaction() as connection:
            write_job(connection, job)
            connection.execute(
                "DELETE FROM jobs WHERE finished_at IS NOT NULL AND id NOT IN"
                " (SELECT id FROM jobs ORDER BY created_at DESC LIMIT ?)",
                [_KEPT_JOBS],
            )

    def jobs(self, limit: int = 50) -> list[JobRecord]:
        """The newest jobs, newest first."""
        records = self._database.reader().execute(
            f"{_JOBS} ORDER BY created_at DESC, rowid DESC LIMIT ?", [limit]
        )
        return [_job(record) for record in records]

    def job(self, job_id: str) -> JobRecord | None:
        found = self._database.reader().execute(f"{_JOBS} WHERE id = ?", [job_id]).fetchone()
        return _job(found) if found else None

    def unfinished_jobs(self) -> list[JobRecord]:
        """Jobs that an engine's end interrupted, oldest first."""
        records = self._database.reader().execute(
            f"{_JOBS} WHERE finished_at IS NULL ORDER BY created_at, rowid"
        )
        return [_job(record) for record in records]

    def sources(self) -> dict[str, SourceRecord]:
        """Every source that was ever turned on or off."""
        records = self._database.reader().execute("SELECT name, enabled, last_synced_at FROM sources")
        return {record[0]: SourceRecord(record[0], bool(record[1]), record[2]) for record in records}

    def turn_source(self, name: str, enabled: bool) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO sources VALUES (?, ?, NULL)"
                " ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled",
                [name, int(enabled)],
            )

    def mark_synced(self, name: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE sources SET last_synced_at = ? WHERE name = ?", [now_ms(), name])

    def fingerprint(self, source: str, path: str) -> str | None:
        """What this file looked like when it was last read to its end."""
        found = (
            self._database.reader()
            .execute("SELECT fingerprint FROM source_files WHERE source = ? AND path = ?", [source, path])
            .fetchone()
        )
        return found[0] if found else None

    def put_fingerprint(self, source: str, path: str, fingerprint: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO source_files VALUES (?, ?, ?)", [source, path, fingerprint]
            )


def write_job(connection: sqlite3.Connection, job: JobRecord) -> None:
    """Write a job as it stands now, within the caller's transaction."""
    connection.execute(
        """
        INSERT OR REPLACE INTO jobs (id, kind, state, request, progress, message, figures, reasons,
            error, interruptions, created_at, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            *(job.id, job.kind, job.state, job.request, job.progress, job.message),
            json.dumps(dict(job.figures)),
            json.dumps(list(job.reasons), ensure_ascii=False),
            *(job.error, job.interruptions, job.created_at, job.finished_at),
        ],
    )
    if job.finished_at is not None:
        connection.execute("DELETE FROM meta WHERE key = ?", [_POSITION + job.id])
    elif job.position:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [_POSITION + job.id, job.position])


def _job(record: sqlite3.Row) -> JobRecord:
    return JobRecord(
        id=record["id"],
        kind=record["kind"],
        state=record["state"],
        request=record["request"],
        progress=record["progress"],
        message=record["message"],
        figures=json.loads(record["figures"]),
        reasons=tuple(json.loads(record["reasons"])),
        error=record["error"],
        interruptions=record["interruptions"],
        position=record["position"] or "",
        created_at=record["created_at"],
        finished_at=record["finished_at"],
    )
