"""Long work with progress and cancel, taken up again after a restart."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from remanence.engine.messages import Job
from remanence.engine.verbs import EngineError, invalid
from remanence.memory.database import StoreError
from remanence.memory.progress_records import JobRecord, ProgressRecords, write_job
from remanence.memory.timestamps import now_ms

log = logging.getLogger(__name__)

_SAVE_EVERY_MS = 1000
_KEPT_REASONS = 20
_MOST_INTERRUPTIONS = 5  # a job that ends the engine each time must not do so for ever


class JobCancelled(Exception):
    """Raised inside a job when someone cancelled it."""


class Control:
    """A running job's side: it reports through this, and learns here that it was cancelled."""

    def __init__(
        self, record: JobRecord, save: Callable[[JobRecord], None], stopping: threading.Event
    ) -> None:
        self.record = record
        self.figures: Counter[str] = Counter(record.figures)
        self.cancel_requested = threading.Event()
        self.has_begun = False
        self._save = save
        self._stopping = stopping
        self.reasons: list[str] = list(record.reasons)
        self._saved_at = 0

    def report(self, progress: float | None = None, message: str | None = None) -> None:
        """Say how far it is (0 to 1) and what it does; raises JobCancelled when it should end."""
        self.record = replace(
            self.record,
            progress=self.record.progress if progress is None else min(max(progress, 0.0), 1.0),
            message=self.record.message if message is None else message,
            figures=dict(self.figures),
            reasons=tuple(self.reasons),
        )
        if self.cancel_requested.is_set() or self._stopping.is_set():
            raise JobCancelled
        if now_ms() - self._saved_at > _SAVE_EVERY_MS:
            self._saved_at = now_ms()
            self._save(self.record)

    def reached(self, connection: sqlite3.Connection, position: str) -> None:
        """Record how far the work is, and its figures, in the transaction that made it so.

        From there it is taken up again after a kill. Whoever gets further is not given up.
        """
        self.record = replace(
            self.record,
            position=position,
            figures=dict(self.figures),
            reasons=tuple(self.reasons),
            interruptions=0,
        )
        write_job(connection, self.record)

    def fail_one(self, reason: str) -> None:
        """Count one failure; the first ones are kept in words."""
        self.figures["failed"] += 1
        if len(self.reasons) < _KEPT_REASONS:
            self.reasons.append(reason)

    def note(self, reason: str) -> None:
        """Keep a remark that is no failure."""
        if len(self.reasons) < _KEPT_REASONS and reason not in self.reasons:
            self.reasons.append(reason)


Work = Callable[[Control], None]
Resume = Callable[[str, str], Work | None]
Discard = Callable[[str], None]


