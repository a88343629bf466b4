"""What fits: of many memories the pieces that are worth most for their tokens, within a budget.

A knapsack, filled greedily: each piece has a worth (`extracts`) and a cost, the first piece of a memory costs
its heading too, and each further one counts a little less than it would alone. A short memory is taken whole
or not at all. What two memories say in the same words is there once.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from remanence.memory.entries import Entry, entry, heading
from remanence.memory.extracts import Embed, Floats, Piece, Weights, nearness, pieces, signs, worths
from remanence.memory.rows import Row
from remanence.memory.shortening import Shorten, shortened
from remanence.memory.token_count import Count, count_tokens

_WIDEST, _NARROWEST = 40, 12  # memories looked at: of a long one a sentence may be all that matters
_TOKENS_A_MEMORY = 40
_SHORT = 200  # tokens of a memory that is not cut
_FURTHER = 0.9  # what each further piece of a memory counts of what it would alone
_COST_POWER = 0.5  # below 1: of two pieces worth the same a token, the longer
_FENCE_TOKENS = 6
_SIDES_TOKENS = 8  # "Question:" and "Answer:"
_SAME_FROM = 24  # characters: shorter sentences ("Yes.") are not worth comparing
_SAMPLE = 4000
_ROUNDS = 4
_FULL = 0.96  # of the room


@dataclass(slots=True)
class _Filled:
    """The units that were chosen, how many of each memory, and what they say."""

    units: list[int] = field(default_factory=list[int])
    opened: dict[int, int] = field(default_factory=dict[int, int])
    told: set[str] = field(default_factory=set[str])
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class _Units:
    """What is chosen together. Of each of n units the places of its pieces and its cost; of each memory its
    pieces' and its units' places, both runs, and what its heading costs."""

    pieces: list[list[Piece]]
    places: list[range]
    costs: Floats
    pieces_of: list[range]
    units_of: list[range]
    headings: Floats
    _said: dict[int, tuple[frozenset[str], frozenset[str]]]

    def said(self, unit: int) -> tuple[frozenset[str], frozenset[str]]:
        """What a unit says, and what it repeats if all of that was said."""
        found = self._said.get(unit)
        if found is None:  # of most units nobody asks
            keys = [" ".join(piece.text.split()).casefold() for piece in self.pieces[unit]]
            says = frozenset(key for key in keys if len(key) >= _SAME_FROM)
            repeats = frozenset(("\n".join(keys),)) if len(keys) > 1 else says
            found = self._said[unit] = (says | repeats, repeats)
        return found


def how_wide(tokens: int, *, quick: bool = False) -> int:
    """How many memories are worth recalling for a budget; the fewest where it is to be quick: each takes
    nearly a millisecond to find and to look at."""
    return _NARROWEST if quick else min(max(tokens // _TOKENS_A_MEMORY, _NARROWEST), _WIDEST)


def pack(
    query: str,
    rows: Sequence[Row],
    room: int,
    *,
    count: Count = count_tokens,
    embed: Embed | None = None,
    shorten: Shorten | None = None,
    notes: Mapping[str, str] | None = None,
    weights: Weights | None = None,
    quick: bool = False,
) -> list[Entry]:
    """The memories that fit within `room` tokens when joined by blank lines, most useful first.

    `rows` come best first, each once. `count` counts as the reader will; `embed` gives vectors (n, d) of unit
    norm for n texts. `shorten` (text, query, tokens) may offer a summary in place of an extract; one that
    loses a name, number or identifier of the extract is refused. `notes` say by a memory's id what to know
    of its validity. With `quick` less is read of long memories.
    """
    weights = weights or Weights()
    headings = [heading(row, (notes or {}).get(row.id, "")) for row in rows]
    found = [piece for rank, row in enumerate(rows) for piece in pieces(rank, row, quick=quick)]
    if not found or room <= 0:
        return []
    units = _units(found, len(rows), headings, count)
    known = signs(query, units.pieces)
    worth = worths(known, weights)
    if embed is not None and len(units.places) > len(rows):  # where all is short there is nothing to choose
        worth = worths(known, weights, nearness(query, units.pieces, worth, embed))
    order = _order(units, worth)
    best: list[Entry] = []
    entries: list[Entry] = []
    allowed, fits, too_much = float(room), 0.0, 0.0
    for _ in range(_ROUNDS):
        filled = _fill(units, order, allowed)
        entries = _entries(rows, headings, found, units, filled)
        exact = count(joined(entries))
        if exact <= room:
            best, fits = entries, allowed
            if exact >= _FULL * room or len(filled.units) == len(units.places):
                break
        else:
            too_much = allowed
        guess = allowed * min(0.98 * room / max(exact, 1), 1.5)
        allowed = guess if not too_much or fits < guess < too_much else (fits + too_much) / 2
    else:
        best = best or _fewer(entries, room, count)
    return best if shorten is None else shortened(query, best, shorten, count)


def joined(entries: Sequence[Entry]) -> str:
    """The entries as they stand in the block: the most useful last, nearest to the question."""
    return "\n\n".join(each.text for each in reversed(entries))


def _units(found: Sequence[Piece], memories: int, headings: Sequence[str], count: Count) -> _Units:
    estimates = [_cost(piece) for piece in found]
    pieces_of, units_of = [range(0)] * memories, [range(0)] * memories
    places: list[range] = []
    at = 0
    for memory, run in groupby(found, key=lambda piece: piece.memory):
        end = at + sum(1 for _ in run)
        first = len(places)
        short = sum(estimates[at:end]) <= _SHORT
        places += [range(at, end)] if short else [range(i, i + 1) for i in range(at, end)]
        pieces_of[memory], units_of[memory] = range(at, end), range(first, len(places))
        at = end
    sample = "\n".join(piece.text for piece in found[:40])[:_SAMPLE]
    factor = 1.0 if count is count_tokens else max(count(sample), 1) / max(count_tokens(sample), 1)
    costs = [sum(estimates[unit.start : unit.stop]) for unit in places]
    return _Units(
        pieces=[list(found[unit.start : unit.stop]) for unit in places],
        places=places,
        costs=factor * np.array(costs, dtype=np.float64),
        pieces_of=pieces_of,
        units_of=units_of,
        headings=factor
        * np.array([count_tokens(each) + _SIDES_TOKENS for each in headings], dtype=np.float64),
        _said={},
    )


def _cost(piece: Piece) -> int:
    return count_tokens(piece.text) + 1 + (_FENCE_TOKENS if piece.block is not None else 0)


@dataclass(frozen=True, slots=True)
class _Order:
    """Of each memory its units, the one that is worth most for its cost first: `opening` while the heading is
    to be paid for, `going_on` once it is; and what each of n units is worth for its cost, and costs, either
    way."""

    opening: list[list[int]]
    going_on: list[list[int]]
    rates: tuple[list[float], list[float]]
    prices: tuple[list[float], list[float]]


def _order(units: _Units, worth: Floats) -> _Order:
    memory = np.repeat(np.arange(len(units.units_of)), [len(each) for each in units.units_of])
    prices = (units.costs + units.headings[memory], units.costs)
    rates = [worth / price**_COST_POWER for price in prices]
    opening, going_on = (np.lexsort((-rate, memory)).tolist() for rate in rates)
    return _Order(
        opening=[opening[each.start : each.stop] for each in units.units_of],
        going_on=[going_on[each.start : each.stop] for each in units.units_of],
        rates=(rates[0].tolist(), rates[1].tolist()),
        prices=(prices[0].tolist(), prices[1].tolist()),
    )


def _fill(units: _Units, order: _Order, room: float) -> _Filled:
    """Take the unit that is worth most for its cost, again and again, while one fits.

    Each memory stands in the heap with its best unit. What was taken of it makes all of its others count
    less in the same measure, so that their order stays.
    """
    filled = _Filled()
    waiting = [iter(each) for each in order.opening]
    taken: set[int] = set()
    heap: list[tuple[float, int, int]] = []

    def put(memory: int) -> None:
        times = filled.opened.get(memory, 0)
        rates, prices = order.rates[times > 0], order.prices[times > 0]
        left = room - filled.spent
        for i in waiting[memory]:
            if prices[i] <= left and i not in taken:  # what does not fit now never will
                heapq.heappush(heap, (-rates[i] * _FURTHER**times, memory, i))
                return

    for memory in range(len(waiting)):
        put(memory)
    while heap:
        _, memory, i = heapq.heappop(heap)
        is_open = memory in filled.opened
        says, repeats = units.said(i)
        price = order.prices[is_open][i]
        if filled.spent + price <= room and not (repeats and repeats <= filled.told):
            taken.add(i)
            filled.units.append(i)
            filled.spent += price
            filled.told |= says
            filled.opened[memory] = filled.opened.get(memory, 0) + 1
            if not is_open:  # without the heading the others have become cheaper
                waiting[memory] = iter(order.going_on[memory])
        put(memory)
    return filled


def _entries(
    rows: Sequence[Row], headings: Sequence[str], found: Sequence[Piece], units: _Units, filled: _Filled
) -> list[Entry]:
    chosen = {i for unit in filled.units for i in units.places[unit]}
    return [
        entry(
            rows[memory],
            headings[memory],
            [found[i] for i in units.pieces_of[memory]],
            [i in chosen for i in units.pieces_of[memory]],
        )
        for memory in sorted(filled.opened)
    ]


def _fewer(entries: list[Entry], room: int, count: Count) -> list[Entry]:
    """The first of them, as many as fit; for a `count` that says of a whole other than of its parts."""
    kept = list(entries)
    while kept and count(joined(kept)) > room:
        kept.pop()
    return kept
