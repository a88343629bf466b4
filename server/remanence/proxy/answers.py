"""What was answered, read beside the bytes that go to the client: events, lines, or one object."""

from __future__ import annotations

import functools
import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

log = logging.getLogger(__name__)

_LONGEST = 32 * 2**20  # bytes of one answer; what is longer is passed on and not kept


class Said(msgspec.Struct, frozen=True):
    """What one object of an answer adds; with `replaces` its text is the whole so far. `id` is the answer's
    own, where a later request can go on from it."""

    text: str = ""
    model: str | None = None
    id: str | None = None
    is_finished: bool = False
    calls_tools: bool = False
    replaces: bool = False


Read = Callable[[bytes], Said]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as far as it came. One that calls tools is not the end of its turn."""

    text: str
    model: str | None
    is_finished: bool
    calls_tools: bool
    id: str | None = None


class Reading:
    """One answer's body, fed as it comes. What cannot be read makes it None, never an error."""

    def __init__(self, content_type: str, content_encoding: str, read: Read, read_event: Read) -> None:
        self._is_events = "text/event-stream" in content_type
        self._is_lines = self._is_events or "ndjson" in content_type
        self._read = read_event if self._is_events else read
        self._inflate = _inflater(content_encoding)
        self._is_readable = self._inflate is not None
        self._size = 0
        self._rest: list[bytes] = []
        self._texts: list[str] = []
        self._model: str | None = None
        self._id: str | None = None
        self._is_finished = self._calls_tools = False

    def feed(self, part: bytes) -> None:
        """More of the body, as it came over the wire."""
        self._size += len(part)
        if not self._is_readable or self._inflate is None or self._size > _LONGEST:
            self._is_readable = False
            return
        try:
            part = self._inflate(part)
        except zlib.error:
            self._is_readable = False
            return
        if not self._is_lines or b"\n" not in part:
            self._rest.append(part)
            return
        *lines, rest = b"".join([*self._rest, part]).split(b"\n")
        self._rest = [rest]
        for line in lines:
            self._take(line)

    def answered(self) -> Answered | None:
        """What was said until now; None where it could not be read."""
        rest, self._rest = b"".join(self._rest), []
        if rest.strip():
            self._take(rest)
        return self.so_far() if self._is_readable else None

    @property
    def can_be_followed(self) -> bool:
        """Whether it has said its end, and the name by which a request can go on from it."""
        return self._is_finished and self._id is not None

    def so_far(self) -> Answered:
        """What the whole lines say that have come."""
        return Answered("".join(self._texts), self._model, self._is_finished, self._calls_tools, self._id)

    def _take(self, line: bytes) -> None:
        line = line.strip()
        if self._is_events:
            if not line.startswith(b"data:"):
                return
            line = line[5:].strip()
            if line == b"[DONE]":
                self._is_finished = True
                return
        if not line:
            return
        try:
            said = self._read(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # half an object, where the stream was cut, leaves what came before
            self._is_readable = self._is_readable and bool(self._texts)
            return
        if said.replaces and said.text:
            self._texts = []
        self._texts.append(said.text)
        self._model = said.model or self._model
        self._id = said.id or self._id
        self._is_finished = self._is_finished or said.is_finished
        self._calls_tools = self._calls_tools or said.calls_tools


def _inflater(encoding: str) -> Callable[[bytes], bytes] | None:
    if encoding in ("", "identity"):
        return lambda part: part
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(wbits=47).decompress
    _warn(encoding[:20])
    return None


@functools.cache
def _warn(encoding: str) -> None:
    log.warning("answers in %s are passed on and not kept: only gzip can be read", encoding)
