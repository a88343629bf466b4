"""Real engines as child processes, for tests: found, killed and counted."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psutil

from remanence.engine.address import read_address
from remanence.engine.client import EngineClient, connect
from remanence.engine.messages import JobsRequest, StatusResponse
from remanence.engine.starting import drain
from remanence.paths import Home

T = TypeVar("T")


def ask(home: Home, question: Callable[[EngineClient], Awaitable[T]]) -> T:
    """One question to the home's engine, started if need be."""

    async def run() -> T:
        client = await connect(home)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(run())


def engines_of(home: Home) -> list[psutil.Process]:
    """Every engine process of this data directory."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(home.root) in command and "engine" in command and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def kill(home: Home) -> None:
    """kill -9 the engine, as a crash or the system would, and wait until it is gone."""
    strike(home)
    wait_until(lambda: not engines_of(home))


def strike(home: Home) -> None:
    """kill -9 the engine, without a look back."""
    address = read_address(home)
    assert address is not None
    os.kill(address.pid, signal.SIGKILL)


def stop(home: Home) -> None:
    """End the engine, if one runs, and wait for it."""
    asyncio.run(drain(home))
    wait_until(lambda: not engines_of(home))


async def wait_for_job(client: EngineClient, job_id: str) -> dict[str, int]:
    """The figures of a job once it has ended well."""
    while True:
        (job,) = (await client.jobs(JobsRequest(job_id=job_id))).jobs
        if job.state not in ("queued", "running"):
            assert job.state == "done", job.error
            return job.figures
        await asyncio.sleep(0.05)


async def wait_for_indexing(client: EngineClient, *, keywords: bool = False) -> StatusResponse:
    """The status once nothing waits for a vector or a place in an index (or for keywords)."""
    while True:
        status = await client.status()
        by = status.pending_by
        if not by.embedding and not by.indexing and (not keywords or not by.keywords):
            return status
        await asyncio.sleep(0.05)


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition that is sure to come; AssertionError where it does not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
