"""Which language models are in memory: loaded on first use, unloaded when idle or when another needs room."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager

from remanence.models.choosing import choose_backend
from remanence.models.fitting import Demand, Limits, demand_of, fits, free_mb, refusal, window_of
from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    Generation,
    LanguageModel,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.model_client import GivenUp, ModelProcess, WorkerGone
from remanence.models.profiles import Profile, profile_of
from remanence.models.resident import Choose, LoadProgress, ModelReport, Resident
from remanence.models.worker_pipes import LOOK_SECONDS
from remanence.settings import LanguageModelSettings, LanguageModelsSettings

log = logging.getLogger(__name__)

_ROOM_SECONDS = 60.0  # what a model waits for those in use to make room for it
_TEND_SECONDS = 30.0


def never() -> bool:
    """Nobody cancels."""
    return False


class Residency:
    """The language models of one engine, by their names in the settings; `default` is the one that answers,
    `limit_mb` what they may take together. Safe to use from several threads.

    A model in use is never unloaded. Every method that may load one waits for that; once `cancelled`, it
    raises GivenUp, and the model goes on loading: the next request wants it too.
    """

    def __init__(
        self,
        settings: LanguageModelsSettings,
        *,
        profile: Profile | None = None,
        choose: Choose = choose_backend,
        free: Callable[[], float] = free_mb,
        process: Callable[[str], ModelProcess] = ModelProcess,
        room_seconds: float = _ROOM_SECONDS,
    ) -> None:
        self.profile = profile or profile_of()
        self.default = settings.use
        self.limit_mb = settings.most_mb or self.profile.most_mb
        self._settings = settings
        self._choose = choose
        self._free = free
        self._process = process
        self._room_seconds = room_seconds
        self._models = {id: Resident(id, each) for id, each in settings.models.items()}
        self._changed = threading.Condition()
        self._one_load = threading.Lock()  # disk and memory serve one at a time best
        self._tending: threading.Thread | None = None
        self._closed = False

    def generate(
        self,
        id: str,
        asked: Generation,
        cancelled: Cancelled,
        *,
        window: str = "",
        adapter: str | None = None,
    ) -> Iterator[str | Usage]:
        """See LanguageModel. Loads the model first where it is not in memory; the requests of several windows
        to one model are served in turn, one of each. `adapter` is applied for this request alone, in place of
        the model's own; a model on a server takes none."""
        model = self._find(id)
        if model.is_remote:
            yield from self._remote(model).generate(asked, cancelled)
            return
        try:
            with model.turns.turn(window, cancelled):
                try:
                    yield from self._write(model, asked, cancelled, adapter)
                except WorkerGone:  # an earlier answer ended it, and nothing of this one was begun
                    yield from self._write(model, asked, cancelled, adapter)
        except GivenUp:
            yield Usage(finish="cancelled")

    def count_tokens(self, id: str, text: str, cancelled: Cancelled = never) -> int:
        """See LanguageModel."""
        model = self._find(id)
        if model.is_remote:
            return self._remote(model).count_tokens(text)
        with self._held(model, cancelled) as process:
            return process.count_tokens(text, cancelled)

    def capabilities(self, id: str, cancelled: Cancelled = never) -> Capabilities:
        """What the model can do."""
        model = self._find(id)
        if model.is_remote:
            return self._remote(model).capabilities
        with self._held(model, cancelled) as process:
            return process.capabilities

    def use_adapter(self, id: str, path: str | None, cancelled: Cancelled = never) -> None:
        """See LanguageModel; until the model is unloaded."""
        model = self._find(id)
        if model.is_remote:
            self._remote(model).use_adapter(path)
            return
        with model.turns.turn("", cancelled), self._held(model, cancelled) as process:
            process.use_adapter(path, cancelled)
            model.lent_adapter = None

    def keep_adapter(self, id: str, path: str | None) -> None:
        """Apply this adapter whenever the model is loaded, and now where it is, in place of the one that its
        settings name; None: that one, or none. Raises LanguageModelError where it cannot be applied."""
        model = self._find(id)
        with self._changed:
            if model.kept_adapter == path:
                return
            model.kept_adapter = path
            is_in_memory = model.process is not None and not model.is_remote
        if is_in_memory:
            self.use_adapter(id, model.adapter)

    def is_loaded(self, id: str) -> bool:
        """Whether it can be asked without waiting for it to be loaded."""
        model = self._find(id)
        return model.is_remote or model.loaded() is not None

    def progress(self, id: str) -> LoadProgress | None:
        """How far its loading is; None where it is not being loaded."""
        return self._find(id).progress()

    def is_busy(self) -> bool:
        """Whether a model is being loaded or asked."""
        return any(model.users or model.loading for model in self._models.values())

    def load(self, id: str, cancelled: Cancelled = never) -> None:
        """Bring it into memory. Raises LanguageModelError in words, also where it does not fit."""
        model = self._find(id)
        if not model.is_remote:
            with self._held(model, cancelled):
                return

    def unload(self, id: str) -> None:
        """Give its memory back; breaks its loading off. Raises LanguageModelError where it is in use."""
        model = self._find(id)
        with self._changed:
            process = model.process
            if model.loading is None:
                if model.users:
                    raise LanguageModelError(f"{id} is in use: cancel the answer, or wait for its end.")
                model.process = model.problem = None
        if process is not None:
            process.close()

    def unload_idle(self, is_enough: Callable[[], bool] = never) -> list[str]:
        """Unload what nobody asks for, least recently used first, until it is enough. Gives their names."""
        unloaded: list[str] = []
        while not is_enough():
            with self._changed:
                idle = self._idle()
                if not idle:
                    break
                process, idle[0].process = idle[0].process, None
            if process is not None:
                process.close()
            unloaded.append(idle[0].id)
        return unloaded

    def states(self) -> list[ModelReport]:
        """Every model of the settings as it is now."""
        return [model.report(self._choose) for model in self._models.values()]

    def close(self) -> None:
        """End every worker, whatever it does."""
        with self._changed:
            self._closed = True
            processes = [model.process for model in self._models.values() if model.process is not None]
            self._changed.notify_all()
        for process in processes:
            process.close()
        for model in self._models.values():
            if model.remote is not None:
                model.remote.close()

    def _write(
        self, model: Resident, asked: Generation, cancelled: Cancelled, adapter: str | None
    ) -> Iterator[str | Usage]:
        with self._held(model, cancelled) as process:
            if model.lent_adapter != adapter:
                process.use_adapter(adapter or model.adapter, cancelled)
                model.lent_adapter = adapter
            try:
                yield from process.generate(asked, cancelled)
            except LanguageModelError as error:
                if not process.is_alive:
                    model.problem = str(error)
                raise

    @contextmanager
    def _held(self, model: Resident, cancelled: Cancelled) -> Generator[ModelProcess]:
        """The model in memory, where it stays as long as it is held."""
        with self._changed:
            model.users += 1
        try:
            yield self._loaded(model, cancelled)
        finally:
            with self._changed:
                model.users -= 1
                model.used_at = time.monotonic()
                self._changed.notify_all()

    def _loaded(self, model: Resident, cancelled: Cancelled) -> ModelProcess:
        with self._changed:
            if self._closed:
                raise LanguageModelError("The engine is ending.")
            process, loading = model.loaded(), model.loading
            if process is not None:
                return process
            if loading is None:
                loading, model.loading_since = Future[ModelProcess](), time.monotonic()
                model.loading = loading
                arguments = (model, loading)
                threading.Thread(target=self._load, args=arguments, name="model load", daemon=True).start()
        while True:
            try:
                return loading.result(LOOK_SECONDS)
            except NotYet:
                if cancelled():
                    raise GivenUp from None
            except LanguageModelError as error:
                raise LanguageModelError(str(error)) from error  # its own for each of those who wait

    def _load(self, model: Resident, loading: Future[ModelProcess]) -> None:
        failure: LanguageModelError | None = None
        try:
            with self._one_load:
                self._bring_in(model)
        except LanguageModelError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  whoever waits must be told, whatever it is
            log.error("loading a language model failed: %s", type(error).__name__)
            failure = LanguageModelError(f"{model.id} could not be loaded: {type(error).__name__}.")
        with self._changed:
            model.loading = None
            model.used_at = time.monotonic()
            model.problem = str(failure) if failure is not None else None
            process = model.process
            if failure is not None:
                model.process = None
            self._changed.notify_all()
        if failure is not None or process is None:
            loading.set_exception(failure or LanguageModelError(f"{model.id} was unloaded."))
            return
        loading.set_result(process)
        self._tend()

    def _bring_in(self, model: Resident) -> None:
        chosen = model.read(self._choose)
        settings = model.settings
        context, window_mb = window_of(model.path, chosen, settings.context, self.profile.context)
        model.demand = demand_of(model.id, chosen.size_bytes, chosen.backend, window_mb)
        self._make_room(model, model.demand)
        process = self._process(chosen.backend)
        with self._changed:
            if self._closed:
                raise LanguageModelError("The engine is ending.")
            model.process = process
        capabilities = process.load(
            LoadRequest(
                path=str(model.path.absolute()),
                context=context,
                threads=settings.threads,
                gpu_layers=settings.gpu_layers,
                bits=settings.bits,
                adapter=model.adapter,
            )
        )
        if self._closed:  # just before the process was there to be ended
            process.close()
            raise LanguageModelError("The engine is ending.")
        model.context = capabilities.context
        model.lent_adapter = None

    def _make_room(self, model: Resident, demand: Demand) -> None:
        """Unload what is idle, least recently used first, until this fits; wait for what is in use where it
        would fit without that. Raises LanguageModelError where it cannot fit."""
        deadline = time.monotonic() + self._room_seconds
        while True:
            with self._changed:
                others = [each for each in self._models.values() if each is not model and each.process]
                idle = [each for each in self._idle() if each is not model]
                limits = Limits(self._settings.most_loaded, self.limit_mb, self._free())
                if fits(demand, _demands(others), limits):
                    return
                busy = [each for each in others if each not in idle]
                after = _with_freed(limits, idle)
                if fits(demand, _demands(busy), after):
                    process, idle[0].process = idle[0].process, None
                else:
                    could = fits(demand, (), _with_freed(limits, others))
                    if not could or self._closed or not model.users or time.monotonic() > deadline:
                        raise LanguageModelError(refusal(demand, _demands(busy), after))
                    self._changed.wait(0.2)
                    continue
            if process is not None:
                process.close()

    def _idle(self) -> list[Resident]:
        """Least recently used first."""
        idle = [model for model in self._models.values() if model.is_idle()]
        return sorted(idle, key=lambda model: model.used_at)

    def _tend(self) -> None:
        """See to it that idle models are unloaded in time."""
        with self._changed:
            if self._tending is None and not self._closed:
                self._tending = threading.Thread(target=self._tend_on, name="model tending", daemon=True)
                self._tending.start()

    def _tend_on(self) -> None:
        longest = self._settings.idle_minutes * 60
        while True:
            expired: list[ModelProcess] = []
            with self._changed:
                in_memory = [model for model in self._models.values() if model.process is not None]
                if self._closed or not in_memory:
                    self._tending = None
                    return
                wait = _TEND_SECONDS
                for model in in_memory:
                    idle = model.idle_seconds()
                    if idle is not None and model.process is not None:
                        if idle >= longest or not model.process.is_alive:
                            expired.append(model.process)
                            model.process = None
                        wait = min(wait, longest - idle)
                if not expired:
                    self._changed.wait(max(wait, 0.01))
            for process in expired:
                process.close()

    def _find(self, id: str) -> Resident:
        model = self._models.get(id)
        if model is None:
            known = ", ".join(self._models) or "none"
            raise LanguageModelError(f"There is no language model {id!r} in the settings; known: {known}.")
        return model

    def _remote(self, model: Resident) -> LanguageModel:
        with self._changed:
            if model.remote is None:
                model.remote = _connect(model.settings)
            return model.remote


def _demands(models: list[Resident]) -> list[Demand]:
    return [model.demand for model in models if model.demand is not None]


def _with_freed(limits: Limits, models: list[Resident]) -> Limits:
    """The limits once these models were unloaded."""
    freed = sum(model.process.rss_mb for model in models if model.process is not None)
    return Limits(limits.models, limits.models_mb, limits.free_mb + freed)


def _connect(settings: LanguageModelSettings) -> LanguageModel:
    if not settings.url:
        raise LanguageModelError("Set the `url` of the server that has the model.")
    from remanence.models.openai_backend import OpenAIModel  # brings httpx, for those who name a server

    return OpenAIModel(settings)
