"""Candidate keywords of an exchange: what a keyword could be, for KeyBERT to choose among.

Identifiers, file paths and error codes stay whole and keep their case; natural words are lower-cased, in
any script, alone and in pairs that cross no punctuation. Fenced code contributes its identifiers only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from remanence.memory.stop_words import guess_language, stop_words

_READ = 20_000  # characters of the question, and of the answer: the vector sees far fewer
_LONGEST = 60  # characters of a candidate; longer runs are hashes, keys, encoded data
_QUESTION, _ANSWER, _CODE = 3.0, 1.0, 0.5  # weight of one occurrence
_NAMED = 2.0  # an identifier says more than a word

_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_REDACTED = re.compile(r"\[REDACTED:[^\]\n]*\]")
# One class, no alternation, no nesting: linear whatever the text. Everything else happens inside a run.
_RUN = re.compile(r"[\w./\\:@#+~'’-]+")
_PADDING = ".:/\\'’#@+~-"
_POSITION = re.compile(r"(?::\d+){1,2}$")  # of settings.py:42:7

_CAMEL = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2,}[a-z]{2,}")
_SNAKE = re.compile(r"_*[^\W_]+(?:_+[^\W_]+)+_*|__?[^\W\d_][^\W_]*_*")
_DOTTED = re.compile(r"[^\W\d]\w*(?:(?:\.|::|->)[^\W\d][\w-]*)+")
_FLAG = re.compile(r"--[a-z][\w-]+")
_CODE_NUMBER = re.compile(r"[A-Z]{1,10}-?\d{2,6}")  # E0308, TS2345, ORA-00942
_LANGUAGE_NAME = re.compile(r"(?:[A-Za-z]{1,2}\+\+|[A-Z]#|\.NET)")
_ROOTED = re.compile(r"(?:~?|\.[A-Za-z][\w-]*)/\w")  # /etc/hosts, ~/notes.md, .github/workflows
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,7}$")
_OPAQUE = re.compile(r"(?=.*\d)[0-9a-fA-F-]{8,}")  # hashes, UUIDs
_DEFINED = re.compile(
    r"\b(?:def|class|function|fn|func|import|from|struct|interface|module)[ \t]+([^\W\d]\w{2,})"
)

_WORDS = re.compile(r"[^\W\d_][^\W_]*(?:['’-][^\W_]+)*")
_ELISION = re.compile(r"(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu)['’](?=\w)", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s$")
_IDEOGRAPHS = re.compile(r"[\u3400-\u9fff々]+")
_KATAKANA = re.compile(r"[\u30a0-\u30ff]+")
_LONGEST_CHUNK = 8  # ideographs: more are a clause, not a word


@dataclass(slots=True)
class _Tally:
    phrase: str
    weight: float
    position: int


@dataclass(frozen=True, slots=True)
class _Word:
    """A word or identifier; `follows` where only a space parts it from the one before."""

    text: str
    is_name: bool
    follows: bool


def candidates(question: str, answer: str, limit: int = 60) -> tuple[str, ...]:
    """At most `limit` candidate phrases, the most frequent and earliest first, each of them once."""
    question, answer = _prepared(question), _prepared(answer)
    # Asked in one language, answered in another, or in code: each side is guessed for itself.
    stops = stop_words(guess_language(question)) | stop_words(guess_language(answer))
    tallies: dict[str, _Tally] = {}

    def count(phrase: str, weight: float) -> None:
        if not 2 <= len(phrase) <= _LONGEST:
            return
        tally = tallies.setdefault(phrase.casefold(), _Tally(phrase, 0.0, len(tallies)))
        tally.weight += weight

    for text, weight in ((question, _QUESTION), (answer, _ANSWER)):
        for passage, is_code in _passages(text):
            if is_code:
                for name in _names(passage):
                    count(name, weight * _CODE * _NAMED)
                continue
            before: _Word | None = None
            for word in _words(passage, stops):
                count(word.text, weight * (_NAMED if word.is_name else 1.0))
                if before is not None and word.follows and not (before.is_name and word.is_name):
                    count(f"{before.text} {word.text}", weight)
                before = word
    ranked = sorted(tallies.values(), key=lambda tally: (-tally.weight, tally.position))
    return tuple(tally.phrase for tally in ranked[:limit])


def _prepared(text: str) -> str:
    return _REDACTED.sub(" . ", unicodedata.normalize("NFC", text[:_READ]))


def _passages(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces: prose, or the inside of a fence (True). An unclosed fence runs to the end."""
    is_code, start = False, 0
    for fence in _FENCE.finditer(text):
        yield text[start : fence.start()], is_code
        end_of_line = text.find("\n", fence.end())  # the rest of the line names the language
        start = len(text) if end_of_line < 0 else end_of_line
        is_code = not is_code
    yield text[start:], is_code


