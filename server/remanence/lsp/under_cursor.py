"""What a hover is about: the identifier, call, import, error text or comment under the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from remanence.lsp.languages import (
    KEYWORDS,
    PROSE_LANGUAGES,
    Comment,
    comment_start,
)
from remanence.lsp.position import without_end

_WORD = re.compile(r"[^\W\d][\w$]*")
_QUALIFIED = re.compile(r"[^\W\d]\w*(?:(?:\.|::|->)[^\W\d]\w*)*")
_IMPORT = re.compile(
    r"""^\s*(?:import\b|from\s+[\w.]+\s+import\b|(?:pub\s+)?use\s+[\w:{]|\#\s*include\b
        |require(?:_relative)?[\s(]|using\s+[\w.]+\s*;|.*\brequire\s*\(\s*["'])""",
    re.VERBOSE,
)
_IMPORTED = re.compile(r"[\w@][\w@/.:-]*")
_ERROR = re.compile(
    r"\b[A-Z]\w*(?:Error|Exception|Warning|Panic|Fault)\b|\b(?:error|fatal|panic|panicked|exception)\b\s*"
    r"(?:\[\w+\])?\s*(?:at\b|:)|\bTraceback\b|\bERR!|\bE\d{3,5}\b",
)
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`")
_PART = re.compile(r"[^\W_]+")
_IMPORT_WORDS = frozenset({"as", "from", "import", "include", "pub", "require", "use", "using"})
_SHORTEST_NAME = 3
_LONGEST_QUERY = 400
_LONGEST_COMMENT = 12  # lines on each side of the cursor


class Kind(StrEnum):
    IDENTIFIER = "identifier"
    CALL = "call"
    IMPORT = "import"
    ERROR = "error"
    COMMENT = "comment"
    PROSE = "prose"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is under the cursor. `start` and `end` are columns of its line in code points; `query` is
    what to recall, `symbol` the code name in it, if there is one."""

    kind: Kind
    start: int
    end: int
    query: str
    symbol: str | None = None


def subject_at(lines: Sequence[str], line: int, column: int, language_id: str) -> Subject | None:
    """The subject at a point given in code points; None over space, punctuation, numbers, keywords."""
    if not 0 <= line < len(lines):
        return None
    text = without_end(lines[line])
    word = _word_at(text, column)
    if language_id in PROSE_LANGUAGES:
        return _prose(text, word)
    comment = comment_start(text, language_id)
    if comment is not None and column > comment.column:
        return _comment(lines, line, text, comment, word, language_id)
    if _IMPORT.match(text):
        return _import(text, column)
    if (error := _error(text, column, language_id)) is not None:
        return error
    if word is None:
        return None
    return _identifier(text, word)


def words_of(name: str) -> str:
    """A code name as plain words: `parseHTTPDate_utc` → `parse http date utc`."""
    return " ".join(word.lower() for part in _PART.findall(name) for word in _humps(part))


def _humps(part: str) -> Iterator[str]:
    start = 0
    for at in range(1, len(part)):
        before, here, after = part[at - 1], part[at], part[at + 1 : at + 2]
        new_word = here.isupper() and (not before.isupper() or after.islower())
        if new_word or before.isdigit() != here.isdigit():
            yield part[start:at]
            start = at
    yield part[start:]


def _word_at(text: str, column: int) -> re.Match[str] | None:
    """The word that the column touches; one that starts there rather than one that ends there."""
    touching = [word for word in _WORD.finditer(text) if word.start() <= column <= word.end()]
    return touching[-1] if touching else None


def _identifier(text: str, word: re.Match[str]) -> Subject | None:
    if word.group() in KEYWORDS:
        return None
    qualified = word.group()
    for match in _QUALIFIED.finditer(text):
        if match.start() <= word.start() and word.end() <= match.end():
            qualified = text[match.start() : word.end()]
    if len(qualified) < _SHORTEST_NAME:
        return None
    split = words_of(qualified)
    query = qualified if split == qualified.lower() else f"{qualified} {split}"
    is_call = text[word.end() :].lstrip()[:1] == "("
    if is_call:
        query = f"{query}\n{text.strip()}"
    kind = Kind.CALL if is_call else Kind.IDENTIFIER
    return Subject(kind, word.start(), word.end(), query[:_LONGEST_QUERY], qualified)


def _import(text: str, column: int) -> Subject | None:
    for match in _IMPORTED.finditer(text):
        name = match.group()
        if match.start() <= column <= match.end() and name not in _IMPORT_WORDS:
            statement = text.strip()
            return Subject(
                Kind.IMPORT, match.start(), match.end(), f"{name}\n{statement}"[:_LONGEST_QUERY], name
            )
    return None


def _error(text: str, column: int, language_id: str) -> Subject | None:
    """An error in a log or a terminal's output is its whole line; in code only the message's string."""
    if language_id in ("plaintext", "log", "output", "shellsession", ""):
        match = _ERROR.search(text)
        if match is None or not text[: column + 1].strip():
            return None
        stripped = text.strip()
        start = text.index(stripped)
        return Subject(
            Kind.ERROR, start, start + len(stripped), stripped[:_LONGEST_QUERY], _error_name(match)
        )
    for string in _STRING.finditer(text):
        message = string.group()[1:-1]
        if string.start() < column < string.end() and len(message.split()) >= 3:
            match = _ERROR.search(text)
            name = _error_name(match) if match else None
            query = f"{name}: {message}" if name else message
            return Subject(Kind.ERROR, string.start(), string.end(), query[:_LONGEST_QUERY], name)
    return None


def _error_name(match: re.Match[str]) -> str | None:
    name = _WORD.match(match.group())
    return name.group() if name and name.group()[0].isupper() and name.group() != "Traceback" else None


def _comment(
    lines: Sequence[str],
    line: int,
    text: str,
    comment: Comment,
    word: re.Match[str] | None,
    language_id: str,
) -> Subject | None:
    """A comment is asked about as a whole: the lines above and below it that are comments too."""
    if word is None:
        return None
    whole = [comment.text]
    if not text[: comment.column].strip():
        above = _comments(lines, range(line - 1, line - _LONGEST_COMMENT, -1), language_id)
        below = _comments(lines, range(line + 1, line + _LONGEST_COMMENT), language_id)
        whole = [*reversed(above), comment.text, *below]
    query = " ".join(part for part in whole if part)[:_LONGEST_QUERY]
    if len(query) < _SHORTEST_NAME:
        return None
    return Subject(Kind.COMMENT, comment.column, len(text.rstrip()), query, _code_name(word.group()))


def _comments(lines: Sequence[str], ats: range, language_id: str) -> list[str]:
    """The texts of these lines, up to the first that is not all comment."""
    found: list[str] = []
    for at in ats:
        text = without_end(lines[at]) if 0 <= at < len(lines) else ""
        comment = comment_start(text, language_id)
        if comment is None or text[: comment.column].strip():
            break
        found.append(comment.text)
    return found


def _prose(text: str, word: re.Match[str] | None) -> Subject | None:
    """In prose a word is asked about with its line; a code name in it is the symbol."""
    if word is None or len(word.group()) < _SHORTEST_NAME or word.group().lower() in KEYWORDS:
        return None
    query = text.strip().lstrip("#>*- ").strip()[:_LONGEST_QUERY]
    return Subject(Kind.PROSE, word.start(), word.end(), query, _code_name(word.group()))


def _code_name(word: str) -> str | None:
    looks_like_code = "_" in word.strip("_") or re.search(r"[a-z][A-Z]", word) is not None
    return word if looks_like_code else None
