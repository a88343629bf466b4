"""Texts as passages: sentences and fenced code, and the piece of an answer that a query is about."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, islice, repeat

from remanence.memory import terms

EXCERPT_LENGTH = 240
_FENCE = re.compile(r"[^\S\n]{0,3}(`{3,}|~{3,})[^\S\n]*([^\s`]*)[^\n]*")
# A full stop ends a sentence before a space, a CJK one anywhere.
# The class in front lets the search skip to what can be an end: a third of the time.
_END = re.compile(r"[.!?…。！？\n](?:(?<=[.!?…])[\"'”»)\]]*[^\S\n]+|(?<=[。！？])|(?<=\n)\n*)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|approx|p\. ?ex|par ex|Dr|Mr|Mrs|Ms|M|Fig|No|St)|^\W*\d+)\.$"
)
_ALPHANUMERIC = re.compile(r"[^\W_]")
_LEAST = 40  # a shorter best sentence ("Sure!") takes the next ones with it
_MOST_LINES = 200
_MOST_SENTENCES = 200  # of a line
_MOST_READ = 50_000  # characters of an answer
_LONGEST_CLUE = 4
_REPETITIVE = 10_000  # characters: a longer text, such as a log, may say a word thousands of times
_DOUBLED = frozenset("bcdfgklmnprstvz")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: its info word in lower case ("" where there is none) and its code."""

    language: str
    code: str


def split_code(text: str) -> list[str | CodeBlock]:
    """Prose and fenced code blocks in order; a fence left open runs to the end, as in CommonMark."""
    return [part for part in _fenced(text) if (part.code if isinstance(part, CodeBlock) else part).strip()]


def _fenced(text: str) -> Iterator[str | CodeBlock]:
    if "```" not in text and "~~~" not in text:
        yield text
        return
    prose: list[str] = []
    code: list[str] = []
    fence, language = "", ""
    for line in text.split("\n"):
        mark = _FENCE.fullmatch(line) if "```" in line or "~~~" in line else None
        if not fence:
            if mark is None:
                prose.append(line)
            else:
                fence, language = mark[1], mark[2].lower()
                yield "\n".join(prose)
                prose = []
        elif mark is not None and mark[1].startswith(fence) and not mark[2]:
            yield CodeBlock(language, "\n".join(code))
            fence, code = "", []
        else:
            code.append(line)
    yield CodeBlock(language, "\n".join(code)) if fence else "\n".join(prose)


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced blocks of an answer, in order, empty ones left out."""
    return [part for part in split_code(text) if isinstance(part, CodeBlock)]


def sentences(prose: str) -> list[str]:
    """The sentences of a text without code, in any language that ends them with . ! ? … 。 or a line."""
    found: list[str] = []
    start = 0
    for end in _END.finditer(prose):
        piece = prose[start : end.end()].strip()
        stop = end.start()
        if prose[stop] == "." and _ABBREVIATION.search(prose[max(start, stop - 11) : stop + 1]):
            continue
        if piece:
            found.append(piece)
        start = end.end()
    tail = prose[start:].strip()
    return [*found, tail] if tail else found


def excerpt(
    answer: str,
    query_terms: Sequence[str],
    limit: int = EXCERPT_LENGTH,
    held: Sequence[bool] | None = None,
) -> str:
    """The passage of the answer that says most of `query_terms` (stems, most telling first); where it is
    known which of them the answer may say at all, `held` tells.

    It starts at a sentence, or at a line of code where only the code speaks of them, and goes on for
    whole sentences up to `limit` characters; "…" marks a cut. One line, for showing in a list.
    """
    weights = {term: 2 - i / len(query_terms) for i, term in enumerate(query_terms)}
    if held is not None:
        weights = {
            term: weight for (term, weight), is_held in zip(weights.items(), held, strict=True) if is_held
        }
    lines = islice(_lines(answer[:_MOST_READ]), _MOST_LINES)
    if not weights:
        return _filled("", _pieces(lines), limit) or _cut(" ".join(answer[:_MOST_READ].split()), limit)
    lines = list(lines)
    if not lines:
        return _cut(" ".join(answer[:_MOST_READ].split()), limit)
    text = terms.folded("\n".join(line for line, _ in lines))
    said = sorted(mentions(text, weights), key=lambda found: -weights[found[1]])
    at, pieces, best = _best_piece(lines, _said_in_each(text.split("\n"), text, said, weights), said, weights)
    chosen = pieces[best]
    folded = terms.folded(chosen)
    around = [word for word, _ in said if word in folded]
    after = chain(pieces[best + 1 :], _pieces(lines[at + 1 :]))
    if len(chosen) < _LEAST and around:
        before = pieces[best - 1] if best else _split(*lines[at - 1])[-1] if at else ""
        if before.endswith(":"):
            chosen, after = before, chain([chosen], after)
    return _filled(chosen, after, limit, around)


def _filled(chosen: str, after: Iterator[str], limit: int, around: Sequence[str] = ()) -> str:
    """This piece, or the first of the others, and what comes after it while there is room."""
    chosen = " ".join((chosen or next(after, "")).split())
    for piece in (" ".join(piece.split()) for piece in after):
        if len(chosen) + 1 + len(piece) > limit:
            break
        chosen = f"{chosen} {piece}"
    return _cut(chosen, limit, around)


def mentions(text: str, wanted: Collection[str]) -> list[tuple[str, str]]:
    """See `terms.mentions`; of a text without accents. Of the words only those that may hold a term are taken
    to their stems: that is nearly all of the work."""
    if not wanted:
        return []
    sought = {clue for term in wanted for clue in clues(term)}
    text = text.replace("\n", " ")
    lower = text.lower()
    if "_" in text or len(lower) != len(text) or len(text) > _REPETITIVE:
        found = _words_holding(sought, text)
    else:
        found = _words_at(sought, text, lower)
    return terms.mentions(" ".join(found), wanted)


def _words_at(sought: Iterable[str], text: str, lower: str) -> list[str]:
    """The words of a text that hold one of these, in order, where `lower` has each at the same place."""
    places: set[tuple[int, int]] = set()
    for clue in sought:
        at = lower.find(clue)
        while at >= 0:
            end = lower.find(" ", at)
            end = end if end >= 0 else len(lower)
            places.add((lower.rfind(" ", 0, at) + 1, end))
            at = lower.find(clue, end)
    return [text[start:end] for start, end in sorted(places)]


def _words_holding(sought: Iterable[str], text: str) -> list[str]:
    """The words of a text that hold one of these without their underscores, in order."""
    words = list(dict.fromkeys(text.split()))  # half the work: most of a text is said before
    look_in = " ".join(words).lower().replace("_", "")
    numbers: set[int] = set()
    for clue in sought:
        at, counted, number = look_in.find(clue), 0, 0
        while at >= 0:
            number += look_in.count(" ", counted, at)
            numbers.add(number)
            counted = look_in.find(" ", at)
            at = look_in.find(clue, counted) if counted >= 0 else -1
    return [words[number] for number in sorted(numbers)]


@lru_cache(4096)
def clues(term: str) -> tuple[str, ...]:
    """What a lower-case word without underscores holds, one of them, if it has this stem: how it begins, in
    each of the ways that `stemming` makes one. A handful of words with irregular forms are missed."""
    whole = term.replace("_", "")
    if not whole.isalpha():
        return (whole,)
    beginning = "cre" if whole == "creat" else whole[: max(2, min(_LONGEST_CLUE, len(whole) - 1))]
    forms = {beginning, beginning.replace("f", "ph"), beginning.replace("t", "ct")}
    if "tion" in whole[: _LONGEST_CLUE + 3]:
        forms.add(beginning.replace("t", "c"))
        forms.add(beginning.replace("t", "cc"))
    for i in range(1, len(beginning) - 1):
        if beginning[i] in _DOUBLED:
            forms.add(beginning[: i + 1] + beginning[i:])
    return tuple(sorted(forms))


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a text, and whether each is code; those without a letter or digit left out."""
    for part in _fenced(text):
        is_code = isinstance(part, CodeBlock)
        lines = part.code.splitlines() if isinstance(part, CodeBlock) else part.split("\n")
        yield from zip(map(str.strip, filter(_ALPHANUMERIC.search, lines)), repeat(is_code))


