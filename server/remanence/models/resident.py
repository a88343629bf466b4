"""One language model of the settings: where it comes from, and whether it is in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from remanence.models.choosing import Chosen
from remanence.models.fitting import Demand
from remanence.models.language_model import LanguageModel, LanguageModelError
from remanence.models.model_client import ModelProcess
from remanence.models.turns import Turns
from remanence.settings import LanguageModelSettings

Choose = Callable[[Path, str], Chosen]
State = Literal["unloaded", "loading", "loaded", "busy", "failed", "remote"]

_MB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """One model as it is now; sizes in MB. `idle_seconds` counts from its last answer, while it is loaded."""

    id: str
    backend: str
    place: str
    state: State
    size_mb: float = 0.0
    rss_mb: float = 0.0
    pid: int | None = None
    idle_seconds: float | None = None
    context: int | None = None
    adapter: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a model is that is being loaded: since when, in seconds; its size in MB, 0 where its file was
    not read yet; the share of it that is there, None where its library does not tell."""

    seconds: float
    size_mb: float
    share: float | None


@dataclass(slots=True, eq=False)
class Resident:
    """Its changing half is guarded by the lock of `Residency`.

    `process` is there from the beginning of its loading, which is over when `loading` is None. `users` are
    the requests that have it or wait for it. `problem` says why it could not be loaded, or how it ended.
    """

    id: str
    settings: LanguageModelSettings
    turns: Turns = field(default_factory=Turns)
    remote: LanguageModel | None = None
    process: ModelProcess | None = None
    demand: Demand | None = None
    loading: Future[ModelProcess] | None = None
    loading_since: float = 0.0
    users: int = 0
    used_at: float = 0.0
    problem: str | None = None
    context: int | None = None
    kept_adapter: str | None = None  # applied in place of the one that the settings name
    lent_adapter: str | None = None  # applied now, for a request that asked for it; guarded by `turns`
    chosen: Chosen | None = None
    seen: tuple[int, int] | None = None  # the file's time and size when `chosen` was

    @property
    def is_remote(self) -> bool:
        """Whether a server runs it."""
        return bool(self.settings.url) or self.settings.backend == "openai"

    @property
    def path(self) -> Path:
        """Its file or folder."""
        return Path(self.settings.path).expanduser()

    @property
    def place(self) -> str:
        """Where it comes from, as the user wrote it."""
        return self.settings.url or self.settings.path

    @property
    def adapter(self) -> str | None:
        """The adapter it is loaded with."""
        named = self.settings.adapter
        return self.kept_adapter or (str(Path(named).expanduser().absolute()) if named else None)

    def loaded(self) -> ModelProcess | None:
        """Its process where it is ready to be asked."""
        ready = self.process is not None and self.loading is None and self.process.is_alive
        return self.process if ready else None

    def is_idle(self) -> bool:
        """Whether it is in memory and nobody asks for it."""
        return self.process is not None and self.loading is None and self.users == 0

    def idle_seconds(self) -> float | None:
        """Since its last answer; None where it is not in memory or somebody asks for it."""
        return time.monotonic() - self.used_at if self.is_idle() else None

    def progress(self) -> LoadProgress | None:
        """How far its loading is; None where it is not being loaded."""
        if self.loading is None:
            return None
        size = self.chosen.size_bytes / _MB if self.chosen is not None else 0.0
        share = self.process.loaded_share if self.process is not None else None
        return LoadProgress(time.monotonic() - self.loading_since, size, share)

    def state(self) -> State:
        """In one word."""
        if self.is_remote:
            return "remote"
        if self.loading is not None:
            return "loading"
        if self.loaded() is not None:
            return "busy" if self.users else "loaded"
        return "failed" if self.problem else "unloaded"

    def read(self, choose: Choose) -> Chosen:
        """What runs its file, by `choose`, which is asked again where the file changed. Raises
        LanguageModelError in words."""
        if not self.settings.path:
            raise LanguageModelError(f"Set the `path` of {self.id}, or the `url` of a server that has it.")
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if self.chosen is None or self.seen != seen:
                self.chosen, self.seen = choose(self.path, self.settings.backend), seen
        except OSError as error:
            raise LanguageModelError(f"{self.path} cannot be read: {error.strerror}.") from error
        return self.chosen

    def report(self, choose: Choose) -> ModelReport:
        """As it is now."""
        chosen: Chosen | None = None
        problem = self.problem
        if not self.is_remote:
            try:
                chosen = self.read(choose)
            except LanguageModelError as error:
                problem = str(error)
        process, loaded, idle, state = self.process, self.loaded(), self.idle_seconds(), self.state()
        return ModelReport(
            id=self.id,
            backend="openai" if self.is_remote else chosen.backend if chosen else self.settings.backend,
            place=self.place,
            state="failed" if problem and state == "unloaded" else state,
            size_mb=round(chosen.size_bytes / _MB, 1) if chosen else 0.0,
            rss_mb=round(process.rss_mb, 1) if process is not None else 0.0,
            pid=process.pid if process is not None else None,
            idle_seconds=round(idle, 1) if idle is not None and loaded is not None else None,
            context=self.context if loaded is not None else None,
            adapter=self.kept_adapter or self.settings.adapter or None,
            problem=problem,
        )
