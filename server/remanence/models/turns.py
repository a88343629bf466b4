"""Taking turns at what serves one at a time: round robin between those who ask."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from remanence.models.worker_pipes import LOOK_SECONDS, GivenUp


class Turns:
    """After each turn the next goes to the window that has waited longest since its last, whatever number of
    requests another has waiting. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: dict[str, deque[threading.Event]] = {}  # the window whose turn is next comes first

    @contextmanager
    def turn(self, window: str, cancelled: Callable[[], bool]) -> Generator[None]:
        """Wait for a turn and have it. Raises GivenUp once `cancelled` while it waits."""
        granted = self._ask(window)
        while not granted.wait(LOOK_SECONDS):
            if cancelled() and self._withdraw(window, granted):
                raise GivenUp
        try:
            yield
        finally:
            self._pass_on()

    def _ask(self, window: str) -> threading.Event:
        granted = threading.Event()
        with self._lock:
            if self._taken:
                self._waiting.setdefault(window, deque()).append(granted)
            else:
                self._taken = True
                granted.set()
        return granted

    def _withdraw(self, window: str, granted: threading.Event) -> bool:
        """False where the turn has come meanwhile."""
        with self._lock:
            if granted.is_set():
                return False
            queue = self._waiting[window]
            queue.remove(granted)
            if not queue:
                del self._waiting[window]
            return True

    def _pass_on(self) -> None:
        with self._lock:
            window = next(iter(self._waiting), None)
            if window is None:
                self._taken = False
                return
            queue = self._waiting.pop(window)
            queue.popleft().set()
            if queue:
                self._waiting[window] = queue  # behind the others
