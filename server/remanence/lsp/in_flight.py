"""One piece of work per document at a time: a newer one ends the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class InFlight:
    """What is being worked on, by the document it is for."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def latest(self, key: str, work: Coroutine[Any, Any, _T]) -> _T | None:
        """What the work gives, or None where a newer one took its place before it ended.

        Cancelling whoever awaits this cancels the work.
        """
        before = self._tasks.get(key)
        if before is not None:
            before.cancel()
        task = asyncio.get_running_loop().create_task(work, name="work in flight")
        self._tasks[key] = task
        try:
            await asyncio.wait((task,))
        finally:
            if not task.done():
                task.cancel()
            if self._tasks.get(key) is task:
                del self._tasks[key]
        return None if task.cancelled() else task.result()