class Jobs:
    """The queue of jobs of one engine, run in two threads of its own: an import need not wait for a model."""

    def __init__(self, records: ProgressRecords) -> None:
        self._records = records
        self._queue: queue.Queue[tuple[Control, Work] | None] = queue.Queue()
        self._live: dict[str, Control] = {}
        self._unrecorded: dict[str, JobRecord] = {}
        self._discards: dict[str, Discard] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"jobs-{number}", daemon=True) for number in (1, 2)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, kind: str, request: str, work: Work) -> Job:
        """Queue work. `request` is kept so that an interrupted job can be taken up again."""
        record = JobRecord(
            id=uuid.uuid4().hex[:12], kind=kind, state="queued", request=request, created_at=now_ms()
        )
        return self._enqueue(record, work)

    def when_unbegun(self, kind: str, discard: Discard) -> None:
        """What becomes of a job of this kind cancelled before its turn: `discard` gets its request."""
        self._discards[kind] = discard

    def take_up(self, resume: Resume) -> None:
        """Queue again what an engine's end interrupted; what cannot be taken up is marked failed."""
        for record in self._records.unfinished_jobs():
            again = replace(record, interruptions=record.interruptions + 1)
            work = resume(record.kind, record.request) if again.interruptions <= _MOST_INTERRUPTIONS else None
            if work is None:
                ended = "The engine ended before this was done. Start it again."
                self._records.put_job(replace(again, state="failed", error=ended, finished_at=now_ms()))
            else:
                if not again.position:
                    again = replace(again, progress=0.0, figures={}, reasons=())
                self._enqueue(replace(again, state="queued"), work)

    def _enqueue(self, record: JobRecord, work: Work) -> Job:
        control = Control(record, self._records.put_job, self._stopping)
        self._records.put_job(record)
        with self._lock:
            self._live[record.id] = control
        self._queue.put((control, work))
        return as_job(record)

    def list(self, job_id: str | None = None) -> list[Job]:
        """The newest jobs, or the one asked for. Raises EngineError where there is none."""
        with self._lock:
            live = self._unrecorded | {name: control.record for name, control in self._live.items()}
        if job_id is None:
            return [as_job(live.get(record.id, record)) for record in self._records.jobs()]
        known = live.get(job_id) or self._records.job(job_id)
        if known is None:
            raise invalid(f"There is no job {job_id!r}.", "jobId")
        return [as_job(known)]

    def cancel(self, job_id: str) -> list[Job]:
        """Ask a job to end; it does so at its next report."""
        with self._lock:
            control = self._live.get(job_id)
        if control is not None:
            control.cancel_requested.set()
            if control.record.state == "queued":
                self._finish(control, "cancelled", None)
        return self.list(job_id)

    def busy(self) -> bool:
        """Whether any job is queued or running."""
        with self._lock:
            return bool(self._live)

    def find_live(self, kind: str) -> Job | None:
        """A queued or running job of this kind."""
        with self._lock:
            for control in self._live.values():
                if control.record.kind == kind:
                    return as_job(control.record)
        return None

    def close(self) -> None:
        """End the running job at its next report; it stays unfinished and is taken up again."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            control, work = item
            if control.record.id not in self._live or self._stopping.is_set():
                continue
            control.record = replace(control.record, state="running")
            try:
                control.report()
                control.has_begun = True
                work(control)
            except JobCancelled:
                if not control.cancel_requested.is_set():  # the engine ends: leave it for the next one
                    self._records.put_job(control.record)
                    continue
                self._finish(control, "cancelled", None)
            except Exception as error:  # noqa: BLE001  a job's failure must not end the queue
                log.error(
                    "job %s (%s) failed: %s", control.record.id, control.record.kind, type(error).__name__
                )
                words = error.message if isinstance(error, EngineError) else str(error)
                self._finish(control, "failed", words or type(error).__name__)
            else:
                self._finish(control, "done", None)

    def _finish(self, control: Control, state: str, error: str | None) -> None:
        ended = replace(
            control.record,
            state=state,
            error=error,
            progress=1.0 if state == "done" else control.record.progress,
            figures=dict(control.figures),
            reasons=tuple(control.reasons),
            finished_at=now_ms(),
        )
        if state == "cancelled" and not control.has_begun:
            self._discard(ended)
        try:
            self._records.put_job(ended)
        except StoreError as refusal:  # a full disk must not end this thread; the next engine tries again
            log.error("the end of job %s was not recorded: %s", ended.id, refusal)
            self._unrecorded[ended.id] = ended
        finally:
            with self._lock:  # whoever sees that it ended finds it recorded, and the queue free of it
                self._live.pop(ended.id, None)
            control.record = ended

    def _discard(self, unbegun: JobRecord) -> None:
        if unbegun.kind in self._discards:
            try:
                self._discards[unbegun.kind](unbegun.request)
            except OSError as refusal:
                log.error("what job %s would have worked on is still there: %s", unbegun.id, refusal)


def as_job(record: JobRecord) -> Job:
    """A job as doors see it."""
    return Job(
        job_id=record.id,
        kind=record.kind,
        state=record.state,  # pyright: ignore[reportArgumentType]  only this module writes it
        progress=record.progress,
        message=record.message,
        figures=dict(record.figures),
        reasons=list(record.reasons),
        error=record.error,
        created_at=record.created_at,
        finished_at=record.finished_at,
    )
