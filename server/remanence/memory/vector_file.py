"""Growing files of rows of one size, such as float16 vectors, written and read at their place."""

from __future__ import annotations

import os
import re
import threading
import time
from io import FileIO
from itertools import repeat
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from remanence.memory.index_files import IndexReadError, open_private

_GROWTH = 4096  # rows
_AT_ONCE = 16  # spans
_FROM_DISK_SECONDS = 200e-6  # for so many: from the system's cache they take a tenth of that
_GAP = 6  # rows that are read though nobody wants them: one more read takes as long
_BITS = np.int32(-0x70000001)  # all but the sign's copies that widening leaves among the exponent's bits
_REBIASED = np.float32(2.0**112)


class RowFile:
    """Rows of so many bytes each, numbered from 0. Reading goes on after `close`.

    Read through the system's cache rather than a memory map: mapped pages count as this process's
    memory, and giving them back after each search takes four times as long as 400 reads.
    """

    def __init__(self, path: Path, row_bytes: int) -> None:
        """Use the file at `path`. Raises OSError."""
        self.path = path
        self._row = row_bytes
        self._file = FileIO(path, "r+b")
        self._rows = os.fstat(self._file.fileno()).st_size // row_bytes
        self._reading = FileIO(path, "rb")  # closed with the last search that holds this object
        self._one_reader = threading.Lock()

    @property
    def nbytes(self) -> int:
        return self._rows * self._row

    def write_bytes(self, start: int, data: bytes) -> None:
        """Write rows from row `start` on. Raises OSError: rows before `start` are untouched."""
        end = start + len(data) // self._row
        if end > self._rows:
            rows = -(-end // _GROWTH) * _GROWTH
            self._file.truncate(rows * self._row)
            self._rows = rows
        self._write_at(start * self._row, data)

    def _write_at(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def read_bytes(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> bytes:
        """The rows of each span one after another, one read for each span.

        Raises IndexReadError where the file is shorter than it was.
        """
        offsets = cast(list[int], (firsts * self._row).tolist())
        sizes = cast(list[int], (counts * self._row).tolist())
        if hasattr(os, "pread"):
            data = b"".join(_read_spans(self._reading.fileno(), offsets, sizes))
        else:  # Windows has no read that leaves the position alone
            with self._one_reader:
                data = b"".join(map(self._read_at, offsets, sizes))
        if len(data) != sum(sizes):
            raise IndexReadError(f"{self.path.name} is damaged: it ends too early.")
        return data

    def _read_at(self, offset: int, size: int) -> bytes:
        self._reading.seek(offset)
        return self._reading.read(size)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class VectorFile(RowFile):
    """Rows of float16, d in each."""

    def __init__(self, path: Path, dimensions: int) -> None:
        """Use `create` or `attach`."""
        super().__init__(path, 2 * dimensions)
        self._dimensions = dimensions

    @classmethod
    def create(cls, folder: Path, dimensions: int) -> VectorFile:
        """A new empty file under a name that no snapshot refers to."""
        path = unused_name(folder, "vectors", "f16")
        with open(path, "xb", opener=open_private):
            return cls(path, dimensions)

    @classmethod
    def attach(cls, folder: Path, name: str, dimensions: int) -> VectorFile:
        return cls(folder / name, dimensions)

    def write(self, start: int, vectors: NDArray[np.float16]) -> None:
        """Write rows from row `start` on. Raises OSError: rows before `start` are untouched."""
        self.write_bytes(start, np.ascontiguousarray(vectors).tobytes())

    def wipe(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Overwrite each span with zeros. Raises OSError."""
        for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
            self._write_at(first * self._row, bytes(count * self._row))

    def read(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float16]:
        """The rows of each span one after another, (sum of counts, d), one read for each span.

        Raises IndexReadError where the file is shorter than it was.
        """
        return np.frombuffer(self.read_bytes(firsts, counts), dtype=np.float16).reshape(-1, self._dimensions)

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """These distinct rows, ascending: (n, d). Those that lie close together are read together.

        Raises IndexReadError where the file is shorter than it was.
        """
        if len(rows) == 0:
            return np.empty((0, self._dimensions), dtype=np.float16)
        starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - _GAP - 2) > _GAP + 1)
        ends = np.append(starts[1:], len(rows))
        lengths = rows[ends - 1] - rows[starts] + 1
        read = self.read(rows[starts], lengths)
        if len(read) == len(rows):
            return read
        before = np.cumsum(lengths) - lengths - rows[starts]  # what to add to a row's number for its place
        return read[rows + np.repeat(before, ends - starts)]

    def read_run(self, start: int, end: int) -> NDArray[np.float16]:
        """Rows `start` to `end`, (end - start, d). Raises IndexReadError."""
        return self.read(np.array([start]), np.array([end - start]))


def _read_spans(file: int, offsets: list[int], sizes: list[int]) -> list[bytes]:
    """Each span. Once some had to come from the disk, the system is told of all others: it then fetches them
    beside each other, in a quarter of the time that they take one by one."""
    spans: list[bytes] = []
    is_told = not hasattr(os, "posix_fadvise")  # macOS
    for start in range(0, len(offsets), _AT_ONCE):
        end = start + _AT_ONCE
        begun = time.perf_counter()
        spans += map(os.pread, repeat(file), sizes[start:end], offsets[start:end])
        if not is_told and time.perf_counter() - begun > _FROM_DISK_SECONDS:
            for offset, size in zip(offsets[end:], sizes[end:], strict=True):
                os.posix_fadvise(file, offset, size, os.POSIX_FADV_WILLNEED)
            is_told = True
    return spans


def widened(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """Finite float16 numbers as float32, exactly. By their bits: `astype` takes five times as long."""
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _BITS
    numbers = bits.view(np.float32)
    numbers *= _REBIASED
    return numbers


def unused_name(folder: Path, kind: str, ending: str) -> Path:
    """A numbered name above all of this kind that are there."""
    names = [re.fullmatch(rf"{kind}-(\d+)\.{ending}", path.name) for path in folder.iterdir()]
    latest = max((int(name[1]) for name in names if name), default=0)
    return folder / f"{kind}-{latest + 1:06d}.{ending}"
