"""The files of a dense index: a growing file of float16 vectors and a snapshot of all the rest.

The snapshot says how many rows of which vector file count; rows after them were written before a
crash and are ignored. It ends with a CRC-32 of everything before.
"""

from __future__ import annotations

import json
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from remanence.memory.index_files import IndexReadError, Piece, open_private, replace_atomically

SNAPSHOT = "snapshot.bin"
_MAGIC = b"RMNDNS01"
_GROWTH_ROWS = 4096
_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot's content: `rowids` (n,), `codes` (n, ceil(d / 8)), `dead` (n,); the vectors' file."""

    revision: int
    rowids: NDArray[np.int64]
    codes: NDArray[np.uint8]
    dead: NDArray[np.bool_]
    vectors: str

    @classmethod
    def empty(cls, dimensions: int) -> Loaded:
        codes = np.empty((0, (dimensions + 7) // 8), dtype=np.uint8)
        return cls(0, np.empty(0, dtype=np.int64), codes, np.empty(0, dtype=np.bool_), "")


class VectorFile:
    """Rows of float16, written and read at their place. Reading goes on after `close`.

    Read through the system's cache rather than a memory map: mapped pages count as this process's
    memory, and giving them back after each search takes four times as long as 400 reads.
    """

    def __init__(self, path: Path, dimensions: int) -> None:
        self.path = path
        self._dimensions = dimensions
        self._row = 2 * dimensions
        self._file = FileIO(path, "r+b")
        self._rows = os.fstat(self._file.fileno()).st_size // self._row
        self._reading = FileIO(path, "rb")  # closed with the last search that holds this object
        self._one_reader = threading.Lock()

    @classmethod
    def create(cls, folder: Path, dimensions: int) -> VectorFile:
        """A new empty file under a name that no snapshot refers to."""
        names = [re.fullmatch(r"vectors-(\d+)\.f16", path.name) for path in folder.iterdir()]
        latest = max((int(name[1]) for name in names if name), default=0)
        path = folder / f"vectors-{latest + 1:06d}.f16"
        with open(path, "xb", opener=open_private):
            return cls(path, dimensions)

    @classmethod
    def attach(cls, folder: Path, name: str, dimensions: int) -> VectorFile:
        return cls(folder / name, dimensions)

    @property
    def nbytes(self) -> int:
        return self._rows * self._row

    def write(self, start: int, vectors: NDArray[np.float16]) -> None:
        """Write rows from row `start` on. Raises OSError: rows before `start` are untouched."""
        end = start + len(vectors)
        if end > self._rows:
            rows = -(-end // _GROWTH_ROWS) * _GROWTH_ROWS
            self._file.truncate(rows * self._row)
            self._rows = rows
        self._write_at(start * self._row, np.ascontiguousarray(vectors).tobytes())

    def wipe(self, slots: NDArray[np.int64]) -> None:
        """Overwrite these rows with zeros. Raises OSError."""
        zeros = bytes(self._row)
        for slot in slots.tolist():
            self._write_at(slot * self._row, zeros)

    def _write_at(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def read(self, slots: NDArray[np.int64]) -> NDArray[np.float16]:
        """These rows, (m, d). Raises IndexReadError where the file is shorter than it was."""
        offsets = cast(list[int], (slots * self._row).tolist())
        data = b"".join(self._read_at(offset) for offset in offsets)
        if len(data) != len(offsets) * self._row:
            raise IndexReadError(f"{self.path.name} is damaged: it ends too early.")
        return np.frombuffer(data, dtype=np.float16).reshape(len(offsets), self._dimensions)

    def _read_at(self, offset: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._reading.fileno(), self._row, offset)
        with self._one_reader:  # Windows has no read that leaves the position alone
            self._reading.seek(offset)
            return self._reading.read(self._row)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def write_snapshot(folder: Path, model_id: str, content: Loaded) -> None:
    """Replace the snapshot. Raises OSError; the old one is then whole."""
    header = json.dumps(
        {
            "model": model_id,
            "revision": content.revision,
            "count": len(content.rowids),
            "code_bytes": content.codes.shape[1],
            "vectors": content.vectors,
        }
    ).encode()

    def pieces() -> Iterator[Piece]:
        crc = 0
        parts: list[Piece] = [
            _MAGIC + struct.pack("<I", len(header)),
            header,
            content.rowids.data,
            content.codes.data,
            np.packbits(content.dead).data,
        ]
        for part in parts:
            crc = zlib.crc32(part, crc)
            yield part
        yield struct.pack("<I", crc)

    replace_atomically(folder / SNAPSHOT, pieces())


def load_snapshot(folder: Path, model_id: str, dimensions: int) -> Loaded | str:
    """The snapshot, or in words why there is none to use."""
    try:
        data = (folder / SNAPSHOT).read_bytes()
    except FileNotFoundError:
        return "no snapshot"
    prefix = len(_MAGIC) + 4
    if len(data) < prefix + 4 or not data.startswith(_MAGIC):
        return "the snapshot is not one of ours"
    if zlib.crc32(memoryview(data)[:-4]) != struct.unpack("<I", data[-4:])[0]:
        return "the snapshot is damaged"
    (length,) = struct.unpack_from("<I", data, len(_MAGIC))
    header = cast(dict[str, str | int], json.loads(data[prefix : prefix + length]))
    if header["model"] != model_id:
        return "the snapshot belongs to another model"
    count, width = int(header["count"]), int(header["code_bytes"])
    start = prefix + length
    sizes = [8 * count, width * count, (count + 7) // 8]
    if width != (dimensions + 7) // 8 or len(data) != start + sum(sizes) + 4:
        return "the snapshot belongs to another dimension"
    rowids = np.frombuffer(data, dtype=np.int64, count=count, offset=start).copy()
    codes = np.frombuffer(data, dtype=np.uint8, count=sizes[1], offset=start + sizes[0])
    bits = np.frombuffer(data, dtype=np.uint8, count=sizes[2], offset=start + sizes[0] + sizes[1])
    content = Loaded(
        int(header["revision"]),
        rowids,
        codes.reshape(count, width).copy(),
        np.unpackbits(bits, count=count).astype(np.bool_),
        str(header["vectors"]),
    )
    return content if _vectors_agree(folder, content, dimensions) else "the vectors are missing or damaged"


def _vectors_agree(folder: Path, content: Loaded, dimensions: int) -> bool:
    """Whether the vectors' file is long enough and a sample of its rows has the signs of its codes."""
    path = folder / content.vectors
    count = len(content.rowids)
    if path.parent != folder or not path.is_file() or path.stat().st_size < count * 2 * dimensions:
        return False
    with path.open("rb") as file:
        for slot in np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(np.int64)).tolist():
            if content.dead[slot]:
                continue
            file.seek(slot * 2 * dimensions)
            row = np.frombuffer(file.read(2 * dimensions), dtype=np.float16)
            wiped = not row.any()  # removed after this snapshot: whoever replays will remove it again
            if not wiped and not np.array_equal(np.packbits(row > 0), content.codes[slot]):
                return False
    return True


def remove_strays(folder: Path, keep: str) -> None:
    """Delete vector files of earlier generations and half-written snapshots. Raises OSError."""
    for path in [*folder.glob("vectors-*.f16"), *folder.glob("*.tmp")]:
        if path.name != keep:
            try:
                path.unlink()
            except PermissionError:
                continue  # Windows: still read by a search; the next open deletes it
