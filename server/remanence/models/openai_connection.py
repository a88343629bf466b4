"""One request to an OpenAI-compatible server, and its answer as JSON objects while they come.

Whatever the server does, it is an object, the end, or one LanguageModelError in words. The key is read from
the environment at each request and is in no message.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import queue
import threading
from collections.abc import AsyncIterator, Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from remanence.models.language_model import Cancelled, LanguageModelError
from remanence.models.openai_answers import Event, Refused, in_words, read_body, read_events, sort_of

if TYPE_CHECKING:
    import httpx

_LOOK_SECONDS = 0.02  # how often it is asked whether a request was cancelled
_WRITE_SECONDS = 30.0
_MOST_REDIRECTS = 3
_MOST_BYTES = 32 << 20  # of one answer
_END_POINTS = ("/chat/completions", "/completions", "/models", "/responses")


class CancelledRequest(Exception):
    """Whoever asked does not want it any more; the connection is closed."""


@dataclass(frozen=True)
class Server:
    """Where to ask. `url` with or without its /v1; `key_env` names the environment variable with the key.

    A connection has `connect_seconds` to come about, and fails where no byte comes for `silent_seconds`.
    """

    url: str
    key_env: str = ""
    connect_seconds: float = 5.0
    silent_seconds: float = 120.0

    @cached_property
    def base(self) -> str:
        """The address that end points are added to. Raises LanguageModelError where `url` is none."""
        import httpx

        try:
            url = httpx.URL(self.url.strip())
        except (httpx.InvalidURL, TypeError) as error:
            raise LanguageModelError(f"{self.url!r} is no address: {error}.") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise LanguageModelError(
                f"{self.url!r} is no address of a server: it begins with http:// or https://."
            )
        if url.userinfo:
            raise LanguageModelError("A server's url holds no password: name its variable in `key_env`.")
        path = url.path.rstrip("/")
        for end_point in _END_POINTS:
            path = path.removesuffix(end_point)
        return str(url.copy_with(path=path or "/v1", query=None, fragment=None)).rstrip("/")

    @cached_property
    def name(self) -> str:
        """How messages call it."""
        import httpx

        url = httpx.URL(self.base)
        return url.host if url.port is None else f"{url.host}:{url.port}"

    def key(self) -> str:
        """The key, or nothing where none is wanted. Raises LanguageModelError where it cannot be used."""
        if not self.key_env:
            return ""
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise LanguageModelError(
                f"The key of {self.name} is not there: set the environment variable {self.key_env} "
                "where Remanence's engine is started."
            )
        if not key.isascii() or not key.isprintable():
            raise LanguageModelError(
                f"What {self.key_env} holds is no key: it has characters no header can carry."
            )
        return key


def events(
    server: Server, end_point: str, body: Mapping[str, object] | None, cancelled: Cancelled
) -> Generator[Event, None, None]:
    """POST `body` (GET where there is none) and pass on each object of the answer: one, or those of a stream.

    A stream that says it is done ends the iteration with None. Raises Refused for an answer that is an
    error, LanguageModelError for one that is no answer, CancelledRequest within 100 ms of the cancelling.
    """
    key = server.key()
    base = server.base
    found: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
    over = _Over()

    async def read() -> None:
        async for event in _answer(server, f"{base}{end_point}", body, key):
            found.put(event)

    def run() -> None:
        try:
            asyncio.run(over.unless_left(read()))
        except Exception as error:  # noqa: BLE001  raised where it is read
            found.put(error)
        else:
            found.put(_END)

    reader = threading.Thread(target=run, name="openai", daemon=True)
    reader.start()
    try:
        while True:
            try:
                event = found.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if cancelled():
                    raise CancelledRequest from None
                continue
            if event is _END:
                return
            if isinstance(event, Exception):
                raise in_words(event, server.name, key, server.silent_seconds) from event
            if cancelled():
                raise CancelledRequest
            yield event
    finally:
        over.leave()


_END = LanguageModelError("")


class _Over:
    """Lets one thread end what runs in another thread's event loop, whenever that begins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    async def unless_left(self, work: Any) -> None:
        """Do the work until it is done or left."""
        task = asyncio.ensure_future(work)
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), task
            if self._left:
                task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def leave(self) -> None:
        """End it; nothing where it has ended."""
        with self._lock:
            self._left = True
            if self._loop is not None and self._task is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed already
                    self._loop.call_soon_threadsafe(self._task.cancel)


async def _answer(
    server: Server, address: str, body: Mapping[str, object] | None, key: str
) -> AsyncIterator[Event]:
    import httpx

    headers = {"Accept": "text/event-stream, application/json", "User-Agent": "remanence"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    content = None if body is None else msgspec.json.encode(body)
    timeout = httpx.Timeout(
        server.silent_seconds, connect=server.connect_seconds, write=_WRITE_SECONDS, pool=None
    )
    url = httpx.URL(address)
    async with httpx.AsyncClient(timeout=timeout, trust_env=not _is_loopback(url.host)) as client:
        for _ in range(_MOST_REDIRECTS):
            request = client.build_request(
                "GET" if body is None else "POST", url, headers=headers, content=content
            )
            response = await client.send(request, stream=True)
            try:
                if response.is_redirect:
                    url = _redirected(url, response, server.name)
                    continue
                async for event in _read(response):
                    yield event
                return
            finally:
                await response.aclose()
    raise LanguageModelError(f"{server.name} sends requests on and on: check the url in the settings.")


async def _read(response: httpx.Response) -> AsyncIterator[Event]:
    chunks = _bounded(response.aiter_bytes())
    first = b""
    async for chunk in chunks:
        first += chunk
        if first.strip():
            break
    if response.status_code >= 300:
        raise Refused(response.status_code, await read_body(first, chunks))
    if sort_of(response.headers.get("content-type", ""), first) == "events":
        async for event in read_events(first, chunks):
            yield event
        return
    yield await read_body(first, chunks, whole=True)
    yield None


async def _bounded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > _MOST_BYTES:
            raise LanguageModelError("The server's answer is longer than any answer is.")
        yield chunk


def _redirected(url: httpx.URL, response: httpx.Response, name: str) -> httpx.URL:
    """Where to ask instead: on the same server, or over TLS on the same host."""
    to = url.join(response.headers["location"])
    same = (to.scheme, to.host, to.port) == (url.scheme, url.host, url.port)
    if same or (to.host == url.host and url.scheme == "http" and to.scheme == "https"):
        return to
    raise LanguageModelError(
        f"{name} sends requests on to {to.host}, which you did not name: put that in `url` if it is right."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
