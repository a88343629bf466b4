"""What the words and the meaning of a query know of each candidate, whichever of them found it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from remanence.memory import fusion
from remanence.memory.dense import DenseIndex, Halves, Near
from remanence.memory.fusion import Evidence, Flags, Floats
from remanence.memory.lexical import LexicalIndex, LexicalQuery

Rowids = NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Candidates:
    """n rows: `rowids` (n,), what is known of each, which of the query's t terms it holds: (n, t), and the
    vectors of their wholes (n, d), zeros where there is none; d is 0 without a dense side."""

    rowids: Rowids
    evidence: Evidence
    held: Flags
    wholes: Halves

    def of(self, chosen: NDArray[np.int64]) -> Candidates:
        """Those at these places, in this order."""
        return Candidates(
            self.rowids[chosen], self.evidence.of(chosen), self.held[chosen], self.wholes[chosen]
        )

    def then(self, other: Candidates) -> Candidates:
        """These and then those."""
        return Candidates(
            np.concatenate([self.rowids, other.rowids]),
            self.evidence.then(other.evidence),
            np.concatenate([self.held, other.held]),
            np.concatenate([self.wholes, other.wholes]),
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What the words say about n rows: BM25 of all their text and of their question, both (n,), and which
    terms each holds (n, t)."""

    rowids: Rowids
    body: Floats
    question: Floats
    held: Flags


@dataclass(frozen=True, slots=True)
class Sides:
    """The indexes that can be asked about a query, and the query as each understands it."""

    words: LexicalQuery
    lexical: LexicalIndex | None
    dense: DenseIndex | None
    vector: Floats | None

    def know(self, rowids: Rowids, near: Near | None = None, said: Said | None = None) -> Candidates:
        """All that is known of these rows; what is in `near` and in `said` is not looked up again.

        Raises IndexReadError.
        """
        return self._candidates(self._near(rowids, near), self._said(rowids, said))

    def know_fresh(self, said: Said) -> Candidates:
        """The same of rows that the lexical index does not hold yet."""
        return self._candidates(self._near(said.rowids, None), said)

    def _candidates(self, near: Near, said: Said) -> Candidates:
        idf = self.words.idf
        evidence = Evidence(
            near.whole,
            near.best,
            fusion.share_of_highest(said.body, idf),
            fusion.share_of_highest(said.question, idf),
            fusion.coverage(said.held, idf),
        )
        return Candidates(near.rowids, evidence, said.held, near.wholes)

    def _near(self, rowids: Rowids, known: Near | None) -> Near:
        if self.dense is None or self.vector is None:
            nothing = np.full(len(rowids), np.nan, dtype=np.float32)
            return Near(rowids, nothing, nothing, np.empty((len(rowids), 0), dtype=np.float16))
        at, there = _places(known.rowids if known is not None else None, rowids)
        rest = self.dense.near(self.vector, rowids[~there])
        if known is None or len(rest.rowids) == len(rowids):
            return rest
        return Near(
            rowids,
            _merged(there, known.whole[at], rest.whole),
            _merged(there, known.best[at], rest.best),
            _merged(there, known.wholes[at], rest.wholes),
        )

    def _said(self, rowids: Rowids, known: Said | None) -> Said:
        if self.lexical is None:
            nothing = np.zeros(len(rowids), dtype=np.float32)
            held = np.zeros((len(rowids), len(self.words.terms)), dtype=np.bool_)
            return Said(rowids, nothing, nothing, held)
        at, there = _places(known.rowids if known is not None else None, rowids)
        rest = said_of(self.lexical, self.words, rowids[~there])
        if known is None or len(rest.rowids) == len(rowids):
            return rest
        return Said(
            rowids,
            _merged(there, known.body[at], rest.body),
            _merged(there, known.question[at], rest.question),
            _merged(there, known.held[at], rest.held),
        )


def said_of(lexical: LexicalIndex, words: LexicalQuery, rowids: Rowids) -> Said:
    """What the words say about these rows. Raises IndexReadError."""
    return Said(rowids, *lexical.evidence(words, rowids))


def _places(known: Rowids | None, wanted: Rowids) -> tuple[Rowids, Flags]:
    """Where in `known` each of the `wanted` is that is there, in order; and which are there (n,)."""
    if known is None or len(known) == 0:
        return np.empty(0, dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(order) - 1)]
    there = known[at] == wanted
    return at[there], there


def _merged(there: Flags, these: NDArray[_T], those: NDArray[_T]) -> NDArray[_T]:
    """One array of both: `these` in order where the flag is set, `those` elsewhere."""
    merged = np.empty((len(there), *these.shape[1:]), dtype=these.dtype)
    merged[there], merged[~there] = these, those
    return merged
