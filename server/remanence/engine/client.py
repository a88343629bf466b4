"""How a door reaches the engine: one typed call per verb, the same over the socket or in process."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import httpcore
import msgspec

from remanence.engine import messages as m
from remanence.engine.address import Address, post
from remanence.engine.parsing import parse_request
from remanence.engine.starting import ensure_engine
from remanence.engine.verbs import VERBS, EngineError, Handler
from remanence.paths import Home

__all__ = ["EngineClient", "EngineError", "connect", "parse_request"]

_GONE = (httpcore.NetworkError, httpcore.RemoteProtocolError, httpcore.ConnectTimeout)


class EngineClient(ABC):
    """The engine as a door sees it. Every method raises EngineError in words.

    Cancelling the task that awaits an answer ends the engine's work on it.
    """

    @abstractmethod
    async def call(self, verb: str, request: m.Request) -> m.Response:
        """Ask for a verb by name; the answer is of the type that `VERBS` gives for it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the engine; a shared one goes on running."""

    async def capture(self, request: m.CaptureRequest) -> m.CaptureResponse:
        return cast(m.CaptureResponse, await self.call("capture", request))

    async def recall(self, request: m.RecallRequest) -> m.RecallResponse:
        return cast(m.RecallResponse, await self.call("recall", request))

    async def complete(self, request: m.CompleteRequest) -> m.CompleteResponse:
        return cast(m.CompleteResponse, await self.call("complete", request))

    async def enrich_prompt(self, request: m.EnrichPromptRequest) -> m.EnrichPromptResponse:
        return cast(m.EnrichPromptResponse, await self.call("enrich_prompt", request))

    async def memory(self, request: m.MemoryRequest) -> m.Memory:
        return cast(m.Memory, await self.call("memory", request))

    async def forget(self, request: m.ForgetRequest) -> m.ForgetResponse:
        return cast(m.ForgetResponse, await self.call("forget", request))

    async def import_(self, request: m.ImportRequest) -> m.ImportResponse:
        return cast(m.ImportResponse, await self.call("import_", request))

    async def sync(self, request: m.SyncRequest) -> m.ImportResponse:
        return cast(m.ImportResponse, await self.call("sync", request))

    async def sources(self, request: m.SourcesRequest) -> m.SourcesResponse:
        return cast(m.SourcesResponse, await self.call("sources", request))

    async def jobs(self, request: m.JobsRequest) -> m.JobsResponse:
        return cast(m.JobsResponse, await self.call("jobs", request))

    async def cancel(self, request: m.CancelRequest) -> m.JobsResponse:
        return cast(m.JobsResponse, await self.call("cancel", request))

    async def prepare(self, request: m.PrepareRequest) -> m.JobStarted:
        return cast(m.JobStarted, await self.call("prepare", request))

    async def doctor(self, request: m.DoctorRequest) -> m.DoctorResponse:
        return cast(m.DoctorResponse, await self.call("doctor", request))

    async def status(self) -> m.StatusResponse:
        return cast(m.StatusResponse, await self.call("status", m.Empty()))


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
            problem = msgspec.json.decode(answer.content, type=m.ErrorResponse)
            raise EngineError(problem.code, problem.message, problem.field)
        return msgspec.json.decode(answer.content, type=VERBS[verb].response)

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


class LocalClient(EngineClient):
    """An engine inside this process (`--standalone`): the same service without the socket."""

    def __init__(self, handlers: dict[str, Handler], close: Callable[[], None]) -> None:
        self._handlers = handlers
        self._close = close
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="engine")

    async def call(self, verb: str, request: m.Request) -> m.Response:
        """See EngineClient."""
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._handlers[verb], request, cancelled.is_set)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def close(self) -> None:
        """Ends the engine, with everything saved."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._close)
        self._threads.shutdown(wait=False, cancel_futures=True)


async def connect(home: Home, *, standalone: bool = False) -> EngineClient:
    """Reach the engine of this data directory, starting it if none runs. Raises EngineError in words."""
    if not standalone:
        client = SocketClient(home)
        await client.connected()
        return client
    from remanence.engine.service import open_service  # the heavy half: never loaded by a shared door

    service = await asyncio.to_thread(open_service, home)
    return LocalClient(service.handlers(), service.close)
