"""Most pages of a lexical index that searches have touched, given back to the system while they go on.

To open the index anew gives back all, but takes five milliseconds, of which the rest of the engine stands
still for three, and the next search looks for its terms in cold pages. Here only those go of which each query
touches others: which rows hold a term, and at which places in them.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

from remanence.memory.segment_list import read_segments

_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
_MADV_DONTNEED = 4
_POSTINGS = (".idx", ".pos")

Segments = frozenset[str]


def committed(folder: Path) -> Segments:
    """The names of the segments that are committed now; none where that cannot be told."""
    with contextlib.suppress(OSError, ValueError):
        return frozenset(segment.name for segment in read_segments(folder))
    return frozenset()


class MappedPostings:
    """Where one searcher's postings are mapped."""

    def __init__(self, folder: Path, searcher: object, before: Segments) -> None:
        """`before` are the segments that were committed just before the `searcher` saw what is."""
        self._folder = folder
        # What it searches stays mapped where it is for as long as this is held: to tell the system about
        # pages of a file that a merge unmaps meanwhile could take what then lies there.
        self._searcher = searcher
        self._before = before
        self._spans: list[tuple[int, int]] | None = None

    def give_back(self) -> None:
        """Let go of all pages that searches have touched: the system's cache still has them. Nothing happens
        where they cannot be told, which is everywhere but on Linux."""
        if _LIBC is None:
            return
        if self._spans is None:
            self._spans = self._found()
        for start, size in self._spans:
            _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED)

    def _found(self) -> list[tuple[int, int]]:
        """Where each file that the searcher surely has is mapped, and how many bytes."""
        # a name never comes back: what was committed before and still is, was when the searcher looked
        held = self._before & committed(self._folder)
        folder = self._folder.resolve()
        spans: dict[str, list[tuple[int, int]]] = {
            str(folder / f"{name}{kind}"): [] for name in held for kind in _POSTINGS
        }
        with contextlib.suppress(OSError, ValueError):
            for line in Path("/proc/self/maps").read_text().splitlines():
                place, rights, _, _, _, *file = line.split(maxsplit=5)
                if file and file[0] in spans and rights.startswith("r--"):
                    start, end = (int(each, 16) for each in place.split("-"))
                    spans[file[0]].append((start, end - start))
        # of two mappings of a file one is somebody else's, who may end it
        return [found[0] for found in spans.values() if len(found) == 1]
