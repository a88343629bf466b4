"""Which slot of a dense index holds which unit of which row, and the code of each slot.

A row's units lie in contiguous slots, the whole first. Slots are only ever appended, in chunks that
never move; a removed one is marked as nobody's and its code blanked. So whatever a search under way
holds of a slot is right or recognisably gone, without a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from remanence.memory.dense_codes import Codes, Flags, Floats, Packed, Quantiser

Rowids = NDArray[np.int64]

CHUNK = 1 << 18  # slots; 8 MB of codes at 384 dimensions, which are copied whenever the last chunk grows
MOST_UNITS = 255  # of one row: what a place has room for
NOBODY = -1
_COUNT_BITS = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """The `codes` of its slots, and `rows` int32 (CHUNK,): the row that each belongs to, or NOBODY."""

    codes: Codes
    rows: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SlotRun:
    """The slots of a chunk as they are saved: packed codes, `rows` int32 (n,), `units` uint8 (n,): 0 is the
    whole."""

    codes: Packed
    rows: NDArray[np.int32]
    units: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """The first `count` slots as a search sees them; what is appended later is not in it."""

    count: int
    _chunks: tuple[Chunk, ...]
    _places: Rowids

    def find(self, rowids: Rowids) -> tuple[Rowids, Rowids]:
        """The first slot of each row and how many it has, 0 where it is not there: both (n,)."""
        places = np.zeros(len(rowids), dtype=np.int64)
        known = (rowids >= 0) & (rowids < len(self._places))
        places[known] = self._places[rowids[known]]
        firsts, counts = places >> _COUNT_BITS, places & MOST_UNITS
        return firsts, np.where(firsts + counts <= self.count, counts, 0)

    def spans(self) -> tuple[Rowids, Rowids, Rowids]:
        """Every row in the order of its slots: its number, first slot and how many it has, each (n,)."""
        rowids = np.flatnonzero(self._places)
        firsts, counts = self.find(rowids)
        there = np.flatnonzero(counts)
        there = there[np.argsort(firsts[there], kind="stable")]
        return rowids[there], firsts[there], counts[there]

    def rows(self, slots: Rowids) -> NDArray[np.int32]:
        """The row that each slot belongs to now, or NOBODY: (n,)."""
        found = np.empty(len(slots), dtype=np.int32)
        for here, chunk, at in _by_chunk(self._chunks, slots):
            found[here] = chunk.rows[at]
        return found

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Every slot in order: where each chunk starts, and the chunk with no more rows than it has codes."""
        for number, chunk in enumerate(self._chunks):
            yield number * CHUNK, Chunk(chunk.codes, chunk.rows[: len(chunk.codes)])

    def units(self, start: int, rows: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Which unit each slot is from slot `start` on, given their rows; 0 for nobody's."""
        units = np.zeros(len(rows), dtype=np.uint8)
        live = np.flatnonzero(rows >= 0)
        units[live] = live + start - (self._places[rows[live]] >> _COUNT_BITS)
        return units


class Slots:
    """The slots of one generation of an index. One writer; a view is for any thread."""

    def __init__(self, quantiser: Quantiser) -> None:
        self._quantiser = quantiser
        self._chunks: list[Chunk] = []
        # Of each row number its first slot and, in the low bits, the count: in one word, so that nobody
        # reads half a change. Row numbers are given one after another, hence no search for them.
        self._places: Rowids = np.zeros(0, dtype=np.int64)
        self._unwiped: list[Rowids] = []
        self.count = 0
        self.rows = 0
        self.gone = 0

    @classmethod
    def restored(cls, quantiser: Quantiser, runs: Iterable[SlotRun]) -> Slots:
        """Slots as they were saved. Raises ValueError where they do not belong together."""
        slots = cls(quantiser)
        units: list[NDArray[np.uint8]] = []
        for run in runs:
            rows = np.zeros(CHUNK, dtype=np.int32)
            rows[: len(run.rows)] = run.rows
            slots._chunks.append(Chunk(quantiser.restored(run.codes, len(run.rows)), rows))
            slots.count += len(run.rows)
            units.append(run.units)
        slots._restore_places(np.concatenate(units) if units else np.empty(0, np.uint8))
        return slots

    def _restore_places(self, units: NDArray[np.uint8]) -> None:
        view = self.view()
        highest = max((int(run.rows.max()) for _, run in view.chunks()), default=-1)
        firsts, counts = np.zeros(highest + 1, dtype=np.int64), np.zeros(highest + 1, dtype=np.int64)
        for start, run in view.chunks():
            live = np.flatnonzero(run.rows >= 0)
            whole = live[units[start + live] == 0]
            firsts[run.rows[whole]] = start + whole
            counts += np.bincount(run.rows[live], minlength=highest + 1)
        for start, run in view.chunks():
            live = np.flatnonzero(run.rows >= 0)
            rows, unit = run.rows[live], units[start + live]
            if np.any(firsts[rows] + unit != start + live) or np.any(unit >= counts[rows]):
                raise ValueError("the units of a row are not together")
        self._places = firsts << _COUNT_BITS | counts
        self.rows = int(np.count_nonzero(counts))
        self.gone = self.count - int(counts.sum())

    def view(self) -> View:
        return View(self.count, tuple(self._chunks), self._places)

    @property
    def nbytes(self) -> int:
        """Bytes in RAM."""
        return self.count * (self._quantiser.code_bytes + 4) + self._places.nbytes

    def append(self, rowids: Rowids, counts: Rowids, vectors: Floats) -> tuple[Rowids, Rowids]:
        """Put units at the end, `counts` (n,) for each of these distinct rows; vectors (sum of counts, d).

        The spans that they replace, first slots and counts: to be blanked once no new search begins
        on the old view.
        """
        old_firsts, old_counts = self.view().find(rowids)
        firsts = self.count + np.cumsum(counts) - counts
        self._make_room(int(rowids.max(initial=-1)) + 1)
        self._put(self._quantiser.turned(vectors), np.repeat(rowids, counts).astype(np.int32))
        self._places[rowids] = firsts << _COUNT_BITS | counts
        replaced = old_counts > 0
        self.rows += int(np.count_nonzero(~replaced))
        return old_firsts[replaced], old_counts[replaced]

    def remove(self, rowids: Rowids) -> tuple[Rowids, Rowids]:
        """Take rows out; the spans they had, already blanked."""
        rowids = np.unique(rowids)
        firsts, counts = self.view().find(rowids)
        held = counts > 0
        firsts, counts = firsts[held], counts[held]
        self.blank(firsts, counts)
        self._places[rowids[held]] = 0
        self.rows -= len(firsts)
        return firsts, counts

    def blank(self, firsts: Rowids, counts: Rowids) -> None:
        """Mark spans as nobody's. Their codes stay until `wipe`."""
        slots = span_slots(firsts, counts)
        for _, chunk, at in _by_chunk(self._chunks, slots):
            chunk.rows[at] = NOBODY
        self.gone += len(slots)
        self._unwiped.append(slots)

    def wipe(self) -> None:
        """Overwrite the codes of what has been blanked."""
        for slots in self._unwiped:
            for _, chunk, at in _by_chunk(self._chunks, slots):
                chunk.codes.blank(at)
        self._unwiped.clear()

    def _put(self, turned: Floats, rows: NDArray[np.int32]) -> None:
        done = 0
        while done < len(rows):
            number, at = divmod(self.count + done, CHUNK)
            if number == len(self._chunks):
                self._chunks.append(Chunk(self._quantiser.codes(), np.zeros(CHUNK, dtype=np.int32)))
            chunk, now = self._chunks[number], min(CHUNK - at, len(rows) - done)
            chunk.rows[at : at + now] = rows[done : done + now]
            self._chunks[number] = Chunk(chunk.codes.then(turned[done : done + now]), chunk.rows)
            done += now
        self.count += done

    def _make_room(self, rows: int) -> None:
        held = len(self._places)
        if rows > held:
            grown = np.zeros(max(rows, held + held // 4, 1024), dtype=np.int64)
            grown[:held] = self._places
            self._places = grown


def span_slots(firsts: Rowids, counts: Rowids) -> Rowids:
    """Every slot of these spans, one span after another."""
    before = np.cumsum(counts) - counts
    return cast(Rowids, np.repeat(firsts - before, counts) + np.arange(int(counts.sum())))


def _by_chunk(chunks: Sequence[Chunk], slots: Rowids) -> Iterator[tuple[Flags | slice, Chunk, Rowids]]:
    """Of each chunk concerned which of the slots it has, and where in it they are."""
    if len(chunks) == 1:
        yield slice(None), chunks[0], slots
        return
    numbers = slots // CHUNK
    for number in np.flatnonzero(np.bincount(numbers)).tolist():
        here = numbers == number
        yield here, chunks[number], slots[here] - number * CHUNK
