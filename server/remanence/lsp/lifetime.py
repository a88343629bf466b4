"""How the server process lives: its stdout kept for the protocol, its end with the editor's."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import BinaryIO

_POLL_SECONDS = 2.0


def take_stdout() -> BinaryIO:
    """Keep stdout for the protocol and point file descriptor 1 at stderr.

    Whatever prints afterwards, in Python, in C or in a child process, cannot land in the stream.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "wb")


async def await_death(process_id: int, poll_seconds: float = _POLL_SECONDS) -> None:
    """Return once the process is gone. Never returns for one that cannot be seen from here at all,
    such as an editor outside this container."""
    is_parent = os.getppid() == process_id
    if not is_parent and not is_alive(process_id):
        await asyncio.Event().wait()
    while is_alive(process_id) and (not is_parent or os.getppid() == process_id):
        await asyncio.sleep(poll_seconds)


def is_alive(process_id: int) -> bool:
    """Whether a process of this id exists, another user's included."""
    if os.name == "nt":
        import psutil  # os.kill would end the process on Windows

        return psutil.pid_exists(process_id)
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


async def end_with(
    process_id: int, before: Callable[[], Awaitable[None]], within_seconds: float = 3.0
) -> None:
    """Wait for the editor's process to die, tidy up for a bounded time, and end this one.

    The process is ended the hard way: a thread is blocked reading a pipe that some other process may
    still hold open.
    """
    await await_death(process_id)
    try:
        await asyncio.wait_for(before(), within_seconds)
    finally:
        os._exit(1)
