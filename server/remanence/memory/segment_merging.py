"""Few segments for Tantivy to search, where its own rule would leave many.

Every term of a query is looked up in each segment, and whatever is touched of a file is mapped 64 kB at a
time: at a million exchanges in 15 segments a search touched 10 MB, in one segment 1.5, in four fifths of
the time. Tantivy merges eight segments of about a size, by its LogMergePolicy; tantivy-py can neither set
another nor ask for a merge. So where little is missing, segments of empty documents make up the number, and
are deleted as soon as all are one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, cast

# tantivy/src/indexer/log_merge_policy.rs: its defaults
_MERGED = 8  # segments of one level
_SMALL = 10_000  # documents: smaller segments count as so large
_LEVEL = 0.75  # by how much the binary logarithms of sizes in one level differ at most

_FEW = 4  # segments: as good as one
# Empty documents for each other: they stay, deleted, until the next merge, and BM25 takes them for texts.
_MOST_EMPTY = 0.15


def sizes(segments: Path) -> list[int]:
    """How many documents each committed segment in this folder holds. Raises OSError or ValueError."""
    try:
        meta = cast(dict[str, Any], json.loads((segments / "meta.json").read_bytes()))
        return [
            int(each["max_doc"]) - int((each["deletes"] or {"num_deleted_docs": 0})["num_deleted_docs"])
            for each in meta["segments"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError("the list of segments is damaged") from error


def lacking(sizes: Sequence[int]) -> tuple[int, ...]:
    """How many empty documents to commit, one segment after another, so that Tantivy makes few segments of
    those with these many documents; none where they are few, or it would take too many.

    A level that has all it needs, whose merge was broken off, needs any commit to be looked at again.
    """
    best: tuple[int, ...] = ()
    least = (len(sizes) // 2, 0, 0)
    levels = _levels(sizes)
    for count in range(1, len(levels) + 1) if len(sizes) > _FEW else ():
        for filled in combinations(levels, count):
            lack = [(_least_beside(level[0]), _MERGED - len(level)) for level in filled]
            added = [size for size, count in lack for _ in range(count)] or [1]
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
