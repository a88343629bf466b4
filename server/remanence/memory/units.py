"""What of an exchange gets a vector of its own: the whole, and of a long one also each piece."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

LONGEST_WHOLE = 1000  # characters, about what an embedder's window of 256 tokens holds
_SIZE = 800  # of a piece: below the window, since code takes more tokens than prose
_OVERLAP = 120  # a sentence or two: what is said across a cut is whole in one of the two pieces
MOST_UNITS = 128  # of one exchange; a log of a megabyte would otherwise take minutes to embed
_LAST = 31  # of them from the end of an enormous text, where answers conclude
_FIRST = MOST_UNITS - 1 - _LAST


def pieces(question: str, answer: str) -> tuple[str, ...]:
    """What is embedded of an exchange: first the whole, question and answer in one.

    A whole of more than 1,000 characters is followed by the pieces of the question and those of the
    answer, of 800 characters at most (a text of up to 1,000 stays in one piece), overlapping. 128 in
    all: of an enormous text the first 96 pieces and the last 31.
    """
    whole = f"{question}\n{answer}"
    if len(whole) <= LONGEST_WHOLE:
        return (whole,)
    parts = list(itertools.islice(_cut_both(question, answer), _FIRST + _LAST + 1))
    if len(parts) > _FIRST + _LAST:
        # cut from shortly before the end, so that the middle is not walked through
        tail = _cut_both(question[-_LAST * _SIZE :], answer[-_LAST * _SIZE :])
        parts = [*parts[:_FIRST], *list(tail)[-_LAST:]]
    return (whole, *parts)


def _cut_both(question: str, answer: str) -> Iterator[str]:
    yield from _cut(question.strip())
    yield from _cut(answer.strip())


def _cut(text: str) -> Iterator[str]:
    """Pieces of a stripped text, in order, none of them empty."""
    if len(text) <= LONGEST_WHOLE:
        if text:
            yield text
        return
    start = 0
    while True:
        end = min(start + _SIZE, len(text))
        if end < len(text):
            end = _good_end(text, start + _SIZE // 2, end)
        if piece := text[start:end].strip():
            yield piece
        if end >= len(text):
            return
        space = text.find(" ", end - _OVERLAP, end)
        start = space + 1 if space >= 0 else end


def _good_end(text: str, earliest: int, latest: int) -> int:
    """Where to cut: after a paragraph, else a line, a sentence, a word, else at `latest`."""
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.rfind(mark, earliest, latest)
        if at >= 0:
            return at + 1
    return latest
