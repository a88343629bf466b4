"""Dense search: sign-binarised codes in RAM, exact re-scoring from float16 vectors on disk.

The sign of each dimension is kept (48 bytes for 384 dimensions); FAISS ranks the codes by Hamming
distance and the first 400 are scored exactly. The index is a cache: the truth is the database.

Slots are only ever appended, and a removed one is blanked, so a search that is under way never sees
a slot change its meaning; dead slots go when a snapshot finds more than a tenth of them.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import faiss
import numpy as np
from numpy.typing import NDArray

from remanence.memory.dense_files import Loaded, VectorFile, load_snapshot, remove_strays, write_snapshot
from remanence.memory.index_files import IndexReadError, IndexWriteError

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Rowids = NDArray[np.int64]
Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

CANDIDATES = 400  # recall@10 .997 of exact search on 126,280 real vectors; 200 give .992
_EXACT_BELOW = 2000  # a scope this small is scored whole: about as cheap as 400 candidates and exact
_DEAD_SHARE = 0.1


def never() -> bool:
    """The `cancelled` of a search that nobody cancels."""
    return False


class Cancelled(Exception):
    """Whoever asked no longer waits for the answer."""


@dataclass(frozen=True)
class _View:
    """What a search works on: n slots; later appends are not in it. `dead` alone may change under it."""

    rowids: Rowids
    codes: Codes
    dead: Flags
    vectors: VectorFile

    @functools.cached_property
    def _by_rowid(self) -> tuple[Rowids, Rowids]:
        """The rowids ascending and the slot of each; of a replaced rowid the last one is live."""
        order = np.argsort(self.rowids, kind="stable")
        return self.rowids[order], order

    def find(self, rowids: Rowids) -> tuple[Rowids, Flags]:
        """The slot of each rowid, and whether it is there at all: both (m,)."""
        ascending, slots = self._by_rowid
        if len(slots) == 0:
            return np.zeros(len(rowids), dtype=np.int64), np.zeros(len(rowids), dtype=np.bool_)
        at = np.maximum(np.searchsorted(ascending, rowids, side="right") - 1, 0)
        found = slots[at]
        return found, (ascending[at] == rowids) & ~self.dead[found]

    def slots(self, rowids: Rowids) -> Rowids:
        """The live slots of these rowids."""
        if len(rowids) * 16 < len(self.rowids):
            found, there = self.find(np.unique(rowids))
            return found[there]
        return np.flatnonzero(np.isin(self.rowids, rowids) & ~self.dead)


class DenseIndex:
    """The vectors of one embedding model. One writer at a time; searches run beside it in any thread."""

    revision: int
    note: str | None

    def __init__(self, folder: Path, model_id: str, dimensions: int) -> None:
        """Use `open`."""
        self._folder = folder
        self.model_id = model_id
        self._dimensions = dimensions
        self._writing = threading.RLock()
        self.note = None
        self._start(Loaded.empty(dimensions), VectorFile.create(folder, dimensions))

    @classmethod
    def open(cls, folder: Path, model_id: str, dimensions: int) -> DenseIndex:
        """Load the snapshot in `folder` (made if missing).

        A missing, damaged or foreign snapshot (another model or dimension) gives an empty index with
        revision 0 and the reason in `note`. Raises IndexWriteError if the folder cannot be used.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            loaded = load_snapshot(folder, model_id, dimensions)
            if isinstance(loaded, str):
                index = cls(folder, model_id, dimensions)
                index.note = loaded
            else:
                index = cls.__new__(cls)
                index._folder, index.model_id, index._dimensions = folder, model_id, dimensions
                index._writing = threading.RLock()
                index.note = None
                index._start(loaded, VectorFile.attach(folder, loaded.vectors, dimensions))
            remove_strays(folder, keep=index._file.path.name)
        except OSError as error:
            raise IndexWriteError(f"The dense index cannot be opened: {error}") from error
        return index

    def _start(self, loaded: Loaded, file: VectorFile) -> None:
        self.revision = loaded.revision
        self._file = file
        self._all_rowids: Rowids = loaded.rowids
        self._all_codes: Codes = loaded.codes
        self._all_dead: Flags = loaded.dead
        self._count = len(loaded.rowids)
        self._dead = int(np.count_nonzero(loaded.dead))
        self._highest = int(loaded.rowids.max(initial=-1))
        self._publish()

    def _publish(self) -> None:
        n = self._count
        self._view = _View(self._all_rowids[:n], self._all_codes[:n], self._all_dead[:n], self._file)

    def __len__(self) -> int:
        return self._count - self._dead

    @property
    def nbytes(self) -> int:
        """Bytes in RAM and on disk together."""
        held = self._all_codes.nbytes + self._all_rowids.nbytes + self._all_dead.nbytes
        return held + self._file.nbytes

    def add(self, rowids: Rowids, vectors: Floats | Halves) -> None:
        """Add vectors (n, d), one per rowid ≥ 0, normalised here. A rowid that is there is replaced;
        of one given twice the last counts. Searches see all of them or none.

        Raises ValueError for a wrong shape or a vector that is not finite, IndexWriteError when the
        disk refuses (nothing is added then).
        """
        if vectors.ndim != 2 or vectors.shape != (len(rowids), self._dimensions):
            raise ValueError(
                f"expected vectors of shape ({len(rowids)}, {self._dimensions}), got {vectors.shape}"
            )
        if len(rowids) == 0:
            return
        if int(rowids.min()) < 0:
            raise ValueError("rowids are not negative")
        unit = _unit(vectors.astype(np.float32))
        rowids = rowids.astype(np.int64)
        _, last = np.unique(rowids[::-1], return_index=True)
        if len(last) < len(rowids):
            kept = np.sort(len(rowids) - 1 - last)
            rowids, unit = rowids[kept], unit[kept]
        with self._writing:
            start, end = self._count, self._count + len(rowids)
            try:
                self._file.write(start, unit.astype(np.float16))
            except OSError as error:
                raise IndexWriteError(f"The dense index cannot be written: {error}") from error
            replaced = self._view.slots(rowids) if int(rowids.min()) <= self._highest else None
            self._reserve(end)
            self._all_rowids[start:end] = rowids
            self._all_codes[start:end] = _sign_codes(unit)
            self._all_dead[start:end] = False
            self._count = end
            self._highest = max(self._highest, int(rowids.max()))
            self._publish()
            if replaced is not None:
                self._blank(replaced)

    def remove(self, rowids: Rowids) -> None:
        """Remove these rowids; one that is not there is no error. The vector is wiped from the disk
        at once, the code with the next snapshot. Raises IndexWriteError when the disk refuses: the
        rowids are out of the searches even then.
        """
        with self._writing:
            self._blank(self._view.slots(rowids.astype(np.int64)))

    def _blank(self, slots: Rowids) -> None:
        if len(slots) == 0:
            return
        self._all_dead[slots] = True
        self._all_codes[slots] = 0
        self._dead += len(slots)
        try:
            self._file.wipe(slots)
        except OSError as error:
            raise IndexWriteError(f"Removed vectors could not be wiped: {error}") from error

    def _reserve(self, count: int) -> None:
        held = len(self._all_rowids)
        if count <= held:
            return
        capacity = max(count, held + held // 4, 1024)
        rowids = np.zeros(capacity, dtype=np.int64)
        codes = np.zeros((capacity, self._all_codes.shape[1]), dtype=np.uint8)
        dead = np.zeros(capacity, dtype=np.bool_)
        n = self._count
        rowids[:n], codes[:n], dead[:n] = self._all_rowids[:n], self._all_codes[:n], self._all_dead[:n]
        self._all_rowids, self._all_codes, self._all_dead = rowids, codes, dead

    def search(
        self,
        query: Floats,
        limit: int,
        among: Rowids | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> tuple[Rowids, Floats]:
        """The rowids nearest to `query` (d,) and their exact cosines, best first, at most `limit`.

        `among` restricts the search to these rowids. Raises Cancelled, ValueError for a wrong shape.
        """
        if query.shape != (self._dimensions,):
            raise ValueError(f"expected a query of shape ({self._dimensions},), got {query.shape}")
        view = self._view
        unit = _unit(query.astype(np.float32)[None])
        scope = None if among is None else view.slots(among)
        if scope is not None and len(scope) <= _EXACT_BELOW:
            slots = scope
        else:
            slots = _candidates(view, unit, scope, max(CANDIDATES, 4 * limit))
        if cancelled():
            raise Cancelled
        slots = np.sort(slots)
        vectors = view.vectors.read(slots).astype(np.float32)
        cosines = np.einsum("id,d->i", vectors, unit[0])  # `@` starts threads
        rowids = view.rowids[slots]
        live = ~view.dead[slots]
        rowids, cosines = rowids[live], cosines[live]
        best = np.argsort(-cosines, kind="stable")[:limit]
        return rowids[best], cosines[best]

    def vectors(self, rowids: Rowids) -> Floats:
        """The stored vectors (n, d) of these rowids; zeros for one that is not there."""
        view = self._view
        found = np.zeros((len(rowids), self._dimensions), dtype=np.float32)
        slots, there = view.find(rowids)
        if there.any():
            found[there] = view.vectors.read(slots[there])
        return found

    def snapshot(self, revision: int) -> None:
        """Make the index durable as complete up to `revision` of the store.

        Compacts when more than a tenth of the slots are dead. Raises IndexWriteError; the snapshot
        before this one is then still whole.
        """
        with self._writing:
            previous = self._file
            try:
                if self._dead > _DEAD_SHARE * self._count:
                    self._compact()
                self._file.sync()
                n = self._count
                write_snapshot(
                    self._folder,
                    self.model_id,
                    Loaded(
                        revision,
                        self._all_rowids[:n],
                        self._all_codes[:n],
                        self._all_dead[:n],
                        self._file.path.name,
                    ),
                )
            except OSError as error:
                raise IndexWriteError(f"The dense index cannot be saved: {error}") from error
            self.revision = revision
            if previous is not self._file:
                previous.close()
                remove_strays(self._folder, keep=self._file.path.name)

    def _compact(self) -> None:
        view = self._view
        live = np.flatnonzero(~view.dead)
        order = live[np.argsort(view.rowids[live])]
        file = VectorFile.create(self._folder, self._dimensions)
        for start in range(0, len(order), 4096):
            file.write(start, view.vectors.read(order[start : start + 4096]))
        self._all_rowids, self._all_codes = view.rowids[order], view.codes[order]
        self._all_dead = np.zeros(len(order), dtype=np.bool_)
        self._file, self._count, self._dead = file, len(order), 0
        self._publish()

    def verify(self) -> bool:
        """Whether each stored vector still has the signs that its code records. Reads the whole file."""
        view = self._view
        for start in range(0, len(view.rowids), 4096):
            slots = np.arange(start, min(start + 4096, len(view.rowids)), dtype=np.int64)
            try:
                vectors = view.vectors.read(slots)
            except IndexReadError:
                return False
            if not np.array_equal(_sign_codes(vectors), view.codes[slots]):
                return False
        return True

    def close(self) -> None:
        """Close the file. What was not in a snapshot is added again by whoever owns the truth."""
        with self._writing:
            self._file.close()


def _unit(vectors: Floats) -> Floats:
    if not np.all(np.isfinite(vectors)):
        raise ValueError("a vector holds a number that is not finite")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Floats, np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))


def _sign_codes(vectors: Floats | Halves) -> Codes:
    # float16 rounds the smallest components to 0, so the sign is taken of what is stored
    return np.packbits(vectors.astype(np.float16) > 0, axis=1)


def _candidates(view: _View, unit: Floats, scope: Rowids | None, wanted: int) -> Rowids:
    codes = view.codes if scope is None else view.codes[scope]
    if len(codes) == 0:
        return np.empty(0, dtype=np.int64)
    faiss.omp_set_num_threads(1)  # a setting of the calling thread, hence here and not once
    query = _sign_codes(unit)
    depth = wanted
    while True:
        depth = min(depth, len(codes))
        _, found = faiss.knn_hamming(query, codes, depth, variant="mc")
        slots = cast(Rowids, found[0]) if scope is None else scope[found[0]]
        slots = slots[~view.dead[slots]]
        # blanked slots have a code too and may crowd the nearest: look further until enough are live
        if len(slots) >= 0.8 * wanted or depth == len(codes):
            return slots
        depth *= 2
