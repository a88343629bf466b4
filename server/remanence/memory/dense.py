"""Dense search: small codes in RAM, exact re-scoring from float16 vectors on disk.

A row has one or more units, vectors of their own: the whole first. FAISS compares a query with the codes
of all units (see `dense_codes`). Of the rows of the nearest six hundred or more the likeliest are scored
exactly: their best units and their wholes. The index is a cache: the truth is the database.

Slots are only ever appended, and a removed one is blanked, so a search that is under way never sees
a slot change its meaning; blank slots go when a snapshot finds more than a tenth of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remanence.memory.dense_codes import Floats, Halves, Quantiser
from remanence.memory.dense_files import (
    Header,
    Saved,
    load_snapshot,
    remove_strays,
    save_chunks,
    write_header,
)
from remanence.memory.dense_search import (
    Cancelled,
    Searched,
    cosines,
    nearest,
    never,
    unit_norm,
)
from remanence.memory.dense_slots import CHUNK, MOST_UNITS, Rowids, Slots, span_slots
from remanence.memory.index_files import IndexReadError, IndexWriteError
from remanence.memory.vector_file import VectorFile, widened

__all__ = ["Cancelled", "DenseIndex", "Halves", "Near", "never"]

# How many units are taken by their codes, by the logarithm of how many there are: the more, the more of them
# lie between the query and the ten rows that are nearest. See `_depth`.
_PER_DOUBLING = 450
_DOUBLED_FROM = 1 << 15
LEAST_CODES = 600
_CODES_PER_ROW = 3.5  # of the rows of these units one in so many is read
_EXACT_BELOW = 2000  # a scope with so few units is scored whole: about as cheap as the candidates, and exact
_GONE_SHARE = 0.1
_LARGE = 1 << 20  # units: a scan of these takes a millisecond
_BLOCK = 4096  # slots, about, that are read together where all are


@dataclass(frozen=True, slots=True)
class Near:
    """Rows: `rowids` (k,), exact cosines of their `whole` (k,) and their `best` unit (k,), nan for one that
    is not there; and the vectors of their wholes, `wholes` (k, d), zeros for such a one."""

    rowids: Rowids
    whole: Floats
    best: Floats
    wholes: Halves


class DenseIndex:
    """The vectors of one embedding model. One writer at a time; searches run beside it in any thread."""

    revision: int
    note: str | None

    def __init__(self, folder: Path, model_id: str, dimensions: int) -> None:
        """Use `open`."""
        self._folder = folder
        self.model_id = model_id
        self.dimensions = dimensions
        self._writing = threading.RLock()
        self._saved: tuple[Saved, ...] = ()
        self._blanked: set[int] = set()  # chunks with slots that were saved and have been blanked since
        self._quantiser = Quantiser(dimensions)
        loaded = load_snapshot(folder, model_id, dimensions, self._quantiser)
        if isinstance(loaded, str):
            self.note, self.revision = loaded, 0
            self._slots = Slots(self._quantiser)
            self._file = VectorFile.create(folder, dimensions)
        else:
            self.note, self.revision = None, loaded.header.revision
            self._slots, self._saved = loaded.slots, loaded.header.chunks
            self._file = VectorFile.attach(folder, loaded.header.vectors, dimensions)
        self._publish()

    @classmethod
    def open(cls, folder: Path, model_id: str, dimensions: int) -> DenseIndex:
        """Load the snapshot in `folder` (made if missing).

        A missing, damaged or foreign snapshot (another model or dimension) gives an empty index with
        revision 0 and the reason in `note`. Raises IndexWriteError if the folder cannot be used.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            index = cls(folder, model_id, dimensions)
            index._remove_strays()
        except OSError as error:
            raise IndexWriteError(f"The dense index cannot be opened: {error}") from error
        return index

    def _publish(self) -> None:
        self._view = Searched(self._quantiser, self._slots.view(), self._file)

    def _remove_strays(self) -> None:
        remove_strays(self._folder, {self._file.path.name, *(saved.name for saved in self._saved)})

    def __len__(self) -> int:
        """How many rows there are."""
        return self._slots.rows

    @property
    def is_large(self) -> bool:
        """Whether a search takes so long that it is worth a thread of its own."""
        return self._view.slots.count >= _LARGE

    @property
    def nbytes(self) -> int:
        """Bytes in RAM and on disk together."""
        return self._slots.nbytes + self._file.nbytes

    def add(self, rowids: Rowids, vectors: Floats | Halves, counts: Rowids | None = None) -> None:
        """Add rows with `counts` (n,) units each, one where it is None; `vectors` (sum of counts, d) are
        normalised here, and the first of a row is its whole. Row numbers are not negative and dense: RAM
        is taken up to the highest. A rowid that is there is replaced; of one given twice the last counts.
        Searches see all of them or none; one under way may miss a row that is replaced.

        Raises ValueError for a wrong shape or a vector that is not finite, IndexWriteError when the
        disk refuses (nothing is added then).
        """
        counts = np.ones(len(rowids), dtype=np.int64) if counts is None else counts.astype(np.int64)
        expected = (int(counts.sum()), self.dimensions)
        if len(counts) != len(rowids) or vectors.shape != expected:
            raise ValueError(f"expected vectors of shape {expected} for {len(rowids)} rows: {vectors.shape}")
        if len(rowids) == 0:
            return
        if int(rowids.min()) < 0 or int(rowids.max()) > np.iinfo(np.int32).max:
            raise ValueError("rowids are not negative and below 2**31")
        if int(counts.min()) < 1 or int(counts.max()) > MOST_UNITS:
            raise ValueError(f"a row has from 1 to {MOST_UNITS} units")
        unit = unit_norm(vectors.astype(np.float32))
        rowids = rowids.astype(np.int64)
        _, last = np.unique(rowids[::-1], return_index=True)
        if len(last) < len(rowids):
            kept = np.sort(len(rowids) - 1 - last)
            unit = unit[span_slots((np.cumsum(counts) - counts)[kept], counts[kept])]
            rowids, counts = rowids[kept], counts[kept]
        with self._writing:
            try:
                halves = unit.astype(np.float16)
                self._file.write(self._slots.count, halves)
            except OSError as error:
                raise IndexWriteError(f"The dense index cannot be written: {error}") from error
            replaced = self._slots.append(rowids, counts, widened(halves))
            self._publish()
            self._slots.blank(*replaced)
            self._wipe(*replaced)

    def remove(self, rowids: Rowids) -> None:
        """Remove these rowids; one that is not there is no error. The vectors are wiped from the disk
        at once, the codes with the next snapshot. Raises IndexWriteError when the disk refuses: the
        rowids are out of the searches even then.
        """
        with self._writing:
            self._wipe(*self._slots.remove(rowids.astype(np.int64)))

    def _wipe(self, firsts: Rowids, counts: Rowids) -> None:
        """Take blanked slots out of the file of vectors, and note what is still in the snapshot."""
        numbers, at = np.divmod(span_slots(firsts, counts), CHUNK)
        for number, saved in enumerate(self._saved):
            if np.any(at[numbers == number] < saved.count):
                self._blanked.add(number)
        try:
            self._file.wipe(firsts, counts)
        except OSError as error:
            raise IndexWriteError(f"Removed vectors could not be wiped: {error}") from error

    def search(
        self,
        query: Floats,
        limit: int,
        among: Rowids | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Near:
        """The rows nearest to `query` (d,) by the sum of both cosines, nearest first, at most `limit`; the
        best unit is the best of those that the codes found.

        `among` restricts the search to these rowids. Raises Cancelled, ValueError for a wrong shape.
        """
        unit = self._unit_query(query)
        view = self._view
        if among is not None and self._is_small(among):
            rowids = np.unique(among)
            whole, best, wholes = cosines(view, unit, rowids, cancelled)
        else:
            wanted, rows = _depth(view.slots.count, limit)
            rowids, whole, best, wholes = nearest(view, unit, among, wanted, rows, cancelled)
        order = np.argsort(-(whole + best), kind="stable")[:limit]  # nan comes last
        order = order[~np.isnan(whole[order])]
        return Near(rowids[order], whole[order], best[order], wholes[order])

    def _is_small(self, among: Rowids) -> bool:
        return len(among) <= _EXACT_BELOW and int(self._view.slots.find(among)[1].sum()) <= _EXACT_BELOW

    def near(self, query: Floats, rowids: Rowids) -> Near:
        """How near these rows are to `query` (d,), in this order and exactly. Raises ValueError for a wrong
        shape.
        """
        return Near(rowids, *cosines(self._view, self._unit_query(query), rowids))

    def vectors(self, rowids: Rowids) -> Floats:
        """The stored vectors (n, d) of these rows' wholes; zeros for one that is not there."""
        view = self._view
        found = np.zeros((len(rowids), self.dimensions), dtype=np.float32)
        firsts, counts = view.slots.find(rowids)
        there = np.flatnonzero(counts)
        found[there] = widened(view.vectors.read(firsts[there], np.ones(len(there), dtype=np.int64)))
        found[there[view.slots.rows(firsts[there]) < 0]] = 0  # removed meanwhile
        return found

    def _unit_query(self, query: Floats) -> Floats:
        if query.shape != (self.dimensions,):
            raise ValueError(f"expected a query of shape ({self.dimensions},), got {query.shape}")
        return unit_norm(query.astype(np.float32)[None])[0]

    def snapshot(self, revision: int) -> None:
        """Make the index durable as complete up to `revision` of the store.

        Writes what was added since the last one, and anew each chunk from which something was removed.
        Compacts when more than a tenth of the slots are blank. Raises IndexWriteError; the snapshot
        before this one is then still whole.
        """
        with self._writing:
            previous = self._file
            try:
                if self._slots.gone > _GONE_SHARE * self._slots.count:
                    self._compact()
                self._file.sync()
                self._slots.wipe()
                saved = tuple(save_chunks(self._folder, self._slots.view(), self._saved, self._blanked))
                header = Header(self.model_id, self.dimensions, revision, self._file.path.name, saved)
                write_header(self._folder, header)
                self._saved, self.revision = saved, revision
                self._blanked.clear()
                if previous is not self._file:
                    previous.close()
                self._remove_strays()
            except OSError as error:
                raise IndexWriteError(f"The dense index cannot be saved: {error}") from error

    def _compact(self) -> None:
        """Go on with new slots and a new file that hold the live rows alone, in the order they had."""
        before, slots = self._view, Slots(self._quantiser)
        file = VectorFile.create(self._folder, self.dimensions)
        rowids, firsts, counts = before.slots.spans()
        for part in np.array_split(np.arange(len(rowids)), -(-before.slots.count // _BLOCK)):
            vectors = before.vectors.read(firsts[part], counts[part])
            file.write(slots.count, vectors)
            slots.append(rowids[part], counts[part], widened(vectors))
        self._slots = slots
        self._file, self._saved = file, ()
        self._blanked.clear()
        self._publish()

    def verify(self) -> bool:
        """Whether each stored vector is still the one that its code was made of. Reads the whole file."""
        view = self._view
        for start, chunk in view.slots.chunks():
            for at in range(0, len(chunk.rows), _BLOCK):
                live = chunk.rows[at : at + _BLOCK] >= 0
                try:
                    vectors = view.vectors.read_run(start + at, start + at + len(live))
                except IndexReadError:
                    return False
                if np.any(chunk.codes.differ(at, vectors) & live):
                    return False
        return True

    def close(self) -> None:
        """Close the file. What was not in a snapshot is added again by whoever owns the truth."""
        with self._writing:
            self._file.close()


def _depth(units: int, limit: int) -> tuple[int, int]:
    """How many of so many units are taken by their codes, and how many of their rows are read for `limit`.

    Of 300 queries' ten nearest rows among 62,000, 378,000 and 3.8 million units this finds .998, .998 and
    .995.
    """
    doublings = math.log2(max(units / _DOUBLED_FROM, 1))
    wanted = max(LEAST_CODES, 4 * limit, round(_PER_DOUBLING * doublings))
    return wanted, max(round(wanted / _CODES_PER_ROW), 2 * limit)
