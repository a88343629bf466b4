"""What was captured a moment ago and is in no index yet, searched as the lexical index will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.lexical import LexicalQuery
from remanence.memory.rows import Row

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_K1 = 1.2
_B = 0.75
_AVERAGE_QUESTION = 40
_AVERAGE_LENGTH = 250  # terms of a usual exchange; the index knows the true one, this is for seconds


def fresh_evidence(rows: Sequence[Row], query: LexicalQuery) -> tuple[list[Row], Floats, Floats, Flags]:
    """The rows that share a term with the query, BM25 of all their text (n,) and of their question (n,),
    and which terms each holds (n, t)."""
    kept: list[Row] = []
    body: list[np.float32] = []
    question: list[np.float32] = []
    held: list[Flags] = []
    if not query.terms:
        rows = ()
    for row in rows:
        text = f"{row.question}\n{row.answer}\n{row.conversation_title or ''}"
        occurrences, weight = _weighed(text, query, _AVERAGE_LENGTH)
        if not occurrences.any():
            continue
        kept.append(row)
        body.append(np.float32(weight @ query.idf))
        question.append(np.float32(_weighed(row.question, query, _AVERAGE_QUESTION)[1] @ query.idf))
        held.append(occurrences > 0)
    none = np.empty((0, len(query.terms)), dtype=np.bool_)
    return (
        kept,
        np.array(body, dtype=np.float32),
        np.array(question, dtype=np.float32),
        np.stack(held) if held else none,
    )


def _weighed(text: str, query: LexicalQuery, usual: int) -> tuple[Floats, Floats]:
    """How often each of t terms occurs in a text, and what BM25 makes of that: (t,) and (t,)."""
    counts = Counter(terms.stems(text))
    occurrences = np.array([counts[term] for term in query.terms], dtype=np.float32)
    saturation = np.float32(_K1 * (1 - _B + _B * counts.total() / usual))
    return occurrences, (occurrences * (_K1 + 1) / (occurrences + saturation)).astype(np.float32)
