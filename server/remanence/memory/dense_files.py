"""The snapshot of a dense index: a small header, and a file of slots for each chunk of them.

Files of slots hold whole blocks of them and only grow: a snapshot appends what is new, then replaces the
header, which says how much of which file counts and its CRC-32, and holds the last block while it is not
full. A chunk in which a slot was blanked since is written anew under another name, so that a removed code
leaves the disk. Whatever lies beyond what the header counts was written before a crash and is ignored.
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

from remanence.memory.dense_codes import BLOCK, Quantiser
from remanence.memory.dense_slots import CHUNK, NOBODY, Chunk, SlotRun, Slots, View
from remanence.memory.index_files import open_private, replace_atomically
from remanence.memory.vector_file import unused_name

SNAPSHOT = "snapshot.bin"
_OURS = b"RMNDNS"
_MAGIC = _OURS + b"03"
_AT_ONCE = 1 << 10  # blocks
_SAMPLE = 64


@dataclass(frozen=True, slots=True)
class Saved:
    """A chunk's file of slots: it begins with the whole blocks of the chunk's `count` slots, whose CRC-32 is
    `crc`. `rest` is the block after them, which is not full, in hexadecimal digits."""

    name: str
    count: int
    crc: int
    rest: str


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
    for number, (start, chunk) in enumerate(view.chunks()):
        old = saved[number] if number < len(saved) and number not in blanked else None
        if old is None:
            path = unused_name(folder, "slots", "bin")
            with open(path, "xb", opener=open_private):
                old = Saved(path.name, 0, 0, "")
        yield _append(folder, old, view, start, chunk)


def _append(folder: Path, saved: Saved, view: View, start: int, chunk: Chunk) -> Saved:
    """Write the whole blocks of a chunk, whose first slot is `start`, after those that count."""
    count, crc = len(chunk.rows), saved.crc
    if saved.count == count:
        return saved
    packed, (whole, rest) = chunk.codes.packed(), divmod(count, BLOCK)

    def blocks(first: int, last: int) -> bytes:
        """These blocks of the chunk; what one lacks that is not full is nobody's."""
        held = slice(first * BLOCK, min(last * BLOCK, count))
        records = np.zeros(last - first, dtype=_record(packed.shape[1]))
        records["codes"] = packed[first:last]
        rows = np.full((last - first) * BLOCK, NOBODY, dtype=np.int32)
        units = np.zeros(len(rows), dtype=np.uint8)
        rows[: held.stop - held.start] = chunk.rows[held]
        units[: held.stop - held.start] = view.units(start + held.start, chunk.rows[held])
        records["rows"], records["units"] = rows.reshape(-1, BLOCK), units.reshape(-1, BLOCK)
        return records.tobytes()

    with open(folder / saved.name, "r+b") as file:
        kept = saved.count // BLOCK
        file.truncate(kept * _record(packed.shape[1]).itemsize)
        file.seek(0, os.SEEK_END)
        for first in range(kept, whole, _AT_ONCE):
            data = blocks(first, min(first + _AT_ONCE, whole))
            file.write(data)
            crc = zlib.crc32(data, crc)
        file.flush()
        os.fsync(file.fileno())
    return Saved(saved.name, count, crc, blocks(whole, whole + 1).hex() if rest else "")


def _record(block_bytes: int) -> np.dtype[np.void]:
    """A block of slots: packed codes, rows, units."""
    return np.dtype(
        [("codes", np.uint8, (block_bytes,)), ("rows", "<i4", (BLOCK,)), ("units", np.uint8, (BLOCK,))]
    )


def load_snapshot(folder: Path, model_id: str, dimensions: int, quantiser: Quantiser) -> Loaded | str:
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
        slots = Slots.restored(quantiser, (_read(folder, saved, quantiser) for saved in header.chunks))
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


def _read(folder: Path, saved: Saved, quantiser: Quantiser) -> SlotRun:
    """A chunk's slots. Raises ValueError where they are not what the header counted, FileNotFoundError."""
    record = _record(BLOCK * quantiser.code_bytes)
    with (folder / saved.name).open("rb") as file:
        data = file.read(saved.count // BLOCK * record.itemsize)
    if zlib.crc32(data) != saved.crc:
        raise ValueError("the file is damaged")
    blocks = np.frombuffer(data + bytes.fromhex(saved.rest), dtype=record)
    if len(blocks) != -(-saved.count // BLOCK):
        raise ValueError("the file ends too early")
    rows, units = (blocks[name].reshape(-1)[: saved.count] for name in ("rows", "units"))
    return SlotRun(np.ascontiguousarray(blocks["codes"]), rows, units)


def _vectors_agree(folder: Path, loaded: Loaded) -> bool:
    """Whether the vectors' file is long enough and a sample of its vectors has the codes that it should."""
    path, size = folder / loaded.header.vectors, 2 * loaded.header.dimensions
    view = loaded.slots.view()
    if not path.is_file() or path.stat().st_size < view.count * size:
        return False
    sample = np.unique(np.linspace(0, view.count - 1, min(_SAMPLE, view.count)).astype(np.int64))
    with path.open("rb") as file:
        for start, chunk in view.chunks():
            for at in (sample[(sample >= start) & (sample < start + len(chunk.rows))] - start).tolist():
                file.seek((start + at) * size)
                vector = np.frombuffer(file.read(size), dtype=np.float16)
                wiped = not vector.any()  # removed after this snapshot: whoever replays will remove it again
                if chunk.rows[at] >= 0 and not wiped and chunk.codes.differ(at, vector[None]).any():
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
