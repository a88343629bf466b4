"""Few segments for Tantivy to search, where its own rule would leave many.

Every term of a query is looked up in each segment, and whatever is touched of a file is mapped 64 kB at a
time: at a million exchanges in 15 segments a search touched 10 MB, in one segment 1.5, in four fifths of
the time. Tantivy merges eight segments of about a size, by its LogMergePolicy; tantivy-py can neither set
another nor ask for a merge. So where little is missing, segments of empty documents make up the number, and
are deleted as soon as all are one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, combinations
from pathlib import Path

from remanence.memory.segment_list import read_segments

# tantivy/src/indexer/log_merge_policy.rs: its defaults
_MERGED = 8  # segments of one level
_SMALL = 10_000  # documents: smaller segments count as so large
_LEVEL = 0.75  # by how much the binary logarithms of sizes in one level differ at most

_FEW = 4  # segments: as good as one
# Empty documents for each other: they stay, deleted, until the next merge, and BM25 takes them for texts.
_MOST_EMPTY = 0.15


def sizes(folder: Path) -> list[int]:
    """How many documents each committed segment in this folder holds. Raises OSError or ValueError."""
    return [segment.documents for segment in read_segments(folder)]


def lacking(sizes: Sequence[int]) -> tuple[int, ...]:
    """How many empty documents to commit, one segment after another, so that Tantivy makes few segments of
    those with these many documents; none where they are few, or it would take too many.

    A level that has all it needs, whose merge was broken off, needs any commit to be looked at again.
    """
    if len(sizes) <= _FEW:
        return ()
    best: tuple[int, ...] = ()
    least = (len(sizes) // 2, 0, 0)  # segments that are left, documents and segments that it takes
    levels = _levels(sizes)
    for filled in chain.from_iterable(combinations(levels, n) for n in range(1, len(levels) + 1)):
        added = [_least_beside(level[0]) for level in filled for _ in range(_MERGED - len(level))] or [1]
        if sum(added) > _MOST_EMPTY * sum(sizes):
            continue
        found = (len(_merged([*sizes, *added])), sum(added), len(added))
        if found < least:
            best, least = tuple(added), found
    return best


def _levels(sizes: Sequence[int]) -> list[list[int]]:
    """Segments by size, the largest first, as Tantivy's rule puts them together."""
    levels: list[list[int]] = []
    top = math.inf
    for size in sorted(sizes, reverse=True):
        height = math.log2(max(size, _SMALL))
        if height < top - _LEVEL:
            levels.append([])
            top = height
        levels[-1].append(size)
    return levels


def _merged(sizes: Sequence[int]) -> list[int]:
    """What segments of these sizes become."""
    levels = _levels(sizes)
    whole = [[sum(level)] if len(level) >= _MERGED else level for level in levels]
    left = [size for level in whole for size in level]
    return _merged(left) if len(left) < len(sizes) else left


def _least_beside(size: int) -> int:
    """How many documents a segment needs to be in one level with one of this size."""
    least = math.ceil(size / 2**_LEVEL)
    return 1 if least <= _SMALL else least + 1