def _names(code: str) -> Iterator[str]:
    """The identifiers of a piece of code that say something by themselves."""
    for defined in _DEFINED.finditer(code):
        yield defined[1]
    for run in _RUN.finditer(code):
        token = _POSITION.sub("", run[0].strip(_PADDING))
        if len(token) <= _LONGEST and _is_name(token):
            yield token


def _words(prose: str, stops: frozenset[str]) -> Iterator[_Word]:
    end, joined = 0, False
    for run in _RUN.finditer(prose):
        gap = prose[end : run.start()]
        follows = joined and gap.isspace() and gap.count("\n") < 2
        end, joined = run.end(), False
        token = _POSITION.sub("", run[0].rstrip(_PADDING if not run[0].endswith(("+", "#")) else ".:"))
        if len(token) > _LONGEST * 2 or "://" in token:
            continue
        keeps_its_start = _LANGUAGE_NAME.fullmatch(token) or _FLAG.fullmatch(token) or _ROOTED.match(token)
        name = token if keeps_its_start else token.lstrip(_PADDING)
        if _OPAQUE.fullmatch(name):
            continue
        if _is_name(name):
            yield _Word(name, is_name=True, follows=follows)
            joined = token == run[0]
            continue
        last = None
        for match in _WORDS.finditer(token):
            for text in _natural(match[0], stops):
                if len(text) < 2 or stops.issuperset(text.split("-")):  # est-elle
                    follows, last = False, None
                    continue
                yield _Word(text, is_name=False, follows=follows and last is None and match.start() == 0)
                follows, last = False, match
        joined = last is not None and last.end() == len(run[0])


def _is_name(token: str) -> bool:
    """Whether a token is an identifier, a path, a flag or an error code rather than a word."""
    if _OPAQUE.fullmatch(token) or not any(character.isalpha() for character in token):
        return False
    if "/" in token or "\\" in token:
        parts = [part for part in re.split(r"[/\\]", token) if part]
        return len(parts) > 2 or (len(parts) == 2 and bool(_ROOTED.match(token) or _EXTENSION.search(token)))
    if _DOTTED.fullmatch(token):
        return any(len(part) > 1 for part in re.split(r"\.|::", token))
    if _LANGUAGE_NAME.fullmatch(token) or _FLAG.fullmatch(token) or _CODE_NUMBER.fullmatch(token):
        return True
    return bool(_SNAKE.fullmatch(token) or (token.isalnum() and _CAMEL.search(token)))


def _natural(word: str, stops: frozenset[str]) -> Iterator[str]:
    """The word as it is counted; of a script that writes no spaces, the words that can be told apart."""
    if _IDEOGRAPHS.search(word) or _KATAKANA.search(word):
        for run in _IDEOGRAPHS.findall(word):
            yield from _between_stop_words(run, stops)
        yield from _KATAKANA.findall(word)
        yield from re.findall(r"[A-Za-z]{2,}", word.lower())
        return
    yield _POSSESSIVE.sub("", _ELISION.sub("", word)).lower()


def _between_stop_words(ideographs: str, stops: frozenset[str]) -> Iterator[str]:
    """Runs of ideographs with the longest stop words taken out, cut where they are longer than words are."""
    start = position = 0
    while position < len(ideographs):
        stop = next((size for size in (4, 3, 2, 1) if ideographs[position : position + size] in stops), 0)
        if stop:
            yield from _cut(ideographs[start:position])
            start = position + stop
        position += stop or 1
    yield from _cut(ideographs[start:])


def _cut(chunk: str) -> Iterator[str]:
    for start in range(0, len(chunk), _LONGEST_CHUNK):
        yield chunk[start : start + _LONGEST_CHUNK]
