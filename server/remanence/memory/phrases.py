"""What of a query stands in a memory word for word: who quotes a passage means the memory that holds it.

Words alone do not tell a quotation from any long answer that holds them all somewhere. Of the last twelve
words of long answers, which hold few words that are rare, one in seven was not found by them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.lexical import LexicalIndex, LexicalQuery
from remanence.memory.rows import Scope

Rowids = NDArray[np.int64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_RUN = 6  # terms; shorter runs are turns of phrase
_WHOLE = 32  # terms: of a longer query only runs are looked for
_RUNS = 4  # spread over the query: each costs some hundredths of a millisecond
_MOST_RUNS = 16  # with those beside one that is held
_SHARED = 4  # terms that runs must have in common to be looked for as one: fewer are often held somewhere
_AS_RARE = 0.6  # of the weight of the runs' rarest term: else each of them is found missing sooner
_LEAST = 0.5  # of the query; with less in common it is often only put in the same way
_MOST = 40  # rows that hold one run
_READ = 2000  # characters of a query
_QUOTED = 0.5  # what a memory gains that holds the whole query: more than all but the best answers score


@dataclass(frozen=True, slots=True)
class Quoted:
    """n rows that hold some of a query word for word: `rowids` (n,), ascending, and the `share` (n,) of the
    query that each holds, weighed by how rare its words are: .5 to 1."""

    rowids: Rowids
    share: Floats

    @classmethod
    def nothing(cls) -> Quoted:
        """No row."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))

    def gained(self, rowids: Rowids) -> Floats:
        """What each of these rows (m,) gains by it, float32."""
        gained = np.zeros(len(rowids), dtype=np.float32)
        if len(self.rowids):
            at = np.minimum(np.searchsorted(self.rowids, rowids), len(self.rowids) - 1)
            there = self.rowids[at] == rowids
            gained[there] = np.float32(_QUOTED) * self.share[at[there]] ** 2
        return gained


def quoted(
    lexical: LexicalIndex,
    text: str,
    words: LexicalQuery,
    scope: Scope | None = None,
    among: Rowids | None = None,
) -> Quoted:
    """The rows that hold all of a query word for word, or where none does those that hold runs of it.

    `words` are the query's terms as the index weighs them; the rows are restricted as in the index's
    `search`. Raises IndexReadError.
    """
    run = terms.stems(text[:_READ])
    if len(run) < _RUN:
        return Quoted.nothing()
    weigh = dict(zip(words.terms, words.idf.tolist(), strict=True))
    weights = np.array([weigh.get(term, 0.0) for term in run], dtype=np.float32)
    nowhere = _held_nowhere(lexical, run, weights, scope, among)
    if len(run) <= _WHOLE and not nowhere:
        whole = np.sort(lexical.in_order(run, _MOST, scope, among))
        if len(whole):
            return Quoted(whole, np.ones(len(whole), dtype=np.float32))
    sought, held = _runs_held(lexical, run, nowhere, scope, among)
    total = float(weights[sought].sum())
    if not held or total <= 0:
        return Quoted.nothing()
    shares = {row: float(weights[places].sum()) / total for row, places in sorted(held.items())}
    telling = {row: share for row, share in shares.items() if share >= _LEAST}
    return Quoted(np.array(list(telling), dtype=np.int64), np.array(list(telling.values()), dtype=np.float32))


def _held_nowhere(
    lexical: LexicalIndex,
    run: Sequence[str],
    weights: Floats,
    scope: Scope | None,
    among: Rowids | None,
) -> set[int]:
    """Where those of the runs spread over the query begin that no row holds: of most queries all of them.

    What neighbours have in common is looked for in place of each, where it tells as much: `weights` (t,) say
    how rare the terms are.
    """
    nowhere: set[int] = set()
    for starts in _overlapping(_spread(len(run) - _RUN)):
        shared, whole = slice(starts[-1], starts[0] + _RUN), slice(starts[0], starts[-1] + _RUN)
        is_as_rare = weights[shared].max() >= _AS_RARE * weights[whole].max()
        for together in [starts] if is_as_rare else [[start] for start in starts]:
            if not lexical.may_hold(run[together[-1] : together[0] + _RUN], scope, among):
                nowhere.update(together)
    return nowhere


def _overlapping(starts: Sequence[int]) -> list[list[int]]:
    """Where runs begin, in groups that have terms in common; a run may be one by itself."""
    groups: list[list[int]] = []
    for start in starts:
        if groups and start - groups[-1][0] <= _RUN - _SHARED:
            groups[-1].append(start)
        else:
            groups.append([start])
    return groups


def _runs_held(
    lexical: LexicalIndex,
    run: Sequence[str],
    nowhere: Container[int],
    scope: Scope | None,
    among: Rowids | None,
) -> tuple[Flags, dict[int, Flags]]:
    """Which of t terms were looked for, (t,), and for each row that holds runs of them which it holds, (t,).

    Where one of the runs spread over the query is held, those beside it are looked for too, in the rows that
    hold it; of those that begin `nowhere` it is known that none is held.
    """
    sought = np.zeros(len(run), dtype=np.bool_)
    held: dict[int, Flags] = {}
    last = len(run) - _RUN
    looked: set[int] = set()

    def holders(start: int, within: Rowids | None) -> Rowids:
        looked.add(start)
        places = slice(start, start + _RUN)
        sought[places] = True
        if start in nowhere:
            return np.empty(0, dtype=np.int64)
        rows = lexical.in_order(run[places], _MOST, scope, within)
        for row in rows.tolist():
            held.setdefault(row, np.zeros(len(run), dtype=np.bool_))[places] = True
        return rows

    for start in _spread(last):
        if start in looked:
            continue
        first = holders(start, among)
        for step in (1, -1):
            beside, there = start + step, len(first) > 0
            while there and 0 <= beside <= last and beside not in looked and len(looked) < _MOST_RUNS:
                there = len(holders(beside, first)) > 0
                beside += step
    return sought, held


def _spread(last: int) -> Sequence[int]:
    """Where runs begin: everywhere up to `last`, or at so many places evenly from 0 to it."""
    if last < _RUNS:
        return range(last + 1)
    return [round(i * last / (_RUNS - 1)) for i in range(_RUNS)]
