"""What somebody waits for, and the background work that steps aside for it.

Python runs one thread at a time, whatever their priorities: an import or the filling of an index would
otherwise take every other turn of a recall.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

_MOST_SECONDS = 0.02  # at a time: background work goes on, slowly, though recalls never end

_lock = threading.Lock()
_nobody_waits = threading.Event()
_nobody_waits.set()
_waiting = 0


@contextmanager
def waited_for() -> Generator[None]:
    """Around work that somebody waits for."""
    global _waiting
    with _lock:
        _waiting += 1
        _nobody_waits.clear()
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if not _waiting:
                _nobody_waits.set()


def step_aside() -> None:
    """Between two small pieces of background work: let go while somebody waits, for 20 ms at most."""
    _nobody_waits.wait(_MOST_SECONDS)
