"""An optional abstractive summariser, in a worker process that is there while it is used.

What it writes is a proposal: whoever asks checks that no name and no number was lost.
"""

from __future__ import annotations

import threading
import time

from remanence.models.language_model import (
    ChatMessage,
    Generation,
    LanguageModelError,
    LoadRequest,
)
from remanence.models.model_client import ModelProcess

_RETRY_SECONDS = 60.0  # after a model that could not be loaded
_LOOK_SECONDS = 0.02


class Summariser:
    """Safe to use from several threads; one text at a time. It never raises: without a summary, enrichment
    goes on with its extract, and `problem` says in words why there was none."""

    def __init__(
        self,
        model: str,
        *,
        threads: int = 1,
        idle_seconds: float = 120.0,
        wait_seconds: float = 2.0,
        text_seconds: float = 20.0,
    ) -> None:
        """`model` is a folder or a model id (see `summariser_backend`). The first text starts its process,
        and waits for it no longer than `wait_seconds`; one text may take `text_seconds`."""
        self._asked = LoadRequest(path=model, threads=threads)
        self._idle_seconds = idle_seconds
        self._wait_seconds = wait_seconds
        self._text_seconds = text_seconds
        self._process = ModelProcess("summariser")
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None
        self._end: threading.Timer | None = None
        self._using = 0
        self._failed_at = float("-inf")
        self.problem: str | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._process.pid

    @property
    def rss_mb(self) -> float:
        """What the worker has in memory, in MB."""
        return self._process.rss_mb

    def shorten(self, text: str, query: str, tokens: int) -> str | None:
        """The text in at most `tokens` of the summariser's own tokens, or None: it is short enough, or the
        model is not loaded yet, cannot do it, or takes too long."""
        with self._lock:
            self._using += 1
        try:
            return self._shortened(text, query, tokens) if self._loaded() else None
        except LanguageModelError as error:
            self.problem = str(error)
            return None
        finally:
            self._leave()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._end is not None:
                self._end.cancel()
        self._process.close()

    def _shortened(self, text: str, query: str, tokens: int) -> str | None:
        deadline = time.monotonic() + self._text_seconds
        asked = Generation(
            messages=(ChatMessage("system", query), ChatMessage("user", text)), max_tokens=max(1, tokens)
        )
        parts = self._process.generate(asked, lambda: time.monotonic() > deadline)
        said = "".join(part for part in parts if isinstance(part, str)).strip()
        if time.monotonic() > deadline:
            self.problem = f"The summariser took longer than {self._text_seconds:g} s for a text."
            return None
        self.problem = None
        return said if said and len(said) < len(text) else None

    def _loaded(self) -> bool:
        """Whether the model is there by now."""
        with self._lock:
            if self._process.is_alive and self._loading is None:
                return True
            if self._loading is None:
                if time.monotonic() - self._failed_at < _RETRY_SECONDS:
                    return False
                self._loading = threading.Thread(target=self._load, name="summariser", daemon=True)
                self._loading.start()
            loading = self._loading
        loading.join(self._wait_seconds)
        return not loading.is_alive() and self._process.is_alive

    def _load(self) -> None:
        try:
            self._process.load(self._asked)
        except LanguageModelError as error:
            self.problem = str(error)
            self._failed_at = time.monotonic()
        finally:
            with self._lock:
                self._loading = None

    def _leave(self) -> None:
        """Have the process ended when nobody has asked for a while."""
        with self._lock:
            self._using -= 1
            if self._end is not None:
                self._end.cancel()
            self._end = threading.Timer(self._idle_seconds, self._end_if_idle)
            self._end.daemon = True
            self._end.start()

    def _end_if_idle(self) -> None:
        with self._lock:
            if self._using == 0 and self._loading is None:
                self._process.close()
