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
    """What is chosen together. Of each of n units its pieces' places, the memory, what it says, what it
    repeats if all of that was said, and its cost; and of each memory what its heading costs."""

    places: list[list[int]]
    memory: list[int]
    says: list[frozenset[str]]
    repeats: list[frozenset[str]]
    costs: Floats
    headings: Floats


def how_wide(tokens: int) -> int:
    """How many memories are worth recalling for a budget: looking at each takes a millisecond or two."""
    return min(max(tokens // _TOKENS_A_MEMORY, _NARROWEST), _WIDEST)


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
) -> list[Entry]:
    """The memories that fit within `room` tokens when joined by blank lines, most useful first.

    `rows` come best first, each once. `count` counts as the reader will; `embed` gives vectors (n, d) of unit
    norm for n texts. `shorten` (text, query, tokens) may offer a summary in place of an extract; one that
    loses a name, number or identifier of the extract is refused. `notes` say by a memory's id what to know
    of its validity.
    """
    weights = weights or Weights()
    headings = [heading(row, (notes or {}).get(row.id, "")) for row in rows]
    found = [piece for rank, row in enumerate(rows) for piece in pieces(rank, row)]
    if not found or room <= 0:
        return []
    units = _units(found, headings, count)
    together = [[found[i] for i in places] for places in units.places]
    known = signs(query, together)
    worth = worths(known, weights)
    if embed is not None and len(together) > len(rows):  # where all is short there is nothing to choose
        worth = worths(known, weights, nearness(query, together, worth, embed))
    best: list[Entry] = []
    entries: list[Entry] = []
    allowed, fits, too_much = float(room), 0.0, 0.0
    for _ in range(_ROUNDS):
        filled = _fill(units, worth, allowed)
        chosen = frozenset(i for unit in filled.units for i in units.places[unit])
        entries = _entries(rows, headings, found, chosen)
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


def _units(found: Sequence[Piece], headings: Sequence[str], count: Count) -> _Units:
    estimates = [_cost(piece) for piece in found]
    places: list[list[int]] = []
    for _, run in groupby(range(len(found)), key=lambda i: found[i].memory):
        of_memory = list(run)
        short = sum(estimates[i] for i in of_memory) <= _SHORT
        places += [of_memory] if short else [[i] for i in of_memory]
    keys = [" ".join(piece.text.split()).casefold() for piece in found]
    says = [frozenset(keys[i] for i in unit if len(keys[i]) >= _SAME_FROM) for unit in places]
    wholes = [
        frozenset(("\n".join(keys[i] for i in unit),)) if len(unit) > 1 else said
        for unit, said in zip(places, says, strict=True)
    ]
    sample = "\n".join(piece.text for piece in found[:40])[:_SAMPLE]
    factor = 1.0 if count is count_tokens else max(count(sample), 1) / max(count_tokens(sample), 1)
    return _Units(
        places=places,
        memory=[found[unit[0]].memory for unit in places],
        says=[said | whole for said, whole in zip(says, wholes, strict=True)],
        repeats=wholes,
        costs=factor * np.array([sum(estimates[i] for i in unit) for unit in places], dtype=np.float64),
        headings=factor
        * np.array([count_tokens(each) + _SIDES_TOKENS for each in headings], dtype=np.float64),
    )


def _cost(piece: Piece) -> int:
    return count_tokens(piece.text) + 1 + (_FENCE_TOKENS if piece.block is not None else 0)


def _fill(units: _Units, worth: Floats, room: float) -> _Filled:
    """Take the unit that is worth most for its cost, again and again, while one fits."""
    filled = _Filled()
    of_memory: dict[int, list[int]] = {}
    for i, memory in enumerate(units.memory):
        of_memory.setdefault(memory, []).append(i)
    values, costs, headings = worth.tolist(), units.costs.tolist(), units.headings.tolist()

    def price(i: int) -> float:
        return costs[i] + (0.0 if units.memory[i] in filled.opened else headings[units.memory[i]])

    def rate(i: int) -> float:
        return values[i] * _FURTHER ** filled.opened.get(units.memory[i], 0) / price(i) ** _COST_POWER

    taken = [False] * len(costs)
    heap = [(-rate(i), i) for i in range(len(costs))]
    heapq.heapify(heap)
    while heap:
        rated, i = heapq.heappop(heap)
        if taken[i]:
            continue
        now = rate(i)
        if now < -rated - 1e-12:  # more of its memory was taken since
            heapq.heappush(heap, (-now, i))
            continue
        if units.repeats[i] and units.repeats[i] <= filled.told:
            continue
        cost, memory = price(i), units.memory[i]
        if filled.spent + cost > room:
            continue
        taken[i] = True
        filled.units.append(i)
        filled.spent += cost
        filled.told |= units.says[i]
        filled.opened[memory] = filled.opened.get(memory, 0) + 1
        if filled.opened[memory] == 1:  # without the heading the others have become cheaper
            for other in of_memory[memory]:
                if not taken[other]:
                    heapq.heappush(heap, (-rate(other), other))
    return filled


def _entries(
    rows: Sequence[Row], headings: Sequence[str], found: Sequence[Piece], chosen: frozenset[int]
) -> list[Entry]:
    entries: list[Entry] = []
    for memory, run in groupby(range(len(found)), key=lambda i: found[i].memory):
        places = list(run)
        kept = [i in chosen for i in places]
        if any(kept):
            entries.append(entry(rows[memory], headings[memory], [found[i] for i in places], kept))
    return entries


def _fewer(entries: list[Entry], room: int, count: Count) -> list[Entry]:
    """The first of them, as many as fit; for a `count` that says of a whole other than of its parts."""
    kept = list(entries)
    while kept and count(joined(kept)) > room:
        kept.pop()
    return kept
