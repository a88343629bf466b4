"""What the words and the meaning of a query know of each candidate, whichever of them found it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.memory import fusion
from remanence.memory.dense import DenseIndex, Near
from remanence.memory.fusion import Evidence, Flags, Floats
from remanence.memory.lexical import LexicalIndex, LexicalQuery

Rowids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """n rows: `rowids` (n,), what is known of each, and which of the query's t terms it holds: (n, t)."""

    rowids: Rowids
    evidence: Evidence
    held: Flags

    def of(self, chosen: NDArray[np.int64]) -> Candidates:
        """Those at these places, in this order."""
        return Candidates(self.rowids[chosen], self.evidence.of(chosen), self.held[chosen])

    def then(self, other: Candidates) -> Candidates:
        """These and then those."""
        return Candidates(
            np.concatenate([self.rowids, other.rowids]),
            self.evidence.then(other.evidence),
            np.concatenate([self.held, other.held]),
        )


@dataclass(frozen=True, slots=True)
class Sides:
    """The indexes that can be asked about a query, and the query as each understands it."""

    words: LexicalQuery
    lexical: LexicalIndex | None
    dense: DenseIndex | None
    vector: Floats | None

    def know(self, rowids: Rowids, near: Near | None = None) -> Candidates:
        """All that is known of these rows; the cosines in `near` are not computed again.

        Raises IndexReadError.
        """
        whole, best = self._cosines(rowids, near)
        if self.lexical is None:
            nothing = np.zeros(len(rowids), dtype=np.float32)
            held = np.zeros((len(rowids), len(self.words.terms)), dtype=np.bool_)
            return self.candidates(rowids, whole, best, nothing, nothing, held)
        return self.candidates(rowids, whole, best, *self.lexical.evidence(self.words, rowids))

    def know_fresh(self, rowids: Rowids, body: Floats, question: Floats, held: Flags) -> Candidates:
        """The same of rows that the lexical index does not hold yet."""
        return self.candidates(rowids, *self._cosines(rowids, None), body, question, held)

    def candidates(
        self, rowids: Rowids, whole: Floats, best: Floats, body: Floats, question: Floats, held: Flags
    ) -> Candidates:
        idf = self.words.idf
        evidence = Evidence(
            whole,
            best,
            fusion.share_of_highest(body, idf),
            fusion.share_of_highest(question, idf),
            fusion.coverage(held, idf),
        )
        return Candidates(rowids, evidence, held)

    def _cosines(self, rowids: Rowids, near: Near | None) -> tuple[Floats, Floats]:
        whole = np.full(len(rowids), np.nan, dtype=np.float32)
        best = whole.copy()
        if self.dense is None or self.vector is None:
            return whole, best
        missing = np.ones(len(rowids), dtype=np.bool_)
        if near is not None and len(near.rowids):
            order = np.argsort(near.rowids)
            at = order[np.minimum(np.searchsorted(near.rowids, rowids, sorter=order), len(order) - 1)]
            known = near.rowids[at] == rowids
            whole[known], best[known] = near.whole[at[known]], near.best[at[known]]
            missing = ~known
        whole[missing], best[missing] = self.dense.cosines(self.vector, rowids[missing])
        return whole, best
