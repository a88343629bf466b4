"""What was captured a moment ago and is in no index yet, searched as the lexical index will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.lexical import LexicalQuery
from remanence.memory.rows import Row

_K1 = 1.2
_B = 0.75
_AVERAGE_LENGTH = 250  # terms of a usual exchange; the index knows the true one, this is for seconds


def fresh_evidence(
    rows: Sequence[Row], query: LexicalQuery
) -> tuple[list[Row], NDArray[np.float32], NDArray[np.bool_]]:
    """The rows that share a term with the query, their BM25 scores (n,), which terms each holds (n, t)."""
    kept: list[Row] = []
    scores: list[np.float32] = []
    held: list[NDArray[np.bool_]] = []
    if not query.terms:
        rows = ()
    starts = [term[:-1] if len(term) > 3 else term for term in query.terms]
    for row in rows:
        text = f"{row.question}\n{row.answer}\n{row.conversation_title or ''}"
        lowered = text.lower()
        if text.isascii() and not any(start in lowered for start in starts):
            continue  # analysing costs ten times this look
        counts = Counter(terms.stems(text))
        occurrences = np.array([counts[term] for term in query.terms], dtype=np.float32)
        holds = occurrences > 0
        if not holds.any():
            continue
        length = counts.total() / _AVERAGE_LENGTH
        weight = occurrences * (_K1 + 1) / (occurrences + _K1 * (1 - _B + _B * length))
        kept.append(row)
        scores.append(np.float32(weight @ query.idf))
        held.append(holds)
    none = np.empty((0, len(query.terms)), dtype=np.bool_)
    return kept, np.array(scores, dtype=np.float32), np.stack(held) if held else none
