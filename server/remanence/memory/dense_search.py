"""What a search of a dense index does: candidates by their codes, then exact cosines of the likeliest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from remanence.memory.dense_codes import Flags, Floats, Halves, Quantiser
from remanence.memory.dense_slots import CHUNK, Chunk, Rowids, View
from remanence.memory.vector_file import VectorFile, widened

_UNITS_PER_ROW = 2  # read at most, on the mean
_UNSEEN = 0.8  # how near a whole is taken to be that the codes did not find, of the last that they found
_SHARES = 3  # of what one chunk would hold of the nearest, if they were spread evenly
_AT_ONCE = 4096  # vectors read together: 3 MB at 384 dimensions


def never() -> bool:
    """The `cancelled` of a search that nobody cancels."""
    return False


class Cancelled(Exception):
    """Whoever asked no longer waits for the answer."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search works on. Blanking alone may change under it."""

    quantiser: Quantiser
    slots: View
    vectors: VectorFile


def unit_norm(vectors: Floats) -> Floats:
    """Vectors (n, d) at unit norm; one of zeros stays. Raises ValueError for a number that is not finite."""
    if not np.all(np.isfinite(vectors)):
        raise ValueError("a vector holds a number that is not finite")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Floats, np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))


def nearest(
    searched: Searched,
    query: Floats,
    among: Rowids | None,
    wanted: int,
    rows: int,
    cancelled: Callable[[], bool],
) -> tuple[Rowids, Floats, Floats, Halves]:
    """Of the rows of the `wanted` units whose codes are nearest to `query` (d,), unit norm, the likeliest
    `rows`: their numbers (n,), the cosines of their wholes (n,) and of the best unit that was read (n,),
    which is the whole where that is nearer; and their wholes (n, d).

    What is read from the disk is chosen by what the codes say of the best unit and of the whole together.
    Raises Cancelled, IndexReadError.
    """
    view, turned = searched.slots, searched.quantiser.turned(query[None])[0]
    near = _nearest_codes(searched, turned, among, wanted, cancelled)
    if cancelled():
        raise Cancelled
    slots, guess = near.slots, near.near
    found, first, at = np.unique(near.rows, return_index=True, return_inverse=True)
    firsts, counts = view.find(found.astype(np.int64))
    there = counts > 0  # others were removed meanwhile
    is_whole = slots == firsts[at]
    whole = np.full(len(found), _UNSEEN * guess[-1] if len(guess) else 0, dtype=np.float32)
    whole[at[is_whole]] = guess[is_whole]
    sums = np.where(there, guess[first] + whole, -np.inf)
    likely = np.zeros(len(found), dtype=np.bool_)
    likely[np.argsort(-sums, kind="stable")[:rows]] = True
    likely &= there
    read = likely[at]
    read[_UNITS_PER_ROW * rows :] = False
    read[first[likely]] = True
    units, wholes = slots[read], firsts[likely]
    places, back = np.unique(np.concatenate([units, wholes]), return_inverse=True)
    vectors = searched.vectors.gather(places)
    exact = np.einsum("id,d->i", widened(vectors), query)[back]  # `@` starts threads
    best = np.full(len(found), -1, dtype=np.float32)
    np.maximum.at(best, at[read], exact[: len(units)])
    whole, best, found = exact[len(units) :], best[likely], found[likely].astype(np.int64)
    live = view.rows(wholes) >= 0  # what was removed meanwhile may have been read half wiped
    return found[live], whole[live], np.maximum(whole, best)[live], vectors[back[len(units) :][live]]


@dataclass(frozen=True, slots=True)
class _Near:
    """Slots (n,) that are near by their codes: how `near`, best first, and their rows. No other of the same
    part is nearer than `beyond`."""

    near: Floats
    slots: Rowids
    rows: NDArray[np.int32]
    beyond: float


