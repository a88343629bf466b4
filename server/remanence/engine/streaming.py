"""Answers that come in parts: a generator that works in a thread, read from the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from remanence.engine import messages as m
from remanence.engine.verbs import EngineError, StreamHandler


async def events_of(handler: StreamHandler, request: m.Request) -> AsyncGenerator[m.Event]:
    """The events of one request as they come; an EngineError is the last of them.

    Ending the iteration, or cancelling whoever awaits it, tells the work to stop and does not wait for it.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[m.Event | None] = asyncio.Queue()
    cancelled = threading.Event()

    def put(event: m.Event | None) -> None:
        if not cancelled.is_set():
            loop.call_soon_threadsafe(events.put_nowait, event)

    def work() -> None:
        try:
            for event in handler(request, cancelled.is_set):
                if cancelled.is_set():
                    return
                put(event)
        except EngineError as error:
            put(m.Event(error=as_response(error)))
        except Exception as error:  # noqa: BLE001  one request's failure must not end the engine
            put(m.Event(error=m.ErrorResponse(code="internal", message=_failed(error))))
        finally:
            put(None)

    # not a pool: a request that waits for its turn at a model would take the place of one that does not
    threading.Thread(target=work, name="stream", daemon=True).start()
    try:
        while (event := await events.get()) is not None:
            yield event
    finally:
        cancelled.set()


async def raising_errors(events: AsyncGenerator[m.Event]) -> AsyncIterator[m.Event]:
    """The events, with the last one's error raised as EngineError."""
    async with aclosing(events):
        async for event in events:
            if event.error is not None:
                raise EngineError(event.error.code, event.error.message, event.error.field)
            yield event


def as_response(error: EngineError) -> m.ErrorResponse:
    """An error as it goes over the wire."""
    return m.ErrorResponse(code=error.code, message=error.message, field=error.field)  # pyright: ignore[reportArgumentType]


def _failed(error: Exception) -> str:
    """Never the error's own words, which may quote a memory."""
    return f"The engine failed: {type(error).__name__}."
