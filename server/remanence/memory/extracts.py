"""What of a memory matters for a query: its sentences and code in pieces, each with what it is worth.

A piece is a sentence, or some whole lines of code. It is worth more the more of the query's telling words it
holds, the nearer its meaning is where an embedder is there, the more names, numbers and identifiers it has,
and the better recall placed its memory; the beginning of a memory says what the rest is about.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from math import log

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.passages import CodeBlock, mentions, sentences, split_code
from remanence.memory.rows import Row

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]

_READ_FIRST, _READ_LATER = 20_000, 6_000  # characters of each side of the first ten memories, of the others
_FIRST = 10
_READ_QUICKLY = (
    3000  # of each side of any, where nobody waits for it: at 1,000 tokens as much evidence is kept
)
_END_SHARE = 4  # of a text that is too long a quarter of what is read is its end
_LONGEST = 400  # characters of a piece of prose; a line without a full stop is cut at a word
_WHOLE_CODE = 12  # lines; a longer block is cut, where it can be before a blank line
_CODE_LINES = 8
_PARTICULAR = re.compile(r"\d[\w.,:/%-]*|\w+[_.]\w+|[a-z]+[A-Z]\w*|(?<=[a-z,;] )[A-Z]\w+|`[^`\n]+`")
_MANY_PARTICULARS = 4
_EMBEDDED = 24  # pieces; a batch of so many takes some 40 ms
_EMBEDDED_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Weights:
    """What each sign is worth, chosen on half of the benchmark's queries (tests/benchmarks/enrichment.py):
    `opening` for the beginning of a memory, `answer` what a piece of an answer counts beside one of a
    question, `rank` the rank at which a memory counts half."""

    words: float = 1.0
    meaning: float = 0.5
    particulars: float = 0.15
    opening: float = 0.15
    base: float = 0.05
    answer: float = 0.8
    rank: float = 8.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of the question or the answer of a memory, which is known by its rank. `gap` is what stands
    before it; `block` numbers the code block that it is of, None in prose; `after_cut` where what stands
    before it was not read."""

    memory: int
    in_answer: bool
    text: str
    gap: str
    block: int | None = None
    language: str = ""
    after_cut: bool = False


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of n units, float64 (n,) each: the idf-weighted share of the query's words that it holds,
    how many particulars (0 to 1), whether it opens its memory, is of its answer alone, the memory's rank."""

    words: Floats
    particulars: Floats
    opening: Floats
    answer: Floats
    rank: Floats


def pieces(rank: int, row: Row, *, quick: bool = False) -> list[Piece]:
    """The pieces of a memory in their order, question first. Of an enormous one (with `quick` of a long one)
    the beginning and the end."""
    limit = _READ_QUICKLY if quick else _READ_FIRST if rank < _FIRST else _READ_LATER
    return [*_side(rank, row.question, False, limit), *_side(rank, row.answer, True, limit)]


def signs(query: str, units: Sequence[Sequence[Piece]]) -> Signs:
    """What is known of n units, each some pieces of one memory, in order."""
    wanted = frozenset(terms.query_stems(query))
    held = _held(["\n".join(piece.text for piece in unit) for unit in units], wanted)
    often = Counter(term for each in held for term in each)
    idf = {term: log(1 + len(units) / (1 + often[term])) for term in wanted}
    total = sum(idf.values()) or 1.0
    named = [
        _particulars(unit) if at or not unit[0].in_answer else 0
        for unit, at in zip(units, held, strict=True)  # an answer's other pieces are seldom chosen
    ]
    ranks = [unit[0].memory for unit in units]
    return Signs(
        words=np.array([sum(idf[term] for term in each) / total for each in held], dtype=np.float64),
        particulars=np.minimum(np.array(named, dtype=np.float64) / _MANY_PARTICULARS, 1),
        opening=np.array([i == 0 or ranks[i - 1] != rank for i, rank in enumerate(ranks)], dtype=np.float64),
        answer=np.array([unit[0].in_answer for unit in units], dtype=np.float64),
        rank=np.array(ranks, dtype=np.float64),
    )


def worths(known: Signs, by: Weights, near: Floats | None = None) -> Floats:
    """What each of n units is worth: (n,), none negative. `near` (n,) are cosines, 0 where none is known."""
    worth = by.words * known.words + by.particulars * known.particulars + by.opening * known.opening + by.base
    if near is not None:
        worth = worth + by.meaning * near
    return worth * (1 - known.answer * (1 - by.answer)) / (1 + known.rank / by.rank)


