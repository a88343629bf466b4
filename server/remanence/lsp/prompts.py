"""Where a prompt is being typed: a chat's turn, a paragraph of prose, or a comment that opens with a mark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from remanence.lsp.fences import open_fence
from remanence.lsp.languages import CHAT_LANGUAGES, MARKDOWN_LANGUAGES, canonical, comment_start
from remanence.lsp.position import without_end
from remanence.lsp.transcripts import Role, turn_mark

_LEAST_LETTERS = 3
_LONGEST_PASSAGE = 8000  # characters
_BLOCK_START = re.compile(r"^\s*(?:[-*+]|\d+[.)]|>)\s+")
_NO_PROSE = re.compile(r"^\s*(?:#{1,6}\s|\||-{3,}\s*$|={3,}\s*$|<!--)|^\s*$")


class Place(StrEnum):
    CHAT = "chat"
    PROSE = "prose"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The prompt typed so far; every line and column counts code points.

    `text` is its words without comment marks. It runs from (`first_line`, `first_column`) to the cursor
    at (`line`, `column`); its words begin at `opened` in the cursor's own line. `outer` is the column of
    the comment mark in the first line (elsewhere `first_column`). `leader` is what a further line of the
    comment starts with. `language` is that of the surrounding code.
    """

    place: Place
    text: str
    first_line: int
    first_column: int
    line: int
    column: int
    opened: int
    outer: int
    leader: str = ""
    mark: str = ""
    language: str = ""

    @property
    def says_enough(self) -> bool:
        """Whether there is something to look up yet."""
        return sum(char.isalnum() for char in self.text) >= _LEAST_LETTERS


def passage_at(
    lines: Sequence[str],
    line: int,
    column: int,
    language_id: str,
    marks: Sequence[str],
    *,
    chat: bool = False,
) -> Passage | None:
    """The prompt that ends at the cursor, or None where no prompt is typed there.

    `chat` says that the document is known to be a chat transcript. What is inside a Markdown fence is
    code of the fence's language: only a marked comment is a prompt there.
    """
    if line > len(lines):
        return None
    if language_id not in MARKDOWN_LANGUAGES and not chat:
        return _marked(lines, line, column, language_id, marks)
    info = open_fence(lines, line)
    if info is not None:
        language = canonical(re.split(r"[\s{]", info, maxsplit=1)[0])
        return _marked(lines, line, column, language, marks)
    if chat or language_id in CHAT_LANGUAGES:
        return _chat(lines, line, column)
    return _paragraph(Place.PROSE, lines, line, column)


def _marked(
    lines: Sequence[str], line: int, column: int, language: str, marks: Sequence[str]
) -> Passage | None:
    """A comment that opens with a mark, and the comment lines below it up to the cursor."""
    here = _line(lines, line)
    below: list[str] = []
    for first in range(line, -1, -1):
        text = _line(lines, first)
        opening = _opening(text, marks, alone=first < line)
        if opening is None:
            comment = comment_start(text, language)
            if comment is None or text[: comment.column].strip():
                return None
            below.insert(0, text[:column] if first == line else text)
            continue
        mark, outer = opening
        leader = mark.rstrip("?") or mark
        words = _after(text, outer + len(mark))
        if first == line:
            if column < words - 1:
                return None
            said, opened = [text[words:column]], min(words, column)
        else:
            if any(not more.lstrip().startswith(leader) for more in below):
                return None
            said = [text[words:], *(more.strip()[len(leader) :].strip() for more in below)]
            opened = min(_after(here, _indent(here) + len(leader)), column)
        return _passage(
            Place.COMMENT,
            said,
            (first, words),
            (line, column),
            opened,
            outer=outer,
            leader=f"{text[: _indent(text)]}{leader} ",
            mark=mark,
            language=language,
        )
    return None


def _opening(text: str, marks: Sequence[str], *, alone: bool) -> tuple[str, int] | None:
    """The mark that opens a comment in this line and its column; `alone`: nothing may come before it."""
    for mark in marks:
        found = re.search(rf"(?:^|(?<=\s)){re.escape(mark)}", text)
        if found is not None and (not alone or found.start() == _indent(text)):
            return mark, found.start()
    return None


def _chat(lines: Sequence[str], line: int, column: int) -> Passage | None:
    """The user's turn up to the cursor; None in an answer. Without headings, the paragraph."""
    for at in range(min(line, len(lines) - 1), -1, -1):
        mark = turn_mark(_line(lines, at), at)
        if mark is None or open_fence(lines, at) is not None:
            continue
        if mark.role is not Role.USER or at == line:
            return None
        start = at + 1
        while start < line and (not lines[start].strip() or lines[start].startswith(">")):
            start += 1
        return _lines(Place.CHAT, lines, start, line, column)
    return _paragraph(Place.CHAT, lines, line, column)


def _paragraph(place: Place, lines: Sequence[str], line: int, column: int) -> Passage | None:
    if _NO_PROSE.match(_line(lines, line)):
        return None
    start = line
    while start > 0 and not _BLOCK_START.match(_line(lines, start)) and not _NO_PROSE.match(lines[start - 1]):
        start -= 1
    return _lines(place, lines, start, line, column)


def _lines(place: Place, lines: Sequence[str], start: int, line: int, column: int) -> Passage | None:
    first = _line(lines, start)
    bullet = _BLOCK_START.match(first)
    begin = bullet.end() if bullet else _indent(first)
    if start == line and column < begin:
        return None
    said = [_line(lines, at) for at in range(start, line)]
    said.append(_line(lines, line)[:column])
    said[0] = said[0][begin:]
    return _passage(place, said, (start, begin), (line, column), begin if start == line else 0, outer=begin)


def _passage(
    place: Place,
    said: Sequence[str],
    start: tuple[int, int],
    cursor: tuple[int, int],
    opened: int,
    *,
    outer: int,
    leader: str = "",
    mark: str = "",
    language: str = "",
) -> Passage:
    return Passage(
        place=place,
        text="\n".join(said).strip()[-_LONGEST_PASSAGE:],
        first_line=start[0],
        first_column=start[1],
        line=cursor[0],
        column=cursor[1],
        opened=opened,
        outer=outer,
        leader=leader,
        mark=mark,
        language=language,
    )


def _line(lines: Sequence[str], at: int) -> str:
    return without_end(lines[at]) if at < len(lines) else ""


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _after(text: str, column: int) -> int:
    """The column of what follows a mark: one space after it belongs to the mark."""
    return column + (text[column : column + 1] == " ")
