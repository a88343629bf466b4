"""The engine's life: one per data directory under a lock, ready when it says so, gone when idle."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import uvicorn

from remanence import __version__
from remanence.engine.address import Address, bind, read_address, write_address
from remanence.engine.app import Activity, create_app
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError, Handler
from remanence.paths import Home
from remanence.settings import Settings

log = logging.getLogger(__name__)

_LOCK_SECONDS = 10.0  # how long a predecessor may take to end
_SLOW_START_SECONDS = 20.0
_WATCH_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005  # a query's threads hand over to each other: Python's 5 ms would be half its time
_LOG_BYTES = 5 * 2**20


Door = Callable[[Home, Settings, dict[str, Handler], Activity], Coroutine[Any, Any, None]]
"""Something that serves this engine's verbs in its own way, on its event loop, until it is cancelled."""


def run_engine(home: Home, doors: Sequence[Door] = ()) -> int:
    """Serve this data directory until idle or asked to end; the process's exit status.

    Another engine that holds the lock is no error: the doors will find that one.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    home.create()
    _start_log(home.logs / "engine.log")
    faulthandler.dump_traceback_later(_SLOW_START_SECONDS)  # where it hangs, into the log; no memory's text
    try:
        with filelock.FileLock(home.engine_lock, timeout=_LOCK_SECONDS, mode=0o600):
            return _serve(home, doors)
    except filelock.Timeout:
        return 0
    except EngineError as error:
        log.error(error.message)
        return 1


def _serve(home: Home, doors: Sequence[Door]) -> int:
    service = open_service(home)
    try:
        listening, address = bind(home, __version__, secrets.token_urlsafe(32))
        activity = Activity()
        server = uvicorn.Server(_config())

        def drain() -> None:
            server.should_exit = True

        server.config.app = create_app(
            service.handlers(),
            service.streams(),
            activity,
            drain,
            home=str(home.root),
            token=address.token,
        )
        write_address(home, address)
        faulthandler.cancel_dump_traceback_later()
        try:
            asyncio.run(_run(server, listening, _Watch(home, address, service, activity), doors))
        finally:
            if read_address(home) == address:
                home.engine_state.unlink(missing_ok=True)
            if address.socket:
                Path(address.socket).unlink(missing_ok=True)
    finally:
        service.close()
    return 0


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        app="",
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nobody stands between
        timeout_graceful_shutdown=10,
        timeout_keep_alive=120,
    )


@dataclass(frozen=True, slots=True)
class _Watch:
    """What decides when an engine has done its time."""

    home: Home
    address: Address
    service: Service
    activity: Activity

    def is_over(self, now: float) -> bool:
        """Nobody has asked for anything for a while and no work waits, or the directory was taken away."""
        if read_address(self.home) != self.address:
            return True
        if self.activity.requests or self.service.is_busy():
            self.activity.last = now
        return now - self.activity.last > self.service.settings.engine.idle_minutes * 60


async def _run(
    server: uvicorn.Server, listening: socket.socket, watch: _Watch, doors: Sequence[Door]
) -> None:
    loop = asyncio.get_running_loop()
    watch.activity.last = loop.time()

    async def look() -> None:
        while not watch.is_over(loop.time()):
            await asyncio.sleep(_WATCH_SECONDS)
        server.should_exit = True

    looking = asyncio.create_task(look(), name="idle watch")
    service = watch.service
    opened = [
        asyncio.create_task(door(watch.home, service.settings, service.handlers(), watch.activity))
        for door in doors
    ]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in (looking, *opened):
            task.cancel()
        for failed in await asyncio.gather(*opened, return_exceptions=True):
            if isinstance(failed, Exception):
                log.error("a door failed: %s", type(failed).__name__)


def _start_log(path: Path) -> None:
    """Log to the file, cut when it has grown large. No memory's text is ever logged."""
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    logging.basicConfig(
        filename=path,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
