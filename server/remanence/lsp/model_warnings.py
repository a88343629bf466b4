"""What the engine's memory monitor warns of, told to the user once.

It is looked for after a model has been used, as only that loads one: nothing is polled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.model_messages import ModelsRequest
from remanence.lsp.background import Background

_REST_SECONDS = 12.0  # by then the monitor, which looks every ten seconds, has seen what the answer took
_EVERY_SECONDS = 60.0


class ModelWarnings:
    """Looks at most once a minute, some seconds after an answer, until there was something to tell."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._looked_at: float | None = None
        self._has_told = False

    def look(self, engine: EngineClient, tell: Callable[[str], None]) -> None:
        """Call `tell` with what the monitor warns of, if it does and that is the first time."""
        now = time.monotonic()
        if self._has_told or (self._looked_at is not None and now - self._looked_at < _EVERY_SECONDS):
            return
        self._looked_at = now
        self._background.run(self._look(engine, tell), "look for a warning about memory")

    async def _look(self, engine: EngineClient, tell: Callable[[str], None]) -> None:
        await asyncio.sleep(_REST_SECONDS)
        try:
            warning = (await engine.models(ModelsRequest())).warning
        except EngineError:
            return  # an engine that is gone needs no memory
        if warning and not self._has_told:
            self._has_told = True
            tell(warning)
