"""What a search of a dense index does: candidates by their codes, then exact cosines of all their units."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import faiss
import numpy as np
from numpy.typing import NDArray

from remanence.memory.dense_slots import CHUNK, Codes, Rowids, View, span_slots
from remanence.memory.vector_file import VectorFile, widened

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]

_UNITS_PER_ROW = 2  # read at most, on the mean
_RUNS = 12  # that all slots are compared in, or more
_LEAST_RUN = 1 << 13  # slots
_HELPED_FROM = 1 << 17  # slots: of fewer the helper would wake too late
HELPER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="codes")
_SHARES = 3  # of what one run would hold of the nearest, if they were spread evenly
_FAR = 1 << 14  # bits: more than any code has
_AT_ONCE = 4096  # vectors read together: 3 MB at 384 dimensions


def never() -> bool:
    """The `cancelled` of a search that nobody cancels."""
    return False


class Cancelled(Exception):
    """Whoever asked no longer waits for the answer."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search works on. Blanking alone may change under it."""

    slots: View
    vectors: VectorFile


def unit_norm(vectors: Floats) -> Floats:
    """Vectors (n, d) at unit norm; one of zeros stays. Raises ValueError for a number that is not finite."""
    if not np.all(np.isfinite(vectors)):
        raise ValueError("a vector holds a number that is not finite")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Floats, np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))


def sign_codes(vectors: Floats | Halves) -> Codes:
    """The signs of vectors (n, d), packed: (n, ceil(d / 8))."""
    # float16 rounds the smallest components to 0, so the sign is taken of what is stored
    return np.packbits(vectors.astype(np.float16) > 0, axis=1)


def nearest(
    searched: Searched,
    query: Floats,
    among: Rowids | None,
    wanted: int,
    rows: int,
    cancelled: Callable[[], bool],
) -> tuple[Rowids, Floats, Floats, Halves]:
    """Of the rows of the `wanted` units whose codes are nearest to that of `query` (d,), unit norm, the most
    likely `rows`: their numbers (n,), the cosines of their wholes (n,) and of the best unit that was read
    (n,), which is the whole where that is nearer; and their wholes (n, d).

    What is read from the disk is chosen by the query against the signs of the vectors, which tells more than
    its signs against theirs. Raises Cancelled, IndexReadError.
    """
    view = searched.slots
    slots, owners = _nearest_codes(view, query, among, wanted, cancelled)
    if cancelled():
        raise Cancelled
    guess = _by_signs(view, slots, query)
    order = np.argsort(-guess, kind="stable")
    slots, owners, guess = slots[order], owners[order], guess[order]
    found, first, at = np.unique(owners, return_index=True, return_inverse=True)
    firsts, counts = view.find(found.astype(np.int64))
    sums = guess[first] + _by_signs(view, firsts, query)
    sums[counts == 0] = -np.inf  # removed meanwhile
    likely = np.zeros(len(found), dtype=np.bool_)
    likely[np.argsort(-sums, kind="stable")[:rows]] = True
    likely &= counts > 0
    read = likely[at]
    read[_UNITS_PER_ROW * rows :] = False
    read[first[likely]] = True
    units, wholes = slots[read], firsts[likely]
    places, back = np.unique(np.concatenate([units, wholes]), return_inverse=True)
    vectors = searched.vectors.gather(places)
    near = np.einsum("id,d->i", widened(vectors), query)[back]  # `@` starts threads
    best = np.full(len(found), -1, dtype=np.float32)
    np.maximum.at(best, at[read], near[: len(units)])
    whole, best, found = near[len(units) :], best[likely], found[likely].astype(np.int64)
    live = view.rows(wholes) >= 0  # what was removed meanwhile may have been read half wiped
    return found[live], whole[live], np.maximum(whole, best)[live], vectors[back[len(units) :][live]]


def _by_signs(view: View, slots: Rowids, query: Floats) -> Floats:
    """How near (n,) each slot is to `query` (d,), going by the signs of its vector alone; only to compare."""
    signs = np.unpackbits(view.codes(slots), axis=1, count=len(query))
    return np.einsum("id,d->i", signs, query)  # widens them in pieces: all at once take four times the room


