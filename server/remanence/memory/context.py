"""What a turn of a conversation leaves out, because the turn before or after it says it.

A short turn ("Yes, on Friday") leans on its neighbours: of a question's words it holds some and they the
others. So it is looked at once more, together with each neighbour, and gains a share of what that adds; a
long one stands alone. Of two neighbours only the better lends, else every match would lift itself.

The constants were chosen on the sets of `tests/benchmarks/recall_quality.py`. R@10 without and with, on
either half of a set's queries: locomo .741 to .791 and .711 to .750, mconala_es .849 to .865 and .848 to
.863, no set lower. MRR: locomo .561 to .579, mconala_es .735 to .733, the others within .001.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from remanence.memory import fusion
from remanence.memory.fusion import Evidence, Flags, Floats
from remanence.memory.rows import Row

_SHARE = 0.3
_STANDS_ALONE = 500  # characters; for a text twice as long the neighbours count half


def lent_by_neighbours(
    rowids: NDArray[np.int64],
    evidence: Evidence,
    held: Flags,
    idf: Floats,
    following: Mapping[int, int],
    *,
    dense: bool = True,
    lexical: bool = True,
) -> Floats:
    """What each of n candidates gains by its neighbours among them, if it is short: at least 0, float32 (n,).

    `held` (n, t) tells which of the query's t terms each holds, `idf` (t,) what these weigh; `following`
    gives the next row of the conversation. `dense` and `lexical` as for `fusion.fused`.
    """
    lent = np.zeros(len(rowids), dtype=np.float32)
    at = {rowid: i for i, rowid in enumerate(rowids.tolist())}
    pairs = [(i, at[following[rowid]]) for rowid, i in at.items() if following.get(rowid) in at]
    if not pairs:
        return lent
    scores = fusion.fused(evidence, dense=dense, lexical=lexical)
    first, second = np.array(pairs).T
    first_is_better = scores[first] >= scores[second]
    better, other = np.where(first_is_better, (first, second), (second, first))
    cosines = fusion.known_cosines(evidence)
    together = Evidence(
        np.maximum(cosines[better], cosines[other]),
        np.maximum(evidence.strengths[better], evidence.strengths[other]),
        fusion.coverage(held[better] | held[other], idf),
    )
    gains = fusion.fused(together, dense=dense, lexical=lexical) - scores[other]
    np.maximum.at(lent, other, np.float32(_SHARE) * gains)
    return lent


def leaning(row: Row) -> float:
    """How much of what its neighbours lend a row takes: 1 for a short one, less the longer it is."""
    return min(1.0, _STANDS_ALONE / max(len(row.question) + len(row.answer), 1))
