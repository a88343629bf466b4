"""Between the client's positions (UTF-8, -16 or -32 code units) and this process's code points."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsprotocol import types

Encoding = types.PositionEncodingKind | str | None

_MORE_THAN_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of a document with their ends, as LSP counts them: only LF, CRLF and CR end a line.

    `str.splitlines` also breaks at form feeds and Unicode separators, which shifts every position
    after one of them.
    """
    if _MORE_THAN_LINE_ENDS.search(text) is None:
        return tuple(text.splitlines(keepends=True))
    return tuple(_LINES.findall(text))


def without_end(line: str) -> str:
    """A line without its line end."""
    return line.rstrip("\r\n")


def units(text: str, encoding: Encoding) -> int:
    """How many code units the client counts for `text`."""
    if encoding == types.PositionEncodingKind.Utf8:
        return len(text.encode("utf-8", "surrogatepass"))
    if encoding == types.PositionEncodingKind.Utf32:
        return len(text)
    return len(text) + sum(char > "\uffff" for char in text)


def column(line: str, character: int, encoding: Encoding) -> int:
    """The code point index of the client's `character`; past the end of the line means its end.

    A position inside a character that takes several units means the start of that character.
    """
    line = without_end(line)
    if encoding == types.PositionEncodingKind.Utf32 or line.isascii():
        return min(character, len(line))
    counted = 0
    for index, char in enumerate(line):
        counted += units(char, encoding)
        if counted > character:
            return index
    return len(line)


def client_range(
    lines: Sequence[str], start: tuple[int, int], end: tuple[int, int], encoding: Encoding
) -> types.Range:
    """The client's range for two (line, column) points counted in code points."""
    return types.Range(start=_client(lines, start, encoding), end=_client(lines, end, encoding))


def _client(lines: Sequence[str], point: tuple[int, int], encoding: Encoding) -> types.Position:
    line, column_ = point
    text = lines[line][:column_] if line < len(lines) else ""
    return types.Position(line=line, character=units(text, encoding))
