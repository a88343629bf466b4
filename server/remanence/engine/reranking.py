"""The reranker as the engine uses it, when the settings name one: loaded on first use, released when idle.

It judges in a thread of its own, and a recall waits for it only so long: what is not there in time is done
without, in words.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from remanence.engine.preparing import export_in_child
from remanence.engine.verbs import EngineError
from remanence.memory.reranking import NotReranked
from remanence.models.model_folder import ModelError, folder_name
from remanence.models.reranker import GivenUp, Reranker
from remanence.models.reranker_folder import is_prepared, read_manifest, verify
from remanence.paths import Home

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]

_PATIENCE_SECONDS = 2.0  # what one recall waits for all its scores, loading included
_IDLE_SECONDS = 300.0
_REST_SECONDS = 60.0  # after it judged nothing in time, so that not every recall waits in vain


@dataclass(slots=True)
class _Asked:
    query: str
    passages: Sequence[str]
    deadline: float
    scores: Future[Floats] = field(default_factory=Future[Floats])


class RerankerSlot:
    """Holds the reranker of an engine; an empty `model` means that there is none. Safe to use from several
    threads. `patience` is what one recall waits, `idle` after how long without one the model is dropped.
    """

    def __init__(
        self,
        home: Home,
        model: str,
        threads: int,
        *,
        patience: float = _PATIENCE_SECONDS,
        idle: float = _IDLE_SECONDS,
    ) -> None:
        self.model = model
        self.folder: Path = home.models / "rerankers" / folder_name(model)
        self._threads = threads
        self._patience = patience
        self._idle = idle
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loaded: Reranker | None = None
        self._replaced = False  # its folder was prepared again since it was loaded
        self._preparing = False
        self._trouble: str | None = None
        self._rests_until = 0.0

    def is_missing(self) -> bool:
        """Whether the settings name a reranker that is not prepared."""
        return bool(self.model) and not is_prepared(self.folder)

    def for_one_recall(self) -> OneRecall | None:
        """What one recall asks, with its own patience; None where there is no reranker. Begins to load it."""
        if not self.model:
            return None
        deadline = time.monotonic() + self._patience
        if self._loaded is None and self.reason() is None:
            self._ask(_Asked("", (), deadline))
        return OneRecall(self, deadline)

    def describe(self) -> str | None:
        """The model and its state in a few words; None where there is no reranker."""
        if not self.model:
            return None
        try:
            name = read_manifest(self.folder).model_id
        except ModelError:
            return f"{self.model} (not prepared)"
        return f"{name} ({'loaded' if self._loaded else 'prepared'})"

    def problem(self) -> str | None:
        """What a whole check of the model's files finds wrong, in words."""
        return self.degraded() or verify(self.folder)

    def degraded(self) -> str | None:
        """Why nothing can be reranked, in words; None when it can, or there is no reranker."""
        if not self.model or (self._loaded is not None and self._trouble is None):
            return None
        if is_prepared(self.folder) and self._trouble is None:
            return None
        if self._preparing:
            return "reranker is being prepared"
        return self._trouble or "reranker is not prepared: run `remanence prepare`"

    def reason(self) -> str | None:
        """Why it is not asked now, in words; None when it is."""
        if time.monotonic() < self._rests_until:
            return "reranker was too slow a moment ago"
        return self.degraded()

    def prepare(self, report: Callable[[float, str], None], *, force: bool = False) -> None:
        """Export and check the model in a child process. Raises EngineError in words."""
        if not (self.is_missing() or (self.model and force)):
            return
        self._preparing = True
        try:
            export_in_child("remanence.models.reranker_export", "reranker", self.model, self.folder, report)
        except EngineError as error:
            if self.is_missing():  # else the one that was there serves on
                self._trouble = error.message
            raise
        finally:
            self._preparing = False
        self._trouble, self._replaced, self._rests_until = None, True, 0.0

    def close(self) -> None:
        """End its thread after what it does now."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._asked.put(None)
            thread.join(timeout=self._patience)

    def scores(self, query: str, passages: Sequence[str], deadline: float) -> Floats:
        """The scores (n,) if they are there by `deadline` (monotonic). Raises NotReranked in words."""
        if (reason := self.reason()) is not None:
            raise NotReranked(reason)
        asked = _Asked(query, passages, deadline)
        self._ask(asked)
        try:
            return asked.scores.result(timeout=max(deadline - time.monotonic(), 0.0))
        except (TimeoutError, GivenUp):
            slow = "reranker was too slow" if self._loaded is not None else "reranker is being loaded"
            raise NotReranked(slow) from None

    def rest(self) -> None:
        """It judged nothing in time: the next recalls do not wait for it."""
        if self._loaded is not None:
            self._rests_until = time.monotonic() + _REST_SECONDS

    def _ask(self, asked: _Asked) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="reranker", daemon=True)
                self._thread.start()
        self._asked.put(asked)

    def _serve(self) -> None:
        while True:
            try:
                asked = self._asked.get(timeout=self._idle)
            except queue.Empty:
                self._loaded = None
                continue
            if asked is None:
                self._loaded = None
                return
            self._answer(asked)

    def _answer(self, asked: _Asked) -> None:
        try:
            asked.scores.set_result(self._score(asked))
        except GivenUp as error:
            asked.scores.set_exception(error)
        except Exception as error:  # noqa: BLE001  onnxruntime's errors are untyped, and the thread outlives them
            log.error("the reranker failed: %s", type(error).__name__)
            self._loaded = None
            self._trouble = (
                str(error)
                if isinstance(error, ModelError)
                else "reranker failed: run `remanence prepare --force`, or choose another model"
            )
            asked.scores.set_exception(NotReranked(self._trouble))

    def _score(self, asked: _Asked) -> Floats:
        loaded = self._loaded
        if loaded is None or self._replaced:
            self._replaced, self._loaded = False, None
            loaded = None  # never two at once
            loaded = self._loaded = Reranker.load(self.folder, self._threads)
        return loaded.scores(asked.query, asked.passages, lambda: time.monotonic() > asked.deadline)


@dataclass(slots=True)
class OneRecall:
    """The reranker for the length of one recall: after `deadline` (monotonic) it judges no more."""

    slot: RerankerSlot
    deadline: float
    has_judged: bool = False

    def scores(self, query: str, passages: Sequence[str]) -> Floats:
        """How relevant each passage is, from 0 to 1: shape (n,). Raises NotReranked in words."""
        try:
            found = self.slot.scores(query, passages, self.deadline)
        except NotReranked:
            if not self.has_judged and time.monotonic() >= self.deadline:
                self.slot.rest()
            raise
        self.has_judged = True
        return found
