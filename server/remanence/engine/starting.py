"""How a door finds the engine of a data directory, and starts one where none runs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import filelock
import msgspec

from remanence import __version__
from remanence.engine.address import Address, read_address
from remanence.engine.connections import Connections, HungUp
from remanence.engine.messages import PingResponse
from remanence.engine.verbs import EngineError
from remanence.paths import Home

_START_SECONDS = 90.0  # under a second where nothing else wants the disk; a busy one was seen to take thirty
_DRAIN_SECONDS = 30.0
_POLL_SECONDS = 0.02
_PING_SECONDS = 3.0  # an engine that hangs must not hold its doors
# glibc gives each thread an arena of its own and keeps what was freed: 20 MB more for nothing. A few it may
# keep: with the 128 kB that were set here once, fresh pages for its arrays were a third of a recall's time.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "4000000",
    "MALLOC_MMAP_THRESHOLD_": "2000000",  # set too, or it would stay at 128 kB and grow no more
}


async def ensure_engine(home: Home, dead: Address | None = None) -> Address:
    """The address of a living engine of at least this version. Raises EngineError in words.

    However many doors call this at once, one engine is started. `dead` is known to be gone or going.
    """
    address = await _living(home)
    if address is not None and address != dead and not _is_older(address.version):
        return address
    home.create()
    lock = filelock.FileLock(home.start_lock, mode=0o600)
    deadline = time.monotonic() + _START_SECONDS + _DRAIN_SECONDS
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except filelock.Timeout:
            if time.monotonic() > deadline:
                raise _not_started(home, "another program holds its start lock") from None
            await asyncio.sleep(_POLL_SECONDS)
    try:
        address = await _living(home)
        if address is not None and address.pid != (dead.pid if dead else None):
            if not _is_older(address.version):
                return address
            await _drain(home, address)
        return await _start(home)
    finally:
        lock.release()


async def ping(address: Address) -> PingResponse | None:
    """Whether the engine at this address answers."""
    with closing(Connections(address)) as connections:
        try:
            answer = await connections.post("ping", b"", _PING_SECONDS)
        except (HungUp, TimeoutError):
            return None
    return msgspec.json.decode(answer.content, type=PingResponse) if answer.status == 200 else None


async def drain(home: Home) -> bool:
    """Ask the engine of this home to finish what it does and end; whether one was there."""
    address = await _living(home)
    if address is None:
        return False
    await _drain(home, address)
    return True


async def _living(home: Home) -> Address | None:
    address = read_address(home)
    return address if address is not None and await ping(address) is not None else None


async def _drain(home: Home, address: Address) -> None:
    with closing(Connections(address)) as connections:
        try:
            await connections.post("drain", b"")
        except (HungUp, TimeoutError):
            return
    deadline = time.monotonic() + _DRAIN_SECONDS
    while _is_held(home.engine_lock) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)


async def _start(home: Home) -> Address:
    child = _launch(home)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        address = await _living(home)
        if address is not None:
            return address
        status = child.poll()
        if status == 0:  # it found the lock held by one that was about to end
            child = _launch(home)
        elif status is not None:
            raise _not_started(home, f"it ended with status {status}")
        await asyncio.sleep(_POLL_SECONDS)
    raise _not_started(home, f"it did not answer for {_START_SECONDS:.0f} seconds")


def _launch(home: Home) -> subprocess.Popen[bytes]:
    log_file = home.logs / "engine.log"
    with open(log_file, "ab") as log:
        log_file.chmod(0o600)
        return subprocess.Popen(
            [sys.executable, "-m", "remanence", "--home", str(home.root), "engine"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**ALLOCATOR, **os.environ},
        )


def _is_held(path: Path) -> bool:
    """Whether a living engine holds this lock; the system frees a dead one's."""
    lock = filelock.FileLock(path, mode=0o600)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    lock.release()
    return False


def _not_started(home: Home, reason: str) -> EngineError:
    log_file = home.logs / "engine.log"
    said = _last_line(log_file)
    return EngineError("unavailable", f"The engine did not start: {said or reason} (see {log_file})")


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _is_older(version: str) -> bool:
    return _parts(version) < _parts(__version__)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
