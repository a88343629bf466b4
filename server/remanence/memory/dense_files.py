"""The snapshot of a dense index: a small header, and a file of slots for each chunk of them.

Files of slots only grow: a snapshot appends what is new, then replaces the header, which says how much
of which file counts and its CRC-32. A chunk in which a slot was blanked since is written anew under
another name, so that a removed code leaves the disk. Whatever lies beyond what the header counts was
written before a crash and is ignored.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remanence.memory.dense_slots import CHUNK, Chunk, SlotRun, Slots, View
from remanence.memory.index_files import open_private, replace_atomically
from remanence.memory.vector_file import unused_name

SNAPSHOT = "snapshot.bin"
_OURS = b"RMNDNS"
_MAGIC = _OURS + b"02"
_AT_ONCE = 1 << 15  # slots
_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class Saved:
    """A chunk's file of slots: its first `count` slots count, and `crc` is theirs."""

    name: str
    count: int
    crc: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a snapshot says: complete up to `revision`, the vectors' file, the files of the chunks."""

    model: str
    dimensions: int
    revision: int
    vectors: str
    chunks: tuple[Saved, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot and the slots in it."""

    header: Header
    slots: Slots


def write_header(folder: Path, header: Header) -> None:
    """Replace the header. Raises OSError; the old one is then whole."""
    content = json.dumps(asdict(header)).encode()
    start = _MAGIC + struct.pack("<I", len(content)) + content
    replace_atomically(folder / SNAPSHOT, [start, struct.pack("<I", zlib.crc32(start))])


def save_chunks(
    folder: Path, view: View, saved: Sequence[Saved], blanked: Collection[int]
) -> Iterator[Saved]:
    """Make all slots durable beside what is `saved` already of each chunk, those of the `blanked` chunks
    in new files. Raises OSError; what is saved is then still whole.
    """
    for number, (start, chunk) in enumerate(view.runs()):
        old = saved[number] if number < len(saved) and number not in blanked else None
        if old is None:
            path = unused_name(folder, "slots", "bin")
            with open(path, "xb", opener=open_private):
                old = Saved(path.name, 0, 0)
        yield _append(folder, old, view, start, chunk)


def _append(folder: Path, saved: Saved, view: View, start: int, chunk: Chunk) -> Saved:
    """Write the slots of a chunk, the first of which is `start`, after those that count."""
    if saved.count == len(chunk.rows):
        return saved
    record, crc = _record(chunk.codes.shape[1]), saved.crc
    with open(folder / saved.name, "r+b") as file:
        file.truncate(saved.count * record.itemsize)
        file.seek(0, os.SEEK_END)
        for at in range(saved.count, len(chunk.rows), _AT_ONCE):
            rows = chunk.rows[at : at + _AT_ONCE]
            records = np.empty(len(rows), dtype=record)
            records["code"], records["row"] = chunk.codes[at : at + _AT_ONCE], rows
            records["unit"] = view.units(start + at, rows)
            data = records.tobytes()
            file.write(data)
            crc = zlib.crc32(data, crc)
        file.flush()
        os.fsync(file.fileno())
    return Saved(saved.name, len(chunk.rows), crc)


def _record(code_bytes: int) -> np.dtype[np.void]:
    return np.dtype([("code", np.uint8, (code_bytes,)), ("row", "<i4"), ("unit", np.uint8)])


def load_snapshot(folder: Path, model_id: str, dimensions: int) -> Loaded | str:
    """The snapshot, or in words why there is none to use."""
    try:
        data = (folder / SNAPSHOT).read_bytes()
    except FileNotFoundError:
        return "no snapshot"
    header = _parsed(data)
    if isinstance(header, str):
        return header
    if header.model != model_id:
        return "the snapshot belongs to another model"
    if header.dimensions != dimensions:
        return "the snapshot belongs to another dimension"
    if any(saved.count != CHUNK for saved in header.chunks[:-1]):
        return "the snapshot is of another format"
    try:
        width = (dimensions + 7) // 8
        slots = Slots.restored(width, (run for saved in header.chunks for run in _read(folder, saved, width)))
    except (ValueError, FileNotFoundError):
        return "the snapshot is damaged"
    loaded = Loaded(header, slots)
    return loaded if _vectors_agree(folder, loaded) else "the vectors are missing or damaged"


def _parsed(data: bytes) -> Header | str:
    prefix = len(_MAGIC) + 4
    if not data.startswith(_OURS):
        return "the snapshot is not one of ours"
    if not data.startswith(_MAGIC):
        return "the snapshot is of another format"
    if len(data) < prefix + 4 or zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        return "the snapshot is damaged"
    content: dict[str, Any] = json.loads(data[prefix:-4])
    content["chunks"] = tuple(Saved(**saved) for saved in content["chunks"])
    return Header(**content)


def _read(folder: Path, saved: Saved, code_bytes: int) -> Iterator[SlotRun]:
    """A file's slots. Raises ValueError where they are not what the header counted, FileNotFoundError."""
    record, crc, rest = _record(code_bytes), 0, saved.count
    with (folder / saved.name).open("rb") as file:
        while rest:
            data = file.read(min(rest, _AT_ONCE) * record.itemsize)
            if not data or len(data) % record.itemsize:
                raise ValueError("the file ends too early")
            crc = zlib.crc32(data, crc)
            records = np.frombuffer(data, dtype=record)
            yield SlotRun(records["code"], records["row"], records["unit"])
            rest -= len(records)
    if crc != saved.crc:
        raise ValueError("the file is damaged")


def _vectors_agree(folder: Path, loaded: Loaded) -> bool:
    """Whether the vectors' file is long enough and a sample of its vectors has the signs of its codes."""
    path, size = folder / loaded.header.vectors, 2 * loaded.header.dimensions
    view = loaded.slots.view()
    if not path.is_file() or path.stat().st_size < view.count * size:
        return False
    with path.open("rb") as file:
        sample = np.linspace(0, view.count - 1, min(_SAMPLE, view.count)).astype(np.int64)
        for slot, row, code in zip(sample.tolist(), view.rows(sample), view.codes(sample), strict=True):
            if row < 0:
                continue
            file.seek(slot * size)
            vector = np.frombuffer(file.read(size), dtype=np.float16)
            wiped = not vector.any()  # removed after this snapshot: whoever replays will remove it again
            if not wiped and not np.array_equal(np.packbits(vector > 0), code):
                return False
    return True


def remove_strays(folder: Path, keep: Collection[str]) -> None:
    """Delete files of earlier generations and half-written snapshots. Raises OSError."""
    for pattern in ("vectors-*.f16", "slots-*.bin", "*.tmp"):
        for path in folder.glob(pattern):
            if path.name not in keep:
                try:
                    path.unlink()
                except PermissionError:
                    continue  # Windows: still read by a search; the next open deletes it
