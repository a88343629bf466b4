"""Requests to the engine over connections that stay open: httptools reads its HTTP, asyncio carries it.

An HTTP client prepares for any server, in a dozen turns of the event loop and two writes, each of which
wakes the engine: a ping takes .23 ms with httpcore, .15 with h11 over asyncio's streams and .09 like this,
and a seventh of httpcore's processor time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import cast

import httptools

from remanence.engine.address import Address

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 300.0
_KEPT_SECONDS = 60.0  # the engine hangs up after two minutes
_UNREAD = 1 << 18  # bytes of an answer; with more the engine waits until they are wanted


class HungUp(Exception):
    """The engine ended the connection, or was not there to be reached."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: bytes


class Connections:
    """Connections to the engine at one address. As many are opened as there are requests at once."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: list[_Connection] = []
        self._closed = False

    async def post(self, verb: str, body: bytes, seconds: float = _ANSWER_SECONDS) -> Answer:
        """One request; the engine may be silent for so many seconds. Cancelling it hangs up.

        Raises HungUp, and TimeoutError where the engine is silent for longer.
        """
        content = bytearray()
        async with self._asked(verb, body) as connection:
            while (part := await connection.next_part(seconds)) is not None:
                content += part
        return Answer(connection.status, bytes(content))

    async def post_for_lines(self, verb: str, body: bytes) -> AsyncGenerator[tuple[int, bytes]]:
        """One request, answered in lines: each with the status of the answer. Ending the iteration hangs up.

        Raises as `post`.
        """
        rest = b""
        async with self._asked(verb, body) as connection:
            while (part := await connection.next_part(_ANSWER_SECONDS)) is not None:
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield connection.status, line
        if rest:
            yield connection.status, rest

    def close(self) -> None:
        """End the connections that nobody waits on; the others end with their answers."""
        self._closed = True
        while self._idle:
            self._idle.pop().end()

    @contextlib.asynccontextmanager
    async def _asked(self, verb: str, body: bytes) -> AsyncGenerator[_Connection]:
        """A connection over which this was asked. It stays open where the answer is read to its end."""
        connection = await self._connection()
        try:
            connection.ask(self._request(verb, body))
            yield connection
        finally:
            if connection.is_free and not self._closed:
                connection.idle_since = asyncio.get_running_loop().time()
                self._idle.append(connection)
            else:
                connection.end()

    async def _connection(self) -> _Connection:
        """The one that was used last, unless it is old or the engine has ended it; or a new one."""
        loop = asyncio.get_running_loop()
        since = loop.time() - _KEPT_SECONDS
        while self._idle:
            kept = self._idle.pop()
            if kept.is_free and kept.idle_since >= since:
                return kept
            kept.end()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                if self.address.socket is not None:
                    _, made = await loop.create_unix_connection(_Connection, self.address.socket)
                else:
                    port = self.address.port or 0  # there is one where there is no socket
                    _, made = await loop.create_connection(_Connection, "127.0.0.1", port)
        except OSError as error:  # TimeoutError is one
            raise HungUp from error
        return made

    def _request(self, verb: str, body: bytes) -> bytes:
        """The bytes of a whole request, so that it is written at once."""
        said = [("Host", "127.0.0.1"), *self.address.headers(), ("Content-Length", str(len(body)))]
        lines = [f"POST /v1/{verb} HTTP/1.1", *(f"{name}: {value}" for name, value in said), "", ""]
        return "\r\n".join(lines).encode("ascii") + body


class _Connection(asyncio.Protocol):
    """One connection, and what has come of the answer to what was asked last. httptools calls the `on_`
    methods while it is given data."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self.status = 0
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []  # not yet asked for
        self._unread = 0  # bytes of them
        self._has_begun = self._ends_with_connection = False
        self._is_whole = True  # nothing was asked
        self._is_lost = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def is_free(self) -> bool:
        """Whether more may be asked: all answers were read to their ends, and both sides go on."""
        return self._is_whole and not self._parts and not (self._is_lost or self._transport.is_closing())

    def ask(self, request: bytes) -> None:
        self.status, self._has_begun, self._ends_with_connection, self._is_whole = 0, False, True, False
        self._transport.write(request)

    async def next_part(self, seconds: float) -> bytes | None:
        """What has come of the answer's body since the last part, as soon as something has; None at its end.

        Raises HungUp, and TimeoutError after so many seconds of silence.
        """
        while not self._parts:
            if self._is_whole:
                return None
            if self._is_lost:
                raise HungUp
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            too_late = loop.call_later(seconds, _give_up, self._waiting)
            try:
                await self._waiting
            finally:
                too_late.cancel()
        part = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if self._unread > _UNREAD:
            self._transport.resume_reading()
        self._parts, self._unread = [], 0
        return part

    def end(self) -> None:
        """Hang up."""
        self._is_lost = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._is_whole:  # nothing was asked
            self.end()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.end()
        if self._unread > _UNREAD:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        ended_well = exc is None and not self._is_lost
        self._is_whole |= ended_well and self._has_begun and self._ends_with_connection
        self._is_lost = True
        self._wake()

    def on_message_begin(self) -> None:
        self._is_lost |= self._is_whole  # an answer that nobody asked for

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        if not self._is_whole:
            self.status = self._parser.get_status_code()
            self._has_begun = True

    def on_body(self, body: bytes) -> None:
        if not self._is_whole:
            self._parts.append(body)
            self._unread += len(body)

    def on_message_complete(self) -> None:
        self._is_whole = True
        self._is_lost |= not self._parser.should_keep_alive()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _give_up(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