def nearness(query: str, units: Sequence[Sequence[Piece]], worth: Floats, embed: Embed) -> Floats:
    """The cosine (n,) to the query of each of the 24 units that are worth most so far, 0 of the others.

    `embed` gives vectors (n, d) of unit norm for n texts.
    """
    chosen: list[int] = np.argsort(-worth, kind="stable")[:_EMBEDDED].tolist()
    chosen_units = [units[i] for i in chosen]
    texts = [" ".join(piece.text for piece in unit)[:_EMBEDDED_LENGTH] for unit in chosen_units]
    vectors = embed([query[: 2 * _EMBEDDED_LENGTH], *texts])
    near = np.zeros(len(units))
    near[chosen] = np.maximum(np.einsum("id,d->i", vectors[1:], vectors[0]), 0)
    return near


def _particulars(unit: Sequence[Piece]) -> int:
    """How many names, numbers and identifiers it has, as far as they count."""
    found = (each for piece in unit for each in _PARTICULAR.finditer(piece.text))
    return sum(1 for _ in islice(found, _MANY_PARTICULARS))


def _held(texts: Sequence[str], wanted: frozenset[str]) -> list[set[str]]:
    """Which of the wanted terms each of the texts holds. Only words that may hold one are taken to their
    stems: that is nearly all of the work."""
    held: list[set[str]] = [set() for _ in texts]
    lines = [_one_line(text) for text in texts]
    whole = "\n".join(lines)
    ends = list(accumulate(len(line) + 1 for line in lines))
    said: dict[str, set[str]] = {}
    for word, term in mentions(whole, wanted):
        said.setdefault(word, set()).add(term)
    for word, found in said.items():
        at = whole.find(word)
        while at >= 0:
            if _stands_alone(whole, at, at + len(word)):
                text = bisect_right(ends, at)
                held[text] |= found
                at = whole.find(word, ends[text])
            else:
                at = whole.find(word, at + 1)
    return held


def _one_line(text: str) -> str:
    said = text if text.isascii() else terms.folded(f"{text} {terms.respelt(text)}")
    return said.replace("\n", " ")


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether what stands there is a word as `terms` has it; "net" in "asp.net" is only part of one."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if _is_letter(before[-1:]) or (before[-1:] == "." and _is_letter(before[:-1]) and text[start] != "."):
        return False
    goes_on = _is_letter(after[:1]) or after.startswith(("++", "#"))
    return not (_is_letter(text[end - 1]) and (goes_on or (after[:1] == "." and _is_letter(after[1:]))))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _side(rank: int, text: str, in_answer: bool, limit: int) -> Iterator[Piece]:
    end = blocks = 0
    for start, kept in _read(text, limit):
        last = 0
        for at, said, number, language in _parts(kept):
            block = None if number is None else blocks + number
            cut = start > end  # the first piece of the end
            yield Piece(rank, in_answer, said, text[end : start + at], block, language, cut)
            end = start + at + len(said)
            last = block or last
        blocks = last


def _read(text: str, limit: int) -> list[tuple[int, str]]:
    """The parts of a text that are read, each with where it starts."""
    if len(text) <= limit:
        return [(0, text)]
    tail = limit // _END_SHARE
    return [(0, text[: limit - tail]), (len(text) - tail, text[len(text) - tail :])]


def _parts(text: str) -> Iterator[tuple[int, str, int | None, str]]:
    """(where it starts, text, number of its code block from 1, language) of each piece, in order."""
    at = 0
    for number, part in enumerate(split_code(text), start=1):
        if isinstance(part, CodeBlock):
            cut, block, language = _cut_code(part.code), number, part.language
        else:
            cut, block, language = (said for each in sentences(part) for said in _cut_prose(each)), None, ""
        for said in cut:
            at = text.index(said, at)
            yield at, said, block, language
            at += len(said)


def _cut_prose(sentence: str) -> Iterator[str]:
    while len(sentence) > _LONGEST:
        space = sentence.rfind(" ", _LONGEST // 2, _LONGEST)
        end = space if space > 0 else _LONGEST
        if said := sentence[:end].rstrip():
            yield said
        sentence = sentence[end:].lstrip()
    if sentence:
        yield sentence


def _cut_code(code: str) -> Iterator[str]:
    """The block whole, or a long one in runs of lines."""
    lines = code.split("\n")
    if len(lines) <= _WHOLE_CODE:
        yield code
        return
    start = 0
    while start < len(lines):
        end = min(start + _CODE_LINES, len(lines))
        if end < len(lines):
            blank = (i for i in range(end, start + _CODE_LINES // 2, -1) if not lines[i].strip())
            end = next(blank, end)
        run = "\n".join(lines[start:end])
        if run.strip():
            yield run
        start = end