def _nearest_codes(
    view: View, query: Floats, among: Rowids | None, wanted: int, cancelled: Callable[[], bool]
) -> tuple[Rowids, NDArray[np.int32]]:
    """The `wanted` slots with the nearest codes, and the row of each. Raises Cancelled."""
    code = sign_codes(query[None])
    # of one among many runs a share is enough, unless the nearest lie together
    spread = 1 + _SHARES * wanted * _run(view) // max(view.count, 1)
    share = wanted if among is not None else min(wanted, spread)
    helped = among is None and view.count >= _HELPED_FROM
    found = _nearest_in_each(_parts(view, among), code, share, cancelled, helped)
    near, farthest = _nearest_of(found, wanted)
    if share < wanted and any(each.beyond < farthest for each in found):
        for i, part in enumerate(_parts(view, among)):
            if found[i].beyond < farthest:
                found[i] = _nearest_in(part, code, wanted)
        near, _ = _nearest_of(found, wanted)
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    slots, rows = (
        np.concatenate(each) for each in zip(*((one.slots, one.rows) for one in found), strict=True)
    )
    return slots[near], rows[near]


def _nearest_in_each(
    parts: Iterator[_Part], code: Codes, wanted: int, cancelled: Callable[[], bool], helped: bool
) -> list[_Found]:
    """What `_nearest_in` finds in each part, in order; where `helped`, a second thread takes every part that
    it comes to. It is waited for only where it has begun one. Raises Cancelled."""
    found: list[tuple[int, _Found]] = []
    numbered = enumerate(parts)
    taking = threading.Lock()

    def take() -> None:
        faiss.omp_set_num_threads(1)  # a setting of the calling thread, hence here and not once
        while True:
            with taking:
                number, part = next(numbered, (-1, None))
            if part is None:
                return
            if cancelled():
                raise Cancelled
            found.append((number, _nearest_in(part, code, wanted)))

    helping = HELPER.submit(take) if helped else None
    take()
    if helping is not None and not helping.cancel():
        helping.result()
    return [each for _, each in sorted(found, key=lambda one: one[0])]


def _nearest_of(found: Sequence[_Found], wanted: int) -> tuple[Rowids, int]:
    """Which of all that was found are the `wanted` nearest; and how far away the last of these is."""
    distances = np.concatenate([np.empty(0, dtype=np.int16), *(each.distances for each in found)])
    near = np.argsort(distances, kind="stable")[:wanted]  # 16 bits: by radix
    return near, int(distances[near[-1]]) if len(near) == wanted else _FAR


@dataclass(frozen=True, slots=True)
class _Part:
    """Slots to be compared: the first of their chunk, which from there on they are (None: one after another),
    their codes and rows."""

    start: int
    slots: Rowids | None
    codes: Codes
    rows: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Found:
    """The nearest of a part: their Hamming distances, int16 (n,), slots (n,) and rows (n,); and how far away
    the others are at least."""

    distances: NDArray[np.int16]
    slots: Rowids
    rows: NDArray[np.int32]
    beyond: int


def _nearest_in(part: _Part, code: Codes, wanted: int) -> _Found:
    """The slots of a part, about `wanted` of them, that have the nearest codes and belong to a row."""
    depth = wanted
    while True:
        depth = min(depth, len(part.codes))
        distance, found = faiss.knn_hamming(code, part.codes, depth, variant="mc")
        at = found[0]
        rows = part.rows[at]
        live = rows >= 0
        # blanked slots have a code too and may crowd the nearest: look further until enough are live
        if np.count_nonzero(live) >= 0.8 * wanted or depth == len(part.codes):
            break
        depth *= 2
    beyond = int(distance[0, -1]) if depth < len(part.codes) else _FAR
    slots = part.start + (at if part.slots is None else part.slots[at])
    return _Found(distance[0][live].astype(np.int16), slots[live], rows[live], beyond)


def _run(view: View) -> int:
    """How many slots are compared at once. FAISS takes 3 kB for each that is to be found among them."""
    return min(CHUNK, max(view.count // _RUNS, _LEAST_RUN))


def _parts(view: View, among: Rowids | None) -> Iterator[_Part]:
    """Slots in the scope, a run or a chunk at a time, none of them empty."""
    if among is None:
        for start, chunk in view.runs(_run(view)):
            yield _Part(start, None, chunk.codes, chunk.rows)
    elif len(among) * 16 < view.count:
        slots = np.sort(span_slots(*view.find(np.unique(among))))
        for start in range(0, len(slots), CHUNK):
            part = slots[start : start + CHUNK]
            yield _Part(0, part, view.codes(part), view.rows(part))
    else:
        yield from _masked(view, among)


def _masked(view: View, among: Rowids) -> Iterator[_Part]:
    beyond = int(among.max(initial=0)) + 1
    inside = np.zeros(beyond + 1, dtype=np.bool_)  # the last stands for every other row, and for nobody: -1
    inside[among[among >= 0]] = True
    for start, chunk in view.runs():
        at = np.flatnonzero(inside[np.minimum(chunk.rows, beyond)])
        if len(at):
            yield _Part(start, at, chunk.codes[at], chunk.rows[at])


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