def _nearest_codes(
    searched: Searched, turned: Floats, among: Rowids | None, wanted: int, cancelled: Callable[[], bool]
) -> _Near:
    """The `wanted` slots with the nearest codes. Raises Cancelled."""
    view = searched.slots
    look = _look(turned) if among is None else _look_among(searched.quantiser, turned, among)
    # of one among many chunks a share is enough, unless the nearest lie together
    spread = 1 + _SHARES * wanted * CHUNK // max(view.count, 1)
    share = wanted if among is not None else min(wanted, spread)
    found: list[_Near] = []
    for start, chunk in view.chunks():
        if cancelled():
            raise Cancelled
        found.append(look(start, chunk, share))
    nearest = _nearest_of(found, wanted)
    if share < wanted and any(each.beyond > nearest.beyond for each in found):
        for i, (start, chunk) in enumerate(view.chunks()):
            if found[i].beyond > nearest.beyond:
                found[i] = look(start, chunk, wanted)
        nearest = _nearest_of(found, wanted)
    return nearest


def _nearest_of(found: Sequence[_Near], wanted: int) -> _Near:
    """The `wanted` nearest of all that was found, and how near the last of these is."""
    if not found:
        nothing = np.empty(0, dtype=np.int64)
        return _Near(np.empty(0, dtype=np.float32), nothing, nothing.astype(np.int32), -np.inf)
    near = np.concatenate([each.near for each in found])
    order = np.argsort(-near, kind="stable")[:wanted]
    return _Near(
        near[order],
        np.concatenate([each.slots for each in found])[order],
        np.concatenate([each.rows for each in found])[order],
        float(near[order[-1]]) if len(order) == wanted else -np.inf,
    )


def _look(turned: Floats) -> Callable[[int, Chunk, int], _Near]:
    """Looks for the nearest codes of a chunk that belong to a row, about so many of them."""

    def look(start: int, chunk: Chunk, wanted: int) -> _Near:
        depth = wanted
        while True:
            depth = min(depth, len(chunk.codes))
            near, at = chunk.codes.nearest(turned, depth)
            rows = chunk.rows[at]
            live = rows >= 0
            # what was removed has a code still and may crowd the nearest: look further until enough are live
            if np.count_nonzero(live) >= 0.8 * wanted or depth == len(chunk.codes):
                break
            depth *= 2
        beyond = float(near[-1]) if depth < len(chunk.codes) else -np.inf
        return _Near(near[live], start + at[live], rows[live], beyond)

    return look


def _look_among(quantiser: Quantiser, turned: Floats, among: Rowids) -> Callable[[int, Chunk, int], _Near]:
    """Looks for the nearest codes of a chunk that belong to one of these rows."""
    outside = int(among.max(initial=0)) + 1
    inside = np.zeros(outside + 1, dtype=np.bool_)  # the last stands for every other row, and for nobody: -1
    inside[among[among >= 0]] = True
    scanner = quantiser.scanner()

    def look(start: int, chunk: Chunk, wanted: int) -> _Near:
        marked: Flags = inside[np.minimum(chunk.rows, outside)]
        near, at = scanner.nearest(chunk.codes, marked, turned, wanted)
        return _Near(near, start + at, chunk.rows[at], -np.inf)

    return look


def cosines(
    searched: Searched,
    query: Floats,
    rowids: Rowids,
    cancelled: Callable[[], bool] = never,
) -> tuple[Floats, Floats, Halves]:
    """Cosines of `query` (d,), of unit norm, to the whole and to the best unit of each row: both (n,),
    nan for a row that is not there; and their wholes (n, d), zeros for such a row.

    Raises Cancelled, IndexReadError.
    """
    view = searched.slots
    whole = np.full(len(rowids), np.nan, dtype=np.float32)
    best = whole.copy()
    wholes = np.zeros((len(rowids), len(query)), dtype=np.float16)
    firsts, counts = view.find(rowids)
    there = np.flatnonzero(counts)
    there = there[np.argsort(firsts[there], kind="stable")]
    groups = (np.cumsum(counts[there]) - 1) // _AT_ONCE
    for part in np.split(there, np.flatnonzero(np.diff(groups)) + 1):
        if cancelled():
            raise Cancelled
        if len(part) == 0:
            continue
        read = searched.vectors.read(firsts[part], counts[part])
        each = np.einsum("id,d->i", widened(read), query)  # `@` starts threads
        starts = np.cumsum(counts[part]) - counts[part]
        live = view.rows(firsts[part]) >= 0  # what was removed meanwhile may have been read half wiped
        part, firsts_read = part[live], starts[live]
        whole[part] = each[firsts_read]
        best[part] = np.maximum.reduceat(each, starts)[live]
        wholes[part] = read[firsts_read]
    return whole, best, wholes
