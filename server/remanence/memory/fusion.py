"""Two opinions made one: how much each side says about a candidate, and whether that is anything at all.

Everything is measured on a scale that does not depend on the other candidates: cosines as they are, BM25 as
a share of what a text full of the query's words could score, and the idf-weighted share of the query's words
that the text holds. So each side weighs what it has to say for this query: where no word matches, the
lexical side is silent instead of ranking noise.

The weights were fitted (softmax over a query's candidates, L-BFGS) on one half of each set's queries in
`tests/benchmarks/recall_quality.py`, all sets with the same say, memorycode with two, and checked on the
other half. A linear sum was kept on purpose: small networks gained more on the sets that they were fitted
on and lost four points of R@10 on a set that was left out, where this one loses two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_BM25_CEILING = 2.2  # k1 + 1: what BM25 gives for one term, times its idf, however often it occurs


@dataclass(frozen=True, slots=True)
class Weights:
    """What each piece of evidence counts. `coverage_squared` is negative: the first words that match say
    more than the last. So is `body`: given the words that a text holds, a higher BM25 only says that it
    repeats the common ones; those of its question are worth more.
    """

    best: float = 0.0
    whole: float = 0.0
    coverage: float = 0.0
    coverage_squared: float = 0.0
    body: float = 0.0
    question: float = 0.0
    words_around: float = 0.0
    meaning_around: float = 0.0


BOTH = Weights(
    best=0.38,
    whole=0.11,
    coverage=0.89,
    coverage_squared=-0.38,
    body=-0.24,
    question=0.35,
    words_around=0.28,
    meaning_around=0.34,
)
WORDS = Weights(coverage=0.60, body=0.03, question=0.54, words_around=0.42)
MEANING = Weights(best=0.69, whole=0.31, meaning_around=0.43)

# Evidence is the best cosine plus .3 of the coverage.
_COVERAGE_EVIDENCE = 0.3
EXPLICIT_GATE = 0.30
CONVERSATION_GATE = 0.15  # whoever names the conversation knows that it was spoken of there
AUTOMATIC_GATE = 0.53
_FLOOR = 0.5  # of the gate: what each single result must have once the best one is over it
_EXPECTED_COSINE = (0.3, 0.3)  # intercept and slope by coverage, for a text that has no vector yet


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of n candidates, each float32 (n,): cosines to the `whole` and to the `best` unit, nan
    where there is no vector; BM25 of all the text (`body`) and of the `question` as shares of the highest
    possible, and the idf-weighted `coverage` of the query's words: 0 to about 1."""

    whole: Floats
    best: Floats
    body: Floats
    question: Floats
    coverage: Floats

    def of(self, chosen: NDArray[np.int64]) -> Evidence:
        """Of the candidates at these places, in this order."""
        return Evidence(
            self.whole[chosen],
            self.best[chosen],
            self.body[chosen],
            self.question[chosen],
            self.coverage[chosen],
        )

    def then(self, other: Evidence) -> Evidence:
        """Of these candidates and then of those."""
        return Evidence(
            np.concatenate([self.whole, other.whole]),
            np.concatenate([self.best, other.best]),
            np.concatenate([self.body, other.body]),
            np.concatenate([self.question, other.question]),
            np.concatenate([self.coverage, other.coverage]),
        )


def weights(dense: bool, lexical: bool) -> Weights:
    """The weights for both sides or for one alone."""
    return BOTH if dense and lexical else MEANING if dense else WORDS


def share_of_highest(bm25: Floats, idf: Floats) -> Floats:
    """BM25 scores (n,) as shares of the highest possible. Terms that occur nowhere count as missed: a query
    of unknown words has little to say lexically."""
    total = float(idf.sum())
    return (bm25 / np.float32(_BM25_CEILING * total)).astype(np.float32) if total > 0 else np.zeros_like(bm25)


def coverage(held: Flags, idf: Floats) -> Floats:
    """The idf-weighted share (n,) of t terms that each candidate holds; `held` (n, t), `idf` (t,)."""
    total = float(idf.sum())
    if total <= 0:
        return np.zeros(len(held), dtype=np.float32)
    return (held @ idf / np.float32(total)).astype(np.float32)


def scores(evidence: Evidence, by: Weights) -> Floats:
    """How well each candidate (n,) answers by itself: about 0 to 1."""
    whole, best = known_cosines(evidence)
    return np.asarray(
        by.best * best
        + by.whole * whole
        + by.coverage * evidence.coverage
        + by.coverage_squared * evidence.coverage**2
        + by.body * evidence.body
        + by.question * evidence.question,
        dtype=np.float32,
    )


def known_cosines(evidence: Evidence) -> tuple[Floats, Floats]:
    """The cosines to the whole and to the best unit; for a text without vectors what its coverage makes
    one expect."""
    start, slope = _EXPECTED_COSINE
    expected = np.float32(start) + np.float32(slope) * evidence.coverage
    missing = np.isnan(evidence.best)
    return (
        np.where(missing, expected, evidence.whole).astype(np.float32),
        np.where(missing, expected, evidence.best).astype(np.float32),
    )


def relevant(
    evidence: Evidence,
    *,
    automatic: bool,
    conversation: bool = False,
    dense: bool = True,
    lexical: bool = True,
) -> Flags:
    """Which candidates (n,) are worth returning; none where even the best is below the gate.

    `automatic` is for whoever was not asked in so many words: it stays silent in doubt. Who asks about one
    `conversation` hears what comes nearest, unless nothing in it has to do with the question.
    """
    if len(evidence.coverage) == 0:
        return np.zeros(0, dtype=np.bool_)
    explicit = CONVERSATION_GATE if conversation else EXPLICIT_GATE
    gate = AUTOMATIC_GATE if automatic else explicit
    known = strength(evidence, dense=dense, lexical=lexical)
    floor = gate if automatic else gate * _FLOOR
    if float(known.max()) < gate:
        return np.zeros(len(known), dtype=np.bool_)
    return known >= floor


def strength(evidence: Evidence, *, dense: bool = True, lexical: bool = True) -> Floats:
    """What decides whether a candidate (n,) has to do with the query at all: raw evidence, never a rank."""
    if not dense:
        # words alone: as the gate is for a text of which only the words are known
        start, slope = _EXPECTED_COSINE
        known = np.float32(start) + np.float32(slope + _COVERAGE_EVIDENCE) * evidence.coverage
    else:
        known = known_cosines(evidence)[1]
        if lexical:
            known = known + np.float32(_COVERAGE_EVIDENCE) * evidence.coverage
    return np.asarray(known, dtype=np.float32)
