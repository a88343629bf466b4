"""Figures of ranked rows: recall, hits, reciprocal rank, order of versions; and how sure a difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from evaluation_sets import SEED, Question
from numpy.typing import NDArray

Floats = NDArray[np.float64]

METRICS = ("R@5", "R@10", "hit@10", "MRR")
_RESAMPLES = 2000


class Difference(NamedTuple):
    """A mean difference over paired queries, and the 95 % interval of a paired bootstrap."""

    mean: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.low <= 0 <= self.high


def per_query(
    found: Sequence[Sequence[int]], questions: Sequence[Question], first_of_same: Sequence[int] | None = None
) -> Floats:
    """R@5, R@10, hit@10 and reciprocal rank within ten of each question: (n, 4).

    With `first_of_same` (see `evaluation_sets`), rows that say the same word for word count as one, wanted
    or found: whoever shows them once has lost nothing.
    """
    values = np.zeros((len(questions), len(METRICS)))
    for i, (rows, question) in enumerate(zip(found, questions, strict=True)):
        shown, relevant = rows, question.relevant
        if first_of_same is not None:
            shown = list(dict.fromkeys(first_of_same[row] for row in rows))
            relevant = {first_of_same[row] for row in relevant}
        hits = [rank for rank, row in enumerate(shown[:10], start=1) if row in relevant]
        at5 = sum(rank <= 5 for rank in hits)
        wanted = len(relevant)
        values[i] = at5 / wanted, len(hits) / wanted, bool(hits), 1 / hits[0] if hits else 0
    return values


def means(values: Floats) -> dict[str, float]:
    """Of `per_query`'s values, by name; nothing where there are none."""
    if len(values) == 0:
        return {}
    return {name: round(float(mean), 4) for name, mean in zip(METRICS, values.mean(axis=0), strict=True)}


def difference(ours: Floats, theirs: Floats) -> Difference:
    """Ours less theirs, query by query: (n,) each."""
    apart = ours - theirs
    drawn = np.random.default_rng(SEED).integers(len(apart), size=(_RESAMPLES, len(apart)))
    low, high = np.percentile(apart[drawn].mean(axis=1), [2.5, 97.5])
    return Difference(round(float(apart.mean()), 4), round(float(low), 4), round(float(high), 4))


def below(recall: Floats, others: Mapping[str, Floats]) -> dict[str, Difference]:
    """The others whose mean is above recall's, and by how much: empty is what is wanted."""
    return {
        name: difference(recall, values)
        for name, values in others.items()
        if values.mean() > recall.mean() + 1e-9
    }


def ordered_pairs(rows: Sequence[int], question: Question) -> tuple[int, int]:
    """How many (current, stale) pairs stand in the right order, and how many there are.

    One that is not among `rows` stands below all that are; a pair of which neither is there is wrong.
    """
    place = {row: rank for rank, row in enumerate(rows)}
    right = sum(
        current in place and place[current] < place.get(stale, len(rows))
        for current in question.current
        for stale in question.stale
    )
    return right, len(question.current) * len(question.stale)
