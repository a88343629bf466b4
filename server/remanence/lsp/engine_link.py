"""The door's line to the engine: opened in the background, so that the editor never waits for it."""

from __future__ import annotations

import asyncio
import logging
import time

from remanence.engine.client import EngineClient, EngineError, connect
from remanence.lsp.background import Background
from remanence.paths import Home

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_SOON_SECONDS = 1.0  # an engine that runs is reached in a thirtieth of that, one that starts about then


class EngineLink:
    """Holds the engine client, connects on demand, and connects anew some seconds after a failure."""

    def __init__(self, home: Home, background: Background) -> None:
        self._home = home
        self._background = background
        self._client: EngineClient | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._problem: EngineError | None = None
        self._failed_at = 0.0
        self.standalone = False

    @property
    def ready(self) -> EngineClient | None:
        """The client, if the engine is reached; None at once where it is not, and it is reached for."""
        if self._client is None:
            self.begin()
        return self._client

    async def soon(self) -> EngineClient | None:
        """The client, waited for a moment where it is being reached for: whoever opens a file points at once.
        None where the engine is not up by then."""
        if self.ready is None and self._connecting is not None:
            await asyncio.wait((self._connecting,), timeout=_SOON_SECONDS)
        return self._client

    def begin(self) -> None:
        """Reach for the engine in the background, unless that is under way or just failed."""
        if self._client is not None or self._connecting is not None:
            return
        if self._problem is not None and time.monotonic() - self._failed_at < _RETRY_SECONDS:
            return
        self._problem = None
        self._connecting = self._background.run(self._connect(), "connect to the engine")

    async def client(self, wait: float) -> EngineClient:
        """The client, waited for at most `wait` seconds. Raises EngineError("unavailable") in words."""
        if self._client is None:
            self.begin()
        if self._connecting is not None:
            await asyncio.wait((self._connecting,), timeout=wait)
        if self._client is not None:
            return self._client
        raise self._problem or EngineError(
            "unavailable", "The memory engine is still starting; try again soon."
        )

    async def close(self) -> None:
        """Let go of the engine. A standalone one ends with everything saved: this waits for it a moment,
        and the process for as long as it takes."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,))
        client, self._client = self._client, None
        if client is not None:
            await asyncio.wait((asyncio.ensure_future(client.close()),), timeout=_CLOSE_SECONDS)

    async def _connect(self) -> None:
        try:
            self._client = await connect(self._home, standalone=self.standalone)
        except EngineError as error:
            log.warning("The engine was not reached: %s", error.message)
            self._problem, self._failed_at = error, time.monotonic()
        finally:
            self._connecting = None
