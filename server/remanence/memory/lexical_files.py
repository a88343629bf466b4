"""Whether the files of a Tantivy index are whole. Tantivy maps them and checks nothing when it opens them."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from pathlib import Path
from typing import cast

from remanence.memory.lexical_state import Marks
from remanence.memory.segment_list import read_segments

_FOOTER_MAGIC = 1337  # tantivy/src/directory/footer.rs: content, JSON with its CRC-32, length, magic
_BLOCK = 1 << 20


def marks(segments: Path) -> dict[str, list[int]]:
    """The marks of every file of the committed segments, now; of none where that cannot be told."""
    found: dict[str, list[int]] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        for path in _committed(segments):
            with contextlib.suppress(FileNotFoundError):  # merged away meanwhile
                found[path.name] = _mark(path)
    return found


def is_whole(segments: Path, known: Marks | None = None) -> bool:
    """Whether every file of every committed segment has the CRC-32 that its own footer records.

    One that has the mark it has in `known` is taken for whole unread: at any size that takes a millisecond
    or two. Without `known` the whole index is read (some 50 ms at 100,000 exchanges).
    """
    try:
        for path in _committed(segments):
            if known is not None and known.get(path.name) == _mark(path):
                continue
            if not _has_its_checksum(path):
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _committed(segments: Path) -> list[Path]:
    """Every file of the committed segments. Raises OSError or ValueError where the list of these is damaged,
    FileNotFoundError where a segment has no file at all."""
    by_segment: dict[str, list[str]] = {}
    for name in os.listdir(segments):
        by_segment.setdefault(name.partition(".")[0], []).append(name)
    files: list[Path] = []
    for segment in read_segments(segments):
        names = [name for name in by_segment.get(segment.name, []) if not name.endswith(".del")]
        if not names:
            raise FileNotFoundError(segment.name)
        if segment.deletes is not None:
            names.append(f"{segment.name}.{segment.deletes}.del")
        files += [segments / name for name in names]
    return files


def _mark(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def make_private(segments: Path) -> None:
    """Make each file readable by its owner alone; Tantivy creates them as the umask says."""
    for path in segments.iterdir():
        with contextlib.suppress(FileNotFoundError):  # merged away meanwhile
            path.chmod(0o600)


def size_of(segments: Path) -> int:
    """Bytes of all files, those that a merge takes away meanwhile left out."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(segments) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size
    return total


def _has_its_checksum(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 8:
            return False
        file.seek(size - 8)
        length, magic = struct.unpack("<II", file.read(8))
        body = size - 8 - length
        if magic != _FOOTER_MAGIC or body < 0:
            return False
        file.seek(body)
        expected = cast(int, json.loads(file.read(length))["crc"])
        file.seek(0)
        crc = 0
        while body > 0:
            block = file.read(min(_BLOCK, body))
            if not block:
                return False
            crc = zlib.crc32(block, crc)
            body -= len(block)
    return crc == expected
