"""Background work: reminders, the outbox relay, and their clock."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from ledgerline.broker import publish
from ledgerline.jobs import Job, handle, take_job
from ledgerline.outbox import mark_published, unpublished
from ledgerline.reports import Report, build_report

log = logging.getLogger(__name__)
request_id: ContextVar[str] = ContextVar("request_id", default="-")
LEASE_SECONDS = 120
POLL_SECONDS = 2.0


class AddRequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


async def work_for_ever() -> None:
    while True:
        job = await take_job(lease=LEASE_SECONDS)
        if job is None:
            await asyncio.sleep(POLL_SECONDS)
            continue
        await run_one(job)


async def run_one(job: Job) -> None:
    # l'identifiant de la requête d'origine, pour retrouver la tâche dans les journaux
    request_id.set(job.request_id)
    try:
        async with asyncio.timeout(LEASE_SECONDS):
            await handle(job)
    except TimeoutError:
        log.error("job %s exceeded its lease of %s seconds", job.id, LEASE_SECONDS)
    except Exception:
        log.exception("job %s failed", job.id)


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel a worker and wait until it has cleaned up."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def relay_outbox() -> None:
    # publish first and mark afterwards: an event may go out twice but is never lost
    for event in await unpublished(limit=100):
        await publish(event.topic, event.payload)
        await mark_published(event.id)


def reminder_moment(day: date, zone: str) -> datetime:
    """When to send a reminder: eight in the morning where the customer lives."""
    local = datetime.combine(day, time(8, 0), tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)


def is_overdue(due_on: date, zone: str, now: datetime) -> bool:
    # une échéance est un jour du calendrier du client, pas un instant
    return due_on < now.astimezone(ZoneInfo(zone)).date()


def yearly_reports(accounts: Sequence[str]) -> list[Report]:
    # threads did not help here: pure Python, one core
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(build_report, accounts, chunksize=16))


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
