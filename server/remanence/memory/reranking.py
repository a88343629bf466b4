"""The order of the best memories as a cross-encoder judges them: it reads query and memory together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from remanence.memory.dense import Cancelled
from remanence.memory.passages import excerpt
from remanence.memory.ranking import Ranked
from remanence.memory.rows import Row

Floats = NDArray[np.float32]

_JUDGED = 30  # three times what is shown as a rule; with a small model about a second on two cores
_AT_ONCE = 5  # judged between two looks at whether somebody still waits
_PASSAGE = 1200  # characters: most models read 512 tokens, the query's included
_QUESTION = 400  # of them at most for the memory's question
_QUERY = 2000
# The reranker's share of the score. It knows what an answer to a question looks like; words in common, the
# place and the time are known to the first search alone. Equal shares let either outvote the other's doubt.
_SHARE = 0.5
_RELEVANT = 0.5  # the probability from which it is worth saying


class NotReranked(Exception):
    """Raised by a reranker that cannot judge now; the message says in words why."""


class Reranker(Protocol):
    """What recall needs of a cross-encoder."""

    def scores(self, query: str, passages: Sequence[str]) -> Floats:
        """How relevant each passage is, from 0 to 1: shape (n,). Raises NotReranked."""
        ...


@dataclass(frozen=True, slots=True)
class Reranking:
    """Memories, best first; `without` says in words what was not judged and why."""

    ranked: list[Ranked]
    without: str | None = None


def reranked(
    ranked: Sequence[Ranked],
    query_text: str,
    query_terms: Sequence[str],
    reranker: Reranker,
    cancelled: Callable[[], bool],
) -> Reranking:
    """Move the best memories by what the reranker says of them.

    `ranked` comes best first, `query_terms` are stems, most telling first. What is not judged counts as
    irrelevant, so it stays below what is and keeps its order. When the reranker stops midway, those
    judged by then are moved. Raises Cancelled as soon as nobody waits any more.
    """
    if len(ranked) < 2:
        return Reranking(list(ranked))
    judged: list[Ranked] = []
    without: str | None = None
    wanted = ranked[:_JUDGED]
    for start in range(0, len(wanted), _AT_ONCE):
        if cancelled():
            raise Cancelled
        group = wanted[start : start + _AT_ONCE]
        try:
            scores = reranker.scores(query_text[:_QUERY], [_passage(each.row, query_terms) for each in group])
        except NotReranked as reason:
            without = f"{reason} (reranked: {len(judged)} of {len(wanted)})" if judged else str(reason)
            break
        judged += [_judged(each, float(score)) for each, score in zip(group, scores, strict=True)]
    if not judged:
        return Reranking(list(ranked), without)
    unjudged = [_judged(each, 0.0) for each in ranked[len(judged) :]]
    return Reranking(sorted([*judged, *unjudged], key=lambda each: -each.score), without)


def _judged(each: Ranked, probability: float) -> Ranked:
    found = min(each.score, 1.0)  # a quotation counts as certain, not as more
    score = (1 - _SHARE) * found + _SHARE * probability
    why = (*each.why, "judged relevant by the reranker") if probability >= _RELEVANT else each.why
    return replace(each, score=score, why=why)


def _passage(row: Row, query_terms: Sequence[str]) -> str:
    """A memory as the reranker reads it: its question and, of a long answer, the part that is asked about."""
    question = _part(row.question, query_terms, _QUESTION)
    return f"{question}\n{_part(row.answer, query_terms, _PASSAGE - len(question) - 1)}"


def _part(text: str, query_terms: Sequence[str], room: int) -> str:
    return text if len(text) <= room else excerpt(text, query_terms, room)
