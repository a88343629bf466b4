"""The engine of a data directory over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast

import msgspec

from remanence.engine import messages as m
from remanence.engine.address import Address
from remanence.engine.client import EngineClient
from remanence.engine.connections import Connections, HungUp
from remanence.engine.starting import ensure_engine
from remanence.engine.verbs import VERBS, EngineError
from remanence.paths import Home


class SocketClient(EngineClient):
    """The engine of a data directory over its socket: started on demand, started again once if it died."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._engine: Connections | None = None
        self._connecting = asyncio.Lock()

    async def call(self, verb: str, request: m.Request) -> m.Response:
        """See EngineClient."""
        body = m.to_json(request)
        dead: Address | None = None
        while True:
            engine = await self.connected(dead)
            try:
                answer = await engine.post(verb, body)
                break
            except HungUp as error:
                if dead is not None:
                    raise EngineError("unavailable", "The engine died twice on this request.") from error
                dead = engine.address
            except TimeoutError as error:
                raise EngineError("unavailable", "The engine did not answer in time.") from error
        if answer.status != 200:
            raise _refused(answer.content)
        return msgspec.json.decode(answer.content, type=VERBS[verb].response)

    async def stream(self, verb: str, request: m.Request) -> AsyncIterator[m.Event]:
        """See EngineClient. An engine that dies in the middle is not asked again: the beginning was given."""
        body = m.to_json(request)
        kind = cast(type[m.Event], VERBS[verb].response)
        engine = await self.connected()
        for attempt in range(2):
            has_begun = False
            try:
                async with aclosing(engine.post_for_lines(verb, body)) as lines:
                    async for status, line in lines:
                        if status != 200:
                            raise _refused(line)
                        has_begun = True
                        event = msgspec.json.decode(line, type=kind)
                        if event.error is not None:
                            raise EngineError(event.error.code, event.error.message, event.error.field)
                        yield event
                return
            except HungUp as error:
                if has_begun or attempt:
                    raise EngineError("unavailable", "The engine died while it answered.") from error
                engine = await self.connected(engine.address)
            except TimeoutError as error:
                raise EngineError("unavailable", "The engine did not answer in time.") from error

    async def connected(self, dead: Address | None = None) -> Connections:
        """Connections to a living engine, started if need be; `dead` just failed the caller."""
        async with self._connecting:
            if self._engine is None or self._engine.address == dead:
                await self.close()
                self._engine = Connections(await ensure_engine(self._home, dead))
            return self._engine

    async def close(self) -> None:
        """See EngineClient."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


def _refused(content: bytes) -> EngineError:
    problem = msgspec.json.decode(content, type=m.ErrorResponse)
    return EngineError(problem.code, problem.message, problem.field)
