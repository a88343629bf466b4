"""How every command of the terminal reaches the engine: one call, or one job shown until it ends."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from remanence import terminal
from remanence.engine import messages as m
from remanence.engine.client import EngineClient, connect
from remanence.paths import Home

T = TypeVar("T")

_POLL_SECONDS = 0.2


def call(home: Home, ask: Callable[[EngineClient], Awaitable[T]]) -> T:
    """What the engine answers, started if none runs. Raises EngineError."""

    async def run() -> T:
        client = await connect(home)
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(run())


async def followed(client: EngineClient, job_id: str, *, quiet: bool) -> m.Job:
    """The job once it has ended; Ctrl-C cancels it. Its progress is shown unless it shall be quiet."""
    try:
        with terminal.Progress(quiet=quiet) as progress:
            while True:
                (job,) = (await client.jobs(m.JobsRequest(job_id=job_id))).jobs
                progress.show(job)
                if job.state not in ("queued", "running"):
                    return job
                await asyncio.sleep(_POLL_SECONDS)
    except asyncio.CancelledError:
        await client.cancel(m.CancelRequest(job_id=job_id))
        raise


def follow(
    home: Home, start: Callable[[EngineClient], Awaitable[m.ImportResponse | m.JobStarted]], as_json: bool
) -> None:
    """Start a job and show it until it ends; Ctrl-C cancels it. Exit status 1 if it failed."""

    async def run(client: EngineClient) -> m.Job:
        return await followed(client, (await start(client)).job_id, quiet=as_json)

    started = time.monotonic()
    job = call(home, run)
    terminal.show(job, as_json, lambda done: terminal.job_result(done, time.monotonic() - started))
    if job.state != "done":
        sys.exit(1)
