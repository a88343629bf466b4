"""The engine of a data directory over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast

import httpcore
import msgspec

from remanence.engine import messages as m
from remanence.engine.address import Address, post, post_for_lines
from remanence.engine.client import EngineClient
from remanence.engine.starting import ensure_engine
from remanence.engine.verbs import VERBS, EngineError
from remanence.paths import Home

_GONE = (httpcore.NetworkError, httpcore.RemoteProtocolError, httpcore.ConnectTimeout)


class SocketClient(EngineClient):
    """The engine of a data directory over its socket: started on demand, started again once if it died."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._address: Address | None = None
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._connecting = asyncio.Lock()

    async def call(self, verb: str, request: m.Request) -> m.Response:
        """See EngineClient."""
        body = m.to_json(request)
        pool, address = await self.connected()
        try:
            answer = await post(pool, address, verb, body)
        except _GONE:
            pool, address = await self.connected(address)
            try:
                answer = await post(pool, address, verb, body)
            except _GONE as error:
                raise EngineError("unavailable", "The engine died twice on this request.") from error
        except httpcore.TimeoutException as error:
            raise EngineError("unavailable", "The engine did not answer in time.") from error
        if answer.status != 200:
            raise _refused(answer.content)
        return msgspec.json.decode(answer.content, type=VERBS[verb].response)

    async def stream(self, verb: str, request: m.Request) -> AsyncIterator[m.Event]:
        """See EngineClient. An engine that dies in the middle is not asked again: the beginning was given."""
        body = m.to_json(request)
        kind = cast(type[m.Event], VERBS[verb].response)
        pool, address = await self.connected()
        for attempt in range(2):
            has_begun = False
            try:
                async with aclosing(post_for_lines(pool, address, verb, body)) as lines:
                    async for status, line in lines:
                        if status != 200:
                            raise _refused(line)
                        has_begun = True
                        event = msgspec.json.decode(line, type=kind)
                        if event.error is not None:
                            raise EngineError(event.error.code, event.error.message, event.error.field)
                        yield event
                return
            except _GONE as error:
                if has_begun or attempt:
                    raise EngineError("unavailable", "The engine died while it answered.") from error
                pool, address = await self.connected(address)
            except httpcore.TimeoutException as error:
                raise EngineError("unavailable", "The engine did not answer in time.") from error

    async def connected(self, dead: Address | None = None) -> tuple[httpcore.AsyncConnectionPool, Address]:
        """A pool to a living engine, started if need be; `dead` is the one that just failed the caller."""
        async with self._connecting:
            if self._pool is None or self._address is None or self._address == dead:
                await self.close()
                self._address = await ensure_engine(self._home, dead)
                self._pool = self._address.pool()
            return self._pool, self._address

    async def close(self) -> None:
        """See EngineClient."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()


def _refused(content: bytes) -> EngineError:
    problem = msgspec.json.decode(content, type=m.ErrorResponse)
    return EngineError(problem.code, problem.message, problem.field)
