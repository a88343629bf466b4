"""A request's body as it comes in: read whole where memory wants to see it, or handed on in parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive


class ClientGone(Exception):
    """The client hung up before it had said everything."""


class RequestBody:
    """The body of one request. Only one of its readers may wait at a time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[bytes] = []
        self._ended = asyncio.Event()

    async def whole(self, limit: int) -> bytes | None:
        """All of it; None where it is longer than the limit, and `parts` still gives everything.

        Raises ClientGone.
        """
        size = 0
        while not self._ended.is_set():
            part = await self._next()
            self._read.append(part)
            size += len(part)
            if size > limit:
                return None
        return b"".join(self._read)

    async def parts(self) -> AsyncIterator[bytes]:
        """All of it as it comes. Raises ClientGone."""
        while self._read:
            yield self._read.pop(0)
        while not self._ended.is_set():
            yield await self._next()

    async def hung_up(self) -> None:
        """Once the client has hung up (or was answered), after its body is read."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if not message.get("more_body", False):
            self._ended.set()
        return message.get("body", b"")
