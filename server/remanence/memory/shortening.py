"""Summaries in a prompt: where a model offers one for what had to be cut, and it may be believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from remanence.memory.entries import Entry, entry
from remanence.memory.faithful import keeps_particulars
from remanence.memory.token_count import Count

Shorten = Callable[[str, str, int], str | None]

_MOST = 3  # memories, the most useful ones: each takes a model seconds
_LEAST = 40  # tokens of an extract that a summary could say better


def shortened(query: str, entries: Sequence[Entry], shorten: Shorten, count: Count) -> list[Entry]:
    """The entries, some with a summary for the extract of their answer's prose. Code and questions stay.

    `shorten` gets the whole prose, the query and how many tokens the extract has. Its summary is refused
    where it is longer than that, loses a name, number or identifier of the extract, or has one of its own.
    """
    kept = list(entries)
    asked = 0
    for at, each in enumerate(entries):
        if asked >= _MOST:
            break
        prose = [
            (piece.text, is_kept)
            for piece, is_kept in zip(each.found, each.kept, strict=True)
            if piece.in_answer and piece.block is None
        ]
        source, extract = (
            " ".join(text for text, is_kept in prose if is_kept or every) for every in (True, False)
        )
        tokens = count(extract)
        if all(is_kept for _, is_kept in prose) or tokens < _LEAST:
            continue
        asked += 1
        summary = shorten(source, query, tokens)
        if summary is None or not keeps_particulars(summary, extract, source):
            continue
        candidate = entry(each.row, each.head, each.found, each.kept, summary)
        if count(candidate.text) <= count(each.text):
            kept[at] = candidate
    return kept
