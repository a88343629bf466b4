"""What a hover is about: the identifier, call, import, error text or comment under the cursor.

What is asked is more than the name: code says what it is for by where it stands, so the line goes along,
and what it is nested in, what stands in it, what a comment says of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from remanence.lsp.languages import (
    KEYWORDS,
    PROSE_LANGUAGES,
    Comment,
    comment_start,
)
from remanence.lsp.position import without_end
from remanence.lsp.surroundings import (
    commented,
    comments_above,
    comments_below,
    docstring,
    enclosing,
    heading,
    nested,
    paragraph,
    use_of,
)

_WORD = re.compile(r"[^\W\d][\w$]*")
_QUALIFIED = re.compile(r"[^\W\d]\w*(?:(?:\.|::|->)[^\W\d]\w*)*")
_HYPHENATED = re.compile(r"(?<![\w/-])[^\W\d][\w/]*+(?:-[\w/]++)++")
_IMPORT = re.compile(
    r"""^\s*+(?:import\b|from\s+[\w.]+\s+import\b|(?:pub\s+)?use\s+[\w:{]|\#\s*include\b
        |require(?:_relative)?[\s(]|using\s+[\w.]+\s*;|.*\brequire\s*\(\s*["'])""",
    re.VERBOSE,
)
_IMPORTED = re.compile(r"[\w@][\w@/.:-]*")
_ERROR_NAME = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Warning|Panic|Fault)\b")
_ERROR = re.compile(
    rf"{_ERROR_NAME.pattern}|\b(?i:error|fatal|panic|panicked|exception)\b\s*(?:\[\w+\]|[A-Z]+\d+)?\s*(?:at\b|:)"
    r"|\bTraceback\b|\bERR!|\bE(?:\d{3,5}|[A-Z]{4,})\b",
)
_STAMP = re.compile(
    r"\s*\[?(?:\d{4}-\d\d-\d\d(?:[T ][\d:.,]+)?|\d\d:\d\d:\d\d[\d.,]*)(?:Z|[+-]\d\d:?\d\d)?\]?\s+"
)
_LEVEL = re.compile(r"\[?(ERROR|FATAL|CRITICAL|SEVERE|WARN(?:ING)?|INFO|NOTICE|DEBUG|TRACE)\]?:?\s+")
_QUIET_LEVELS = frozenset({"INFO", "NOTICE", "DEBUG", "TRACE"})
# none starts behind a backslash: else a line of escaped quotes is read once from each of them
_STRING = re.compile(r"(?<!\\)(?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|`(?:[^`\\]|\\.)*+`)")
_LAST_NAME = re.compile(r"[^\W\d]\w*$")
_IMPORT_WORDS = frozenset({"as", "from", "import", "include", "pub", "require", "use", "using"})
_LOG_LANGUAGES = frozenset({"plaintext", "log", "output", "shellsession", ""})
_HYPHENATING = frozenset({
    "yaml", "toml", "json", "jsonc", "conf", "dockerfile", "shellscript", "css", "scss", "html", "xml",
    "clojure", "lisp", "scheme", "emacs-lisp",
})  # fmt: skip
_SHORTEST_NAME = 3
_LONGEST_QUERY = 400
_LONGEST_LINE = 5000
_NESTED = 2  # lines of what a definition holds


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
    """The subject at a point given in code points; None over space, punctuation, numbers, keywords and in
    lines of more than 5,000 characters, which are minified or data."""
    if not 0 <= line < len(lines) or len(lines[line]) > _LONGEST_LINE:
        return None
    text = without_end(lines[line])
    word = _word_at(text, column)
    if language_id in PROSE_LANGUAGES:
        return _prose(lines, line, word)
    if language_id in _LOG_LANGUAGES and (logged := _logged(text, column)) is not None:
        return logged
    comment = comment_start(text, language_id)
    if comment is not None and column > comment.column:
        return _comment(lines, line, text, comment, word, language_id)
    if language_id == "python" and (said := docstring(lines, line)) is not None:
        return _docstring(lines, line, text, said, word)
    if _IMPORT.match(text):
        return _import(lines, line, text, column)
    if (error := _error(text, column)) is not None:
        return error
    if word is None:
        return None
    return _identifier(lines, line, text, word, language_id)


def _word_at(text: str, column: int) -> re.Match[str] | None:
    """The word that the column touches; one that starts there rather than one that ends there."""
    touching = [word for word in _WORD.finditer(text) if word.start() <= column <= word.end()]
    return touching[-1] if touching else None


def _identifier(
    lines: Sequence[str], line: int, text: str, word: re.Match[str], language_id: str
) -> Subject | None:
    if word.group() in KEYWORDS:
        return None
    name, start, end = _name(text, word, language_id)
    if len(name) < _SHORTEST_NAME:
        return None
    held = nested(lines, line, _NESTED)
    around = enclosing(lines, line)
    parts = [name, text, *held, *comments_above(lines, line, language_id), *around]
    if not held and not around:
        parts += _uses(lines, line, name)
    kind = Kind.CALL if text[end:].lstrip()[:1] == "(" else Kind.IDENTIFIER
    return Subject(kind, start, end, _query(parts), name)


def _name(text: str, word: re.Match[str], language_id: str) -> tuple[str, int, int]:
    """The whole name that a word is part of, and the columns of what is marked as it."""
    start, end = word.span()
    for match in _HYPHENATED.finditer(text):
        if match.start() <= start and end <= match.end():
            strings = _STRING.finditer(text)
            quoted = any(each.start() < match.start() and match.end() < each.end() for each in strings)
            if quoted or language_id in _HYPHENATING:
                return match.group(), match.start(), match.end()
    for match in _QUALIFIED.finditer(text):
        if match.start() <= start and end <= match.end():
            return text[match.start() : end], start, end
    return word.group(), start, end


def _import(lines: Sequence[str], line: int, text: str, column: int) -> Subject | None:
    for match in _IMPORTED.finditer(text):
        name = match.group()
        if match.start() <= column <= match.end() and name not in _IMPORT_WORDS:
            query = _query([name, text, *_uses(lines, line, name)])
            return Subject(Kind.IMPORT, match.start(), match.end(), query, name)
    return None


def _logged(text: str, column: int) -> Subject | None:
    """A message in a log or a terminal's output is its whole line, without the time and the level."""
    stamp = _STAMP.match(text)
    message = text[stamp.end() :] if stamp else text.lstrip()
    level = _LEVEL.match(message)
    message = message[level.end() :] if level else message
    is_error = _ERROR.search(message) or (level is not None and level.group(1) not in _QUIET_LEVELS)
    if not (is_error or stamp or level) or not message.strip() or not text[: column + 1].strip():
        return None
    kind = Kind.ERROR if is_error else Kind.PROSE
    start = len(text) - len(text.lstrip())
    return Subject(kind, start, len(text.rstrip()), _query([message]), _error_name(message))


def _error(text: str, column: int) -> Subject | None:
    """An error in code is the string of its message."""
    for string in _STRING.finditer(text):
        message = string.group()[1:-1]
        if string.start() < column < string.end() and len(message.split()) >= 3:
            name = _error_name(text)
            query = f"{name}: {message}" if name else message
            return Subject(Kind.ERROR, string.start(), string.end(), query[:_LONGEST_QUERY], name)
    return None


def _error_name(text: str) -> str | None:
    name = _ERROR_NAME.search(text)
    return name.group() if name else None


def _comment(
    lines: Sequence[str],
    line: int,
    text: str,
    comment: Comment,
    word: re.Match[str] | None,
    language_id: str,
) -> Subject | None:
    """A comment is asked about as a whole, with the code that it is about."""
    if word is None:
        return None
    if code := text[: comment.column].strip():
        whole, about = [comment.text], [code]
    else:
        above = comments_above(lines, line, language_id)
        whole = [*above, comment.text, *comments_below(lines, line, language_id)]
        at = commented(lines, line, language_id)
        about = [lines[at][:_LONGEST_QUERY], *nested(lines, at, 1)] if at is not None else []
    said = " ".join(part for part in whole if part)
    if len(said) < _SHORTEST_NAME:
        return None
    query = _query([said, *about, *enclosing(lines, line)])
    return Subject(Kind.COMMENT, comment.column, len(text.rstrip()), query, _code_name(word.group()))


def _docstring(
    lines: Sequence[str], line: int, text: str, said: str, word: re.Match[str] | None
) -> Subject | None:
    if word is None or len(said) < _SHORTEST_NAME:
        return None
    query = _query([said, *enclosing(lines, line)])
    start = len(text) - len(text.lstrip())
    return Subject(Kind.COMMENT, start, len(text.rstrip()), query, _code_name(word.group()))


def _prose(lines: Sequence[str], line: int, word: re.Match[str] | None) -> Subject | None:
    """In prose a word is asked about with its line, then its paragraph and what that stands under; a code
    name in it is the symbol."""
    if word is None or len(word.group()) < _SHORTEST_NAME or word.group().lower() in KEYWORDS:
        return None
    parts = [lines[line], *paragraph(lines, line), heading(lines, line) or ""]
    query = _query(part.strip().lstrip("#>*- ") for part in parts)
    return Subject(Kind.PROSE, word.start(), word.end(), query, _code_name(word.group()))


def _code_name(word: str) -> str | None:
    looks_like_code = "_" in word.strip("_") or re.search(r"[a-z][A-Z]", word) is not None
    return word if looks_like_code else None


def _uses(lines: Sequence[str], line: int, name: str) -> list[str]:
    """A line where a name that is only introduced here is put to use."""
    last = _LAST_NAME.search(name)
    use = use_of(lines, line, last.group()) if last else None
    return [use] if use else []


def _query(parts: Iterable[str]) -> str:
    """Each part once, the nearest first: what is too long loses its end."""
    said = dict.fromkeys(part.strip() for part in parts)
    return "\n".join(part for part in said if part)[:_LONGEST_QUERY].rstrip()
