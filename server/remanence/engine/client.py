"""How a door reaches the engine: one typed call per verb, the same over the socket or in process."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from remanence.engine import fact_messages as fm
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.parsing import parse_request
from remanence.engine.streaming import events_of, raising_errors
from remanence.engine.verbs import EngineError, Handler, StreamHandler
from remanence.paths import Home

__all__ = ["EngineClient", "EngineError", "connect", "parse_request"]


class EngineClient(ABC):
    """The engine as a door sees it. Every method raises EngineError in words.

    Cancelling the task that awaits an answer ends the engine's work on it.
    """

    @abstractmethod
    async def call(self, verb: str, request: m.Request) -> m.Response:
        """Ask for a verb by name; the answer is of the type that `VERBS` gives for it."""

    @abstractmethod
    def stream(self, verb: str, request: m.Request) -> AsyncIterator[m.Event]:
        """Ask for a verb that answers in parts: its events as they come. Ending the iteration early, or
        cancelling it, ends the engine's work on it."""

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

    def ask(self, request: mm.AskRequest) -> AsyncIterator[mm.AskEvent]:
        return cast(AsyncIterator[mm.AskEvent], self.stream("ask", request))

    async def infill(self, request: mm.InfillRequest) -> mm.InfillResponse:
        return cast(mm.InfillResponse, await self.call("infill", request))

    async def accepted(self, request: mm.AcceptedRequest) -> mm.AcceptedResponse:
        return cast(mm.AcceptedResponse, await self.call("accepted", request))

    async def models(self, request: mm.ModelsRequest) -> mm.ModelsResponse:
        return cast(mm.ModelsResponse, await self.call("models", request))

    async def facts(self, request: fm.FactsRequest) -> fm.FactsResponse:
        return cast(fm.FactsResponse, await self.call("facts", request))

    async def decisions(self, request: fm.DecisionsRequest) -> fm.DecisionsResponse:
        return cast(fm.DecisionsResponse, await self.call("decisions", request))

    async def consolidate(self, request: fm.ConsolidateRequest) -> m.JobStarted:
        return cast(m.JobStarted, await self.call("consolidate", request))

    async def dataset(self, request: lm.DatasetRequest) -> lm.DatasetResponse:
        return cast(lm.DatasetResponse, await self.call("dataset", request))

    async def train(self, request: lm.TrainRequest) -> lm.TrainResponse:
        return cast(lm.TrainResponse, await self.call("train", request))

    async def evaluate(self, request: lm.EvaluateRequest) -> m.JobStarted:
        return cast(m.JobStarted, await self.call("evaluate", request))

    async def adapters(self, request: lm.AdaptersRequest) -> lm.AdaptersResponse:
        return cast(lm.AdaptersResponse, await self.call("adapters", request))

    async def automatic(self, request: lm.AutomaticRequest) -> lm.AutomaticResponse:
        return cast(lm.AutomaticResponse, await self.call("automatic", request))


class LocalClient(EngineClient):
    """An engine inside this process (`--standalone`): the same service without the socket."""

    def __init__(
        self, handlers: dict[str, Handler], streams: dict[str, StreamHandler], close: Callable[[], None]
    ) -> None:
        self._handlers = handlers
        self._streams = streams
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

    def stream(self, verb: str, request: m.Request) -> AsyncIterator[m.Event]:
        """See EngineClient."""
        return raising_errors(events_of(self._streams[verb], request))

    async def close(self) -> None:
        """Ends the engine, with everything saved."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._close)
        self._threads.shutdown(wait=False, cancel_futures=True)


async def connect(home: Home, *, standalone: bool = False) -> EngineClient:
    """Reach the engine of this data directory, starting it if none runs. Raises EngineError in words.

    A `standalone` one holds the same lock: there is never a second engine beside it.
    """
    try:
        if standalone:
            return await asyncio.to_thread(_open_alone, home)
        from remanence.engine.socket_client import SocketClient  # its HTTP is no part of a door's start

        client = SocketClient(home)
        await client.connected()
        return client
    except OSError as error:
        raise EngineError("unavailable", f"The data directory cannot be used: {error}") from error


def _open_alone(home: Home) -> LocalClient:
    import filelock

    from remanence.engine.service import open_service  # the heavy half: never loaded by a shared door

    home.create()
    lock = filelock.FileLock(home.engine_lock, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise EngineError(
            "unavailable",
            f"Another engine has {home.root} open: end it with `remanence stop`, or do without --standalone.",
        ) from error
    try:
        service = open_service(home)
    except BaseException:
        lock.release()
        raise

    def close() -> None:
        try:
            service.close()
        finally:
            lock.release()

    return LocalClient(service.handlers(), service.streams(), close)
