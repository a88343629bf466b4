"""The language models of one engine: nothing of them is loaded, or even imported, before it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from remanence.engine import model_messages as mm
from remanence.engine.verbs import Cancelled
from remanence.models.language_model import LanguageModelError
from remanence.models.memory_monitor import MemoryMonitor, OwnProcess
from remanence.models.profiles import profile_of
from remanence.settings import LanguageModelSettings, LanguageModelsSettings

if TYPE_CHECKING:
    from remanence.models.residency import Residency


class LanguageModels:
    """Safe to use from several threads. From `start` on it is watched what all processes take in memory."""

    def __init__(
        self, settings: LanguageModelsSettings, adapter_of: Callable[[LanguageModelSettings], str | None]
    ) -> None:
        """`adapter_of` gives the folder of the adapter that a model is served with, or None."""
        self._settings = settings
        self._adapter_of = adapter_of
        self._lock = threading.Lock()
        self._residency: Residency | None = None
        self._monitor = MemoryMonitor(settings.warn_mb or profile_of().warn_mb, self._unload_idle)

    @property
    def warning(self) -> str | None:
        """What there is to say of the memory that all processes take, in words."""
        return self._monitor.warning

    @property
    def is_busy(self) -> bool:
        """Whether a model answers now."""
        return self._residency is not None and self._residency.is_busy()

    def start(self) -> None:
        """Watch the memory from now on."""
        self._monitor.start()

    def processes(self) -> list[OwnProcess]:
        """Every process of ours, the engine first."""
        return self._monitor.processes()

    def residency(self) -> Residency:
        """Which models are in memory; made at the first use."""
        with self._lock:
            if self._residency is None:
                from remanence.models.residency import Residency

                self._residency = Residency(self._settings)
                for id, model in self._settings.models.items():
                    self._residency.keep_adapter(id, self._adapter_of(model))
            return self._residency

    def change_adapters(self) -> list[str]:
        """Serve each model with the adapter it has now; in words, what those say that cannot take it."""
        troubles: list[str] = []
        residency = self._residency
        if residency is None:
            return troubles
        for id, model in self._settings.models.items():
            try:
                residency.keep_adapter(id, self._adapter_of(model))
            except LanguageModelError as error:
                troubles.append(f"{id}: {error}")
        return troubles

    def answer(self, request: mm.ModelsRequest, cancelled: Cancelled) -> mm.ModelsResponse:
        """The verb `models`."""
        from remanence.engine.models_verb import models

        return models(self.residency(), request, cancelled, warning=self.warning)

    def close(self) -> None:
        """End every worker."""
        self._monitor.close()
        with self._lock:
            residency, self._residency = self._residency, None
        if residency is not None:
            residency.close()

    def _unload_idle(self, is_enough: Callable[[], bool]) -> list[str]:
        return self._residency.unload_idle(is_enough) if self._residency is not None else []
