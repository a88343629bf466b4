"""What a turn of a conversation leaves out, because the turn before or after it says it.

A short turn ("Yes, on Friday") leans on its neighbours: of a question's words it holds some and they the
others, and what it means shows only beside them. So it gains by the words that it holds together with one
of them, and by how much nearer the three of them together are to the question; a long one stands alone.

Fitted with the other weights (see `fusion`). Without both, R@10 on the half that was not fitted falls by
some five points on locomo and one on mconala_es; without the condition on length, long chats lose three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from remanence.memory import fusion
from remanence.memory.fusion import Flags, Floats, Weights
from remanence.memory.rows import Turn

_STANDS_ALONE = 500  # characters; for a text twice as long the neighbours count half
_ALONE = Turn(None, None, 1)
_BESIDE = np.float32(0.5)  # how much each neighbour's vector counts beside the turn's own


def lent_by_neighbours(
    rowids: NDArray[np.int64],
    turns: Mapping[int, Turn],
    held: Flags,
    idf: Floats,
    vectors: Floats | None,
    query: Floats | None,
    by: Weights,
) -> Floats:
    """What each of n candidates gains by the neighbours that are among them: float32 (n,).

    `held` (n, t) tells which of the query's t terms each holds, `idf` (t,) what these weigh; `vectors`
    (n, d) are of unit norm, zeros where there is none, `query` (d,) too. Meaning counts where both are given.
    """
    at = {rowid: i for i, rowid in enumerate(rowids.tolist())}
    places = [turns.get(rowid, _ALONE) for rowid in rowids.tolist()]
    before = _places((turn.before for turn in places), at)
    after = _places((turn.after for turn in places), at)
    lean = np.array([min(1.0, _STANDS_ALONE / max(turn.length, 1)) for turn in places], dtype=np.float32)
    own = fusion.coverage(held, idf)
    together = np.maximum(
        *(np.where(beside >= 0, fusion.coverage(held | held[beside], idf), own) for beside in (before, after))
    )
    lent = np.float32(by.words_around) * (together - own)
    if vectors is not None and query is not None:
        lent = lent + np.float32(by.meaning_around) * _nearer(vectors, query, before, after)
    return (lent * lean).astype(np.float32)


def _nearer(vectors: Floats, query: Floats, before: NDArray[np.int64], after: NDArray[np.int64]) -> Floats:
    """How much nearer (n,) to the query each vector comes when its neighbours' are added."""
    joined = vectors.copy()
    for beside in (before, after):
        there = beside >= 0
        joined[there] += _BESIDE * vectors[beside[there]]
    norms = np.sqrt(np.einsum("id,id->i", joined, joined))
    cosines = np.einsum("id,d->i", joined, query) / np.maximum(norms, np.float32(1e-6))
    nearer = cosines - np.einsum("id,d->i", vectors, query)
    return np.where(vectors.any(axis=1), nearer, 0).astype(np.float32)


def _places(numbers: Iterable[int | None], at: Mapping[int, int]) -> NDArray[np.int64]:
    """Where each of these rows stands among the candidates: -1 where it does not."""
    return np.array([-1 if number is None else at.get(number, -1) for number in numbers], dtype=np.int64)
