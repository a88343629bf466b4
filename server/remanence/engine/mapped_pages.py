"""Memory that the engine holds without needing it, given back to the system. Where that cannot be done
(anywhere but on Linux) nothing happens, and nothing here ever fails.

Tantivy maps its files: each page that a search touches counts as the engine's from then on. All of them are
in the system's cache as well and come back from there: at a million exchanges a search touches some 20 MB.
To give back most of them takes a millisecond of a thread that nobody waits for (see memory.mapped_postings),
all of them, by opening the index anew, five, and the next search then takes one more.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
_MADV_DONTNEED = 4
_PAGE = 4096
_LINE = 200  # bytes, at least as many as there are
_MB = 2**20
_MUCH = 300 * _MB  # below that the pages are of more use than the room
_GROWTH = 16 * _MB
_SHARE = 16  # or that part of the whole, where that is more: the pages of a larger store are many
_PAUSE_SECONDS = 0.05


class MappedPages:
    """Calls `give_back` when searches have made much of a mapped index this process's memory, and when the
    engine rests; while it does not, only where `give_back_most`, which takes less, leaves much. A thread does
    it, which sleeps while nobody searches."""

    def __init__(self, give_back: Callable[[], None], give_back_most: Callable[[], None]) -> None:
        self._give_back = give_back
        self._give_back_most = give_back_most
        self._searched = threading.Event()
        self._unrested = False
        self._closing = threading.Event()
        self._least: int | None = None  # bytes of mapped pages that giving back left, at best
        self._thread = threading.Thread(target=self._run, name="mapped pages", daemon=True)

    def start(self) -> None:
        if _LIBC is not None:
            self._thread.start()

    def searched(self) -> None:
        """A search has touched the index. Whether that is much is looked up here: to wake a thread takes
        longer, just when the answer is to be sent."""
        self._unrested = True
        if _LIBC is not None and not self._searched.is_set() and self._is_much():
            self._searched.set()

    def rest(self) -> bool:
        """Nobody has searched for a while: give back what searches touched since the last rest, if any."""
        unrested, self._unrested = self._unrested, False
        if unrested:
            self._give_back()
        return unrested

    def close(self) -> None:
        self._closing.set()
        self._searched.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while self._searched.wait() and not self._closing.is_set():
            if self._is_much():
                self._give_back_most()
                if self._is_much():
                    self._give_back()
                    left = resident()[1]  # more than there need be while a search still holds the old files
                    self._least = left if self._least is None else min(self._least, left)
                    self._closing.wait(_PAUSE_SECONDS)
                self._closing.wait(_PAUSE_SECONDS)
            self._searched.clear()
            if self._closing.is_set():  # whose signal was cleared just now
                return

    def _is_much(self) -> bool:
        """Whether searches have made much of the index this process's memory."""
        whole, mapped = resident()
        return whole > _MUCH and mapped - (self._least or 0) > max(_GROWTH, whole // _SHARE)


def resident() -> tuple[int, int]:
    """Bytes of this process in memory, and how many of them are pages of files; zeros where unknown."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            _, whole, mapped, *_ = file.read(_LINE).split()
        return int(whole) * _PAGE, int(mapped) * _PAGE
    except (OSError, ValueError):
        return 0, 0


def settle() -> None:
    """Give back what the start or a burst of work took and nothing needs any more."""
    trim()
    give_back_code()


def trim() -> None:
    """Give back what was freed but is still held for later: after a burst of work, or loading a model."""
    if _LIBC is not None and hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def give_back_code() -> None:
    """Give back the libraries' code: nearly half of it only the start needed, the rest comes back by itself.

    Code is mapped as it is in its file and is never written, and libraries stay where they are.
    """
    if _LIBC is None:
        return
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            place, rights, _, _, _, *file = line.split(maxsplit=5)
            if rights == "r-xp" and file and ".so" in file[0]:
                start, end = (int(each, 16) for each in place.split("-"))
                _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
