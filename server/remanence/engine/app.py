"""The engine's HTTP interface: `POST /v1/VERB` with the objects of `messages`, JSON in and out."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import threading
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, nullcontext

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from remanence import __version__
from remanence.engine import messages as m
from remanence.engine.foreground import waited_for
from remanence.engine.parsing import parse_request
from remanence.engine.streaming import as_response, events_of
from remanence.engine.verbs import VERBS, EngineError, Handler, StreamHandler

log = logging.getLogger(__name__)

_HTTP_STATUS = {"invalid": 400, "not_found": 404, "unavailable": 503, "cancelled": 499, "internal": 500}
_LARGEST_BODY = 64 * 2**20
_THREADS = 4
# Background work steps aside from the request's arrival on: to read and write it is Python's work too.
_HURRIED = frozenset({"recall", "complete", "enrich_prompt", "memory", "capture"})


class Activity:
    """Who uses the engine now, and since when nobody does (seconds on the event loop's clock)."""

    def __init__(self) -> None:
        self.requests = 0
        self.last = 0.0


def create_app(
    handlers: dict[str, Handler],
    streams: dict[str, StreamHandler],
    activity: Activity,
    drain: Callable[[], None],
    *,
    home: str,
    token: str,
) -> Starlette:
    """The application. `token` is asked for where it is not empty (no Unix socket to guard the door)."""
    threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="verb")

    async def answer(request: Request) -> Response:
        if token and not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {token}"):
            return _error(EngineError("invalid", "The token is wrong."), 403)
        name = request.path_params["verb"]
        if name == "ping":
            return _json(m.PingResponse(version=__version__, pid=os.getpid(), home=home))
        if name == "drain":
            drain()
            return _json(m.PingResponse(version=__version__, pid=os.getpid(), home=home))
        if name not in VERBS:
            return _error(EngineError("not_found", f"There is no verb {name!r}."))
        activity.requests += 1
        try:
            with waited_for() if name in _HURRIED else nullcontext():
                message = parse_request(await _body(request), VERBS[name].request)
                if VERBS[name].streams:
                    return StreamingResponse(
                        _lines(events_of(streams[name], message), activity), media_type="application/x-ndjson"
                    )
                return await _run(request, handlers[name], message, threads)
        except EngineError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001  one request's failure must not end the engine
            log.error("%s failed: %s at %s", name, type(error).__name__, _place(error))
            return _error(EngineError("internal", f"The engine failed on {name}: {type(error).__name__}."))
        finally:
            activity.requests -= 1
            activity.last = asyncio.get_running_loop().time()

    return Starlette(routes=[Route("/v1/{verb}", answer, methods=["POST"])])


async def _run(
    request: Request, handler: Handler, message: m.Request, threads: ThreadPoolExecutor
) -> Response:
    """Work in a thread, told to stop when the door hangs up; what has not begun by then never does.

    Raises ClientDisconnect in that case.
    """
    cancelled = threading.Event()
    job = threads.submit(handler, message, cancelled.is_set)
    work = asyncio.wrap_future(job)
    hung_up = asyncio.create_task(_disconnected(request), name="hung up")
    try:
        await asyncio.wait({work, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            cancelled.set()
            if job.cancel():
                raise ClientDisconnect
        return _json(await work)
    finally:
        hung_up.cancel()


async def _lines(events: AsyncGenerator[m.Event], activity: Activity) -> AsyncIterator[bytes]:
    """Each event as a line of JSON. The engine counts as used until the last one, or until the door hangs
    up: Starlette then cancels this."""
    activity.requests += 1
    try:
        async with aclosing(events):
            async for event in events:
                yield m.to_json(event) + b"\n"
    finally:
        activity.requests -= 1
        activity.last = asyncio.get_running_loop().time()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST_BODY:
            raise EngineError("invalid", f"The request is larger than {_LARGEST_BODY // 2**20} MB.")
        parts.append(part)
    return b"".join(parts)


def _json(message: m.Response) -> Response:
    return Response(m.to_json(message), media_type="application/json")


def _error(error: EngineError, status: int | None = None) -> Response:
    body = m.to_json(as_response(error))
    return Response(body, status or _HTTP_STATUS[error.code], media_type="application/json")


def _place(error: Exception) -> str:
    """Where it happened; never the message, which may quote a memory."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