def _pieces(lines: Iterable[tuple[str, bool]]) -> Iterator[str]:
    for line, is_code in lines:
        yield from _split(line, is_code)


def _split(line: str, is_code: bool) -> list[str]:
    """The sentences of a line, at least one; a line of code stays whole."""
    if is_code:
        return [line]
    found = [sentence for sentence in sentences(line) if _ALPHANUMERIC.search(sentence)]
    return found[:_MOST_SENTENCES]


def _best_piece(
    lines: Sequence[tuple[str, bool]],
    says: Sequence[float],
    said: Sequence[tuple[str, str]],
    weights: Mapping[str, float],
) -> tuple[int, list[str], int]:
    """The piece that says most, the first of equals: which line, its pieces, and which of these.

    `says` is what each line says, the most that a piece of it can: so few lines are taken apart.
    """
    chosen, most = (0, _split(*lines[0]), 0), -1.0
    for at in sorted(range(len(lines)), key=lambda i: (-says[i], i)):
        if says[at] < most or (says[at] == most and at > chosen[0]):
            break
        pieces = _split(*lines[at])
        folded = [terms.folded(piece) for piece in pieces]
        each = _said_in_each(folded, "\n".join(folded), said, weights) if len(pieces) > 1 else [says[at]]
        best = max(range(len(pieces)), key=lambda i: (each[i], -i))
        if each[best] > most or (each[best] == most and at < chosen[0]):
            chosen, most = (at, pieces, best), each[best]
    return chosen


def _said_in_each(
    lines: Sequence[str], text: str, said: Sequence[tuple[str, str]], weights: Mapping[str, float]
) -> list[float]:
    """What the terms weigh that each of the lines of `text` says in one of the `said` words for them."""
    says = [0.0] * len(lines)
    ends = list(accumulate([len(line) + 1 for line in lines]))
    places: dict[str, set[int]] = {}
    for word, term in said:
        on = places.setdefault(term, set())
        at = text.find(word)
        while at >= 0:  # from hit to hit: to ask each line for each word takes several times as long
            line = bisect_right(ends, at)
            on.add(line)
            at = text.find(word, ends[line])
    for term, on in places.items():
        for line in on:
            says[line] += weights[term]
    return says


def _folded(text: str) -> str:
    text = text.lower()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _cut(text: str, limit: int, around: Sequence[str] = ()) -> str:
    if len(text) <= limit:
        return text
    start = 0
    folded = _folded(text)
    first = next((at for word in around if (at := folded.find(word.lower())) >= 0), 0)
    if len(folded) == len(text) and first > limit * 2 // 3:
        start = text.rfind(" ", 0, first - limit // 4) + 1
    head = "…" if start else ""
    room = limit - len(head) - 1
    piece = text[start : start + room]
    if start + room >= len(text):
        return head + piece
    space = piece.rfind(" ")
    return head + (piece[:space] if space > room // 2 else piece).rstrip() + "…"
