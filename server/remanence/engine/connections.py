"""Requests to the engine over connections that stay open: h11 speaks HTTP, asyncio's streams carry it.

An HTTP client prepares for any server, in a dozen turns of the event loop and two writes, each of which
wakes the engine: a ping takes .40 ms with httpcore and .24 ms like this, and half the processor time.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import h11

from remanence.engine.address import Address

_CONNECT_SECONDS = 5.0
_WRITE_SECONDS = 60.0
_ANSWER_SECONDS = 300.0
_KEPT_SECONDS = 60.0  # the engine hangs up after two minutes
_AT_ONCE = 1 << 18  # bytes


class HungUp(Exception):
    """The engine ended the connection, or was not there to be reached."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content: bytes


@dataclass(slots=True)
class _Connection:
    """One connection, what HTTP knows of it, and since when nobody waits on it."""

    reader: StreamReader
    writer: StreamWriter
    http: h11.Connection
    idle_since: float = 0.0


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
        status, content = 0, bytearray()
        async with self._asked(verb, body) as connection:
            while not isinstance(event := await _next_event(connection, seconds), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    content += event.data
        return Answer(status, bytes(content))

    async def post_for_lines(self, verb: str, body: bytes) -> AsyncGenerator[tuple[int, bytes]]:
        """One request, answered in lines: each with the status of the answer. Ending the iteration hangs up.

        Raises as `post`.
        """
        status, rest = 0, b""
        async with self._asked(verb, body) as connection:
            while not isinstance(event := await _next_event(connection, _ANSWER_SECONDS), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    *lines, rest = (rest + event.data).split(b"\n")
                    for line in lines:
                        yield status, line
        if rest:
            yield status, rest

    def close(self) -> None:
        """End the connections that nobody waits on; the others end with their answers."""
        self._closed = True
        while self._idle:
            self._idle.pop().writer.close()

    @contextlib.asynccontextmanager
    async def _asked(self, verb: str, body: bytes) -> AsyncGenerator[_Connection]:
        """A connection over which this was asked. It stays open where the answer is read to its end."""
        connection = await self._connection()
        http, writer = connection.http, connection.writer
        try:
            writer.write(self._request(http, verb, body))
            with contextlib.suppress(ConnectionError):  # it may have refused the rest, and said why
                async with asyncio.timeout(_WRITE_SECONDS):
                    await writer.drain()
            yield connection
        except TimeoutError:
            raise
        except (OSError, h11.RemoteProtocolError) as error:
            raise HungUp from error
        finally:
            if http.our_state is h11.DONE and http.their_state is h11.DONE and not self._closed:
                http.start_next_cycle()
                connection.idle_since = asyncio.get_running_loop().time()
                self._idle.append(connection)
            else:
                writer.transport.abort()

    async def _connection(self) -> _Connection:
        """The one that was used last, unless it is old or the engine has ended it; or a new one."""
        since = asyncio.get_running_loop().time() - _KEPT_SECONDS
        while self._idle:
            kept = self._idle.pop()
            if kept.idle_since >= since and not kept.reader.at_eof() and not kept.writer.is_closing():
                return kept
            kept.writer.close()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                if self.address.socket is not None:
                    streams = await asyncio.open_unix_connection(self.address.socket, limit=_AT_ONCE)
                else:
                    streams = await asyncio.open_connection("127.0.0.1", self.address.port, limit=_AT_ONCE)
        except OSError as error:  # TimeoutError is one
            raise HungUp from error
        return _Connection(*streams, h11.Connection(h11.CLIENT))

    def _request(self, http: h11.Connection, verb: str, body: bytes) -> bytes:
        """The bytes of a whole request, so that it is written at once."""
        said = [("Host", "127.0.0.1"), *self.address.headers(), ("Content-Length", str(len(body)))]
        request = h11.Request(method="POST", target=f"/v1/{verb}", headers=said)
        parts = (http.send(request), http.send(h11.Data(data=body)), http.send(h11.EndOfMessage()))
        return b"".join(part for part in parts if part)


async def _next_event(connection: _Connection, seconds: float) -> h11.Event:
    """What comes next of an answer. Raises OSError, TimeoutError, h11.RemoteProtocolError."""
    while True:
        event = connection.http.next_event()
        if isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("the engine hung up before it answered")
        if isinstance(event, h11.Event):
            return event
        async with asyncio.timeout(seconds):
            connection.http.receive_data(await connection.reader.read(_AT_ONCE))
