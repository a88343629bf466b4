"""In how many documents of a lexical index each term is, and what that makes it worth."""

from __future__ import annotations

import numpy as np
import tantivy
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_REMEMBERED = 5000  # terms, and how many documents have each: half a megabyte


class Frequencies(dict[str, int]):
    """In how many documents of a searcher's a field has each term asked for; the last ones are remembered."""

    def __init__(self, searcher: tantivy.Searcher, field: str) -> None:
        super().__init__()
        self.searcher = searcher
        self._field = field

    def __missing__(self, term: str) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        found = self[term] = self.searcher.doc_freq(self._field, term)
        return found


def idf_of(found: Floats, count: int) -> Floats:
    """What BM25 makes of the number of documents, of `count`, that each term is in: (t,)."""
    return np.log1p((np.maximum(count - found, 0) + 0.5) / (found + 0.5)).astype(np.float32)
