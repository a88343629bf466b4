"""Text as tools left it: read-only, decompressed, decoded, line by line, within bounds."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, cast

from remanence.sources.source import Failure

LONGEST = 64 * 2**20  # characters of one line, or of one file that must be read whole
HEAD = 64 * 2**10  # bytes that tell what a file is
BEING_WRITTEN = "The file is being written; it'll be read at the next sync."
UNREADABLE = (OSError, EOFError, zlib.error)
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_MODULES = ("compression.zstd", "backports.zstd", "zstandard", "pyzstd")


class CompressedError(OSError):
    """A file is compressed in a way that nothing installed here can undo."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. `ended` is false for the last one of a file that lacks its newline."""

    number: int
    text: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object of a JSON Lines file, and the line it stands on (from 1)."""

    number: int
    fields: dict[str, object]


def open_bytes(path: Path) -> IO[bytes]:
    """Open for reading, through gzip or zstandard where the content is. Raises OSError."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic == _ZSTD:
        return _open_zstd(path)
    return path.open("rb")


def open_text(stream: IO[bytes]) -> IO[str]:
    """Decode UTF-8 (or UTF-16 with its mark); bytes that are neither become U+FFFD, NULs stay."""
    buffered = io.BufferedReader(cast(io.RawIOBase, stream))
    mark = buffered.peek(2)[:2]
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding=encoding, errors="replace", newline="\n")


def head(path: Path) -> bytes:
    """The first bytes, decompressed; none where the file cannot be read."""
    try:
        with open_bytes(path) as stream:
            return stream.read(HEAD)
    except UNREADABLE:
        return b""


def lines(path: Path) -> Iterator[Line | Failure]:
    """Each line, split at LF only (U+2028 is text), without NULs. A line over LONGEST is a Failure."""
    number = 0
    try:
        with open_bytes(path) as stream, open_text(stream) as text:
            while part := text.readline(LONGEST):
                number += 1
                ended = part.endswith("\n")
                if ended or len(part) < LONGEST:
                    yield Line(number, part.rstrip("\r\n").replace("\x00", ""), ended)
                    continue
                yield Failure(f"line {number}", f"It is longer than {LONGEST // 2**20} million characters.")
                while part and not part.endswith("\n"):
                    part = text.readline(LONGEST)
    except UNREADABLE as error:
        yield Failure(f"after line {number}" if number else "the file", unreadable(error), passing=True)


def whole(path: Path) -> str | Failure:
    """All of a file that has to be parsed at once, without NULs."""
    try:
        with open_bytes(path) as stream, open_text(stream) as text:
            content = text.read(LONGEST + 1)
    except UNREADABLE as error:
        return Failure("the file", unreadable(error), passing=True)
    if len(content) > LONGEST:
        return Failure("the file", f"It is longer than {LONGEST // 2**20} million characters.")
    return content.replace("\x00", "")


def records(path: Path) -> Iterator[Record | Failure]:
    """Each JSON object of a JSON Lines file. A last line still being written is waited for, silently."""
    for line in lines(path):
        if isinstance(line, Failure):
            yield line
            continue
        if not line.text.strip():
            continue
        try:
            value = parse_json(line.text)
        except ValueError:
            if line.ended:
                yield Failure(f"line {line.number}", "It is not JSON.")
            continue
        if isinstance(value, dict):
            yield Record(line.number, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield Failure(f"line {line.number}", "It is not a JSON object.")


def parse_json(text: str) -> object:
    """Parse JSON as tools write it, control characters in strings and all. Raises ValueError."""
    try:
        return json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def unreadable(error: BaseException) -> str:
    """Why a file could not be read, in words, without its path."""
    if isinstance(error, CompressedError):
        return str(error)
    if isinstance(error, EOFError | zlib.error):
        return "The compressed file is damaged or incomplete."
    detail = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
    return f"The file cannot be read: {detail}."


def _open_zstd(path: Path) -> IO[bytes]:
    for name in _ZSTD_MODULES:
        try:
            module = import_module(name)
        except ImportError:
            continue
        return module.open(path, "rb")
    raise CompressedError("The file is compressed with zstandard; install the package zstandard to read it.")
