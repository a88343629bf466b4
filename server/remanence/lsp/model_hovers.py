"""What the language model says of what is hovered: one question per document at a time.

A hover waits for it a bounded time. What comes later is there when the same thing is hovered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from remanence.lsp.background import Background

_KEPT = 32
_GIVEN_UP_SECONDS = 60.0

Says = Callable[[], Coroutine[None, None, str | None]]


class ModelHovers:
    """The questions under way, by document, and their answers, by what was asked."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._under_way: dict[str, tuple[str, asyncio.Task[str | None]]] = {}
        self._said: dict[str, str] = {}

    def answer(self, uri: str, question: str, says: Says) -> Awaitable[str | None]:
        """The task that answers: begun with `says` unless it is under way or was answered before. It takes
        the place of one about something else in the same document."""
        if (known := self._said.get(question)) is not None:
            done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
            done.set_result(known)
            return done
        before = self._under_way.get(uri)
        if before is not None and not before[1].done():
            if before[0] == question:
                return before[1]
            before[1].cancel()
        task = self._background.run(self._asked(question, says), "ask the model about a hover")
        self._under_way[uri] = question, task
        return task

    async def _asked(self, question: str, says: Says) -> str | None:
        try:
            said = await asyncio.wait_for(says(), _GIVEN_UP_SECONDS)
        except TimeoutError:
            return None
        if said:
            self._said[question] = said
            if len(self._said) > _KEPT:
                del self._said[next(iter(self._said))]
        return said
