"""What stands around a line of a document: where it is nested, what it comments on, where a name is used.

Only indentation and comment openers are looked at, so it holds for any language. Every search is bounded:
a hover in a file of a hundred thousand lines, or of one endless line, costs as much as in a small one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from remanence.lsp.languages import comment_start
from remanence.lsp.position import without_end

_WORDS = re.compile(r"[^\W_]")
_CLOSING = (")", "]", "}")
_FAR = 400  # lines that are searched in each direction
_DEEP = 6  # enclosing lines that are worth having
_LONGEST_COMMENT = 12  # lines on each side of the cursor
_WIDE = 1000  # characters of a line that are looked at
_DEFINED = re.compile(
    r"\b(?:def|class|fn|func|fun|function|struct|enum|trait|impl|interface|module|namespace)\s+([^\W\d]\w*)"
    r"|\b(?:const|let|var)\s+([^\W\d]\w*)\s*=\s*(?:async\s*)?(?:function\b|\()"
)
_DOCSTRING = re.compile(r"[rRbBuUfF]{0,2}(\"\"\"|''')")


def enclosing(lines: Sequence[str], at: int) -> list[str]:
    """The lines that this one is nested in by its indentation, innermost first."""
    found: list[str] = []
    depth = _indent(lines[at])
    if not depth:  # else hundreds of lines would be looked at for nothing
        return found
    ended = False  # at this depth stands the last line of a header: its first one has the name
    for text in _near(lines, range(at - 1, at - _FAR, -1)):
        indent = _indent(text)
        if not text.strip() or indent > depth or (indent == depth and not ended):
            continue
        depth = indent
        ended = text.lstrip().startswith(_CLOSING) or not _WORDS.search(text)
        if ended:
            continue
        found.append(text.strip())
        if depth == 0 or len(found) == _DEEP:
            break
    return found


def enclosing_name(lines: Sequence[str], at: int) -> str | None:
    """The name of the definition that this line stands in, or is itself the first line of."""
    if at >= len(lines):
        return None
    for text in (without_end(lines[at][:_WIDE]), *enclosing(lines, at)):
        if (defined := _DEFINED.search(text)) is not None:
            return defined.group(1) or defined.group(2)
    return None


def nested(lines: Sequence[str], at: int, most: int) -> list[str]:
    """The first lines that are nested in this one; none where it opens nothing."""
    found: list[str] = []
    for text in _near(lines, range(at + 1, at + _FAR)):
        if not _WORDS.search(text):
            continue
        if len(found) == most or _indent(text) <= _indent(lines[at]):
            break
        found.append(text.strip())
    return found


def comments_above(lines: Sequence[str], at: int, language_id: str) -> list[str]:
    """The texts of the lines right above that are all comment."""
    return list(_comments(lines, range(at - 1, at - _LONGEST_COMMENT, -1), language_id))[::-1]


def comments_below(lines: Sequence[str], at: int, language_id: str) -> list[str]:
    """The texts of the lines right below that are all comment."""
    return list(_comments(lines, range(at + 1, at + _LONGEST_COMMENT), language_id))


def commented(lines: Sequence[str], at: int, language_id: str) -> int | None:
    """The line that a comment of whole lines stands above, if it stands above any."""
    for below in range(at + 1, min(at + _FAR, len(lines))):
        text = without_end(lines[below][:_WIDE])
        if not text.strip():
            return None
        comment = comment_start(text, language_id)
        if comment is None or text[: comment.column].strip():
            return below
    return None


def docstring(lines: Sequence[str], at: int) -> str | None:
    """The text of Python's docstring that this line is part of, or None. One starts a file, or follows
    the colon of a definition."""
    for start in range(at, max(at - _LONGEST_COMMENT, -1), -1):
        opened = _DOCSTRING.match(lines[start].lstrip())
        if opened is None or not _starts_block(lines, start):
            continue
        said = "\n".join(line[:_WIDE].strip() for line in lines[start : at + _LONGEST_COMMENT])
        text = said[opened.end() :].partition(opened.group(1))[0]
        return " ".join(text.split()) if at - start <= text.count("\n") else None
    return None


def use_of(lines: Sequence[str], at: int, name: str) -> str | None:
    """The nearest other line that has this name in it: one below before one above."""
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    for ats in (range(at + 1, at + _FAR), range(at - 1, at - _FAR, -1)):
        for text in _near(lines, ats):
            if pattern.search(text):
                return text.strip()
    return None


def paragraph(lines: Sequence[str], at: int) -> list[str]:
    """The lines of prose around this one, it included, up to blank lines and headings."""
    above: list[str] = []
    for text in _near(lines, range(at - 1, at - _LONGEST_COMMENT, -1)):
        if not text.strip() or text.startswith("#"):
            break
        above.append(text)
    below: list[str] = []
    for text in _near(lines, range(at + 1, at + _LONGEST_COMMENT)):
        if not text.strip() or text.startswith("#"):
            break
        below.append(text)
    return [*reversed(above), without_end(lines[at]), *below]


def heading(lines: Sequence[str], at: int) -> str | None:
    """The Markdown heading of the section that this line is in."""
    for text in _near(lines, range(at - 1, at - _FAR, -1)):
        if text.startswith("#"):
            return text.strip("# ")
    return None


def _near(lines: Sequence[str], ats: range) -> Iterator[str]:
    return (without_end(lines[at][:_WIDE]) for at in ats if 0 <= at < len(lines))


def _comments(lines: Sequence[str], ats: range, language_id: str) -> Iterator[str]:
    """The texts of these lines, up to the first that is not all comment."""
    for text in _near(lines, ats):
        comment = comment_start(text, language_id)
        if comment is None or text[: comment.column].strip():
            return
        yield comment.text


def _starts_block(lines: Sequence[str], at: int) -> bool:
    for text in _near(lines, range(at - 1, at - _FAR, -1)):
        if text.strip() and not text.lstrip().startswith("#"):
            return text.rstrip().endswith(":")
    return True


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
