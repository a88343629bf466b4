"""What was said later about the same thing: a rule that changed stands above the rule it changed.

No model decides here whether two memories contradict each other. A later turn of the same conversation
takes the place of an earlier one where it says that something changes ("from now on", "désormais"), is
about the same thing (their vectors are near), answers the query about as well, and says just there, beside
these words, what of the query the earlier one holds: a long answer that has "update" in one place and the
query's words in another changes nothing. The earlier one stays, just below, and says so. Versions of one
answer are another matter: see `ranking.demote_superseded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.ranking import Ranked

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Of 525 pairs of a rule and its change (memorycode) over nine tenths have one of these in the change, and
# as many have vectors with a cosine over .45. Plain phrases: a regular expression took ten milliseconds.
_CHANGE = (
    "from now on",
    "from here on",
    "from today",
    "going forward",
    "moving forward",
    "henceforth",
    "no longer",
    "anymore",
    "instead of",
    "rather than",
    "update",
    "updating",
    "change to",
    "changed",
    "change in",
    "changing",
    "new standard",
    "new rule",
    "new convention",
    "new policy",
    "we moved",
    "we switched",
    "we migrated",
    "we decided",
    "désormais",
    "dorénavant",
    "à partir de maintenant",
    "ne plus",
    "au lieu de",
    "nous avons changé",
    "a partir de ahora",
    "de ahora en adelante",
    "ya no",
    "en lugar de",
    "hemos cambiado",
    "ab jetzt",
    "ab sofort",
    "von nun an",
    "künftig",
    "nicht mehr",
    "stattdessen",
)
_SAME_WORDS = 0.85  # of the query's words that the earlier one holds, which must stand beside the change too
_BESIDE = 200  # characters before and after the words of change
_SAME_THING = 0.4  # cosine of the two wholes
_AS_GOOD = 0.7  # of the earlier one's score, which the later one must reach
_HIGH = 20  # places: a turn further down does not answer the query, and would push out one that does
_ABOVE = 0.001
_READ = 1000  # characters of each side in which a change is looked for
_REMEMBERED = 10_000  # texts, by their hashes, of which it is known where they say it: a megabyte
_SAYS: dict[int, tuple[tuple[int, int], ...]] = {}


def earlier_below_later(
    ranked: Sequence[Ranked], held: Flags, query_terms: Sequence[str], idf: Floats, vectors: Floats | None
) -> list[Ranked]:
    """Put what a later turn of its conversation changed below that turn, and say so; best first.

    Of the n candidates: which of the t `query_terms` each holds, `held` (n, t), what these weigh, `idf` (t,),
    and their `vectors` (n, d), of unit norm.
    """
    if vectors is None or len(ranked) < 2:
        return list(ranked)
    # the earliest first, so that the latest of many ends up on top
    places = sorted(
        (i for i, each in enumerate(ranked) if each.row.conversation_id), key=lambda i: ranked[i].row.row
    )
    numbers: dict[str, int] = {}
    talks = np.array([numbers.setdefault(ranked[i].row.conversation_id, len(numbers)) for i in places])
    candidates = [ranked[i].candidate for i in places]
    theirs = vectors[candidates]
    same = np.tril(talks[:, None] == talks, -1)  # [later, earlier]
    same &= np.einsum("id,jd->ij", theirs, theirs) >= _SAME_THING
    same &= np.array(places)[:, None] < _HIGH
    weighed = held[candidates] * idf
    wanted = np.float32(_SAME_WORDS) * weighed.sum(axis=1)
    common = np.einsum("it,jt->ij", weighed, held[candidates])  # [i, j]: what i holds and j too
    same &= (common >= wanted[:, None]).T  # before the texts are looked at: what is beside is also inside
    moved = list(ranked)
    for at in np.flatnonzero(same.any(axis=1)).tolist():
        later = moved[places[at]]
        as_good = [
            before
            for before in np.flatnonzero(same[at]).tolist()
            if later.score >= _AS_GOOD * moved[places[before]].score
        ]
        if not as_good:
            continue
        beside = _beside_change(later, query_terms)
        if not len(beside):
            continue
        at_one_place = (beside @ weighed[as_good].T >= wanted[as_good]).any(axis=0)  # [p, before]
        changed = [
            before for before, is_there in zip(as_good, at_one_place.tolist(), strict=True) if is_there
        ]
        top = later.score
        for before in changed:
            earlier = moved[places[before]]
            top = max(top, earlier.score + _ABOVE)
            moved[places[before]] = replace(earlier, why=(*earlier.why, "changed later in the conversation"))
        if top > later.score:
            moved[places[at]] = replace(later, score=top)
    return sorted(moved, key=lambda each: -each.score)


def _beside_change(each: Ranked, query_terms: Sequence[str]) -> Flags:
    """Which of t terms stand beside each of p places where a memory says that something changes: (p, t)."""
    text = f"{each.row.question[:_READ]}\n{each.row.answer[:_READ]}"
    key = hash(text)  # to look forty phrases up takes ten times as long
    said = _SAYS.get(key)
    if said is None:
        said = _where_said(text.lower())
        if len(_SAYS) >= _REMEMBERED:
            _SAYS.clear()
        _SAYS[key] = said
    beside = np.zeros((len(said), len(query_terms)), dtype=np.bool_)
    for at, (start, end) in enumerate(said):
        held = set(terms.stems(_passage(text, start, end)))
        beside[at] = [term in held for term in query_terms]
    return beside


def _where_said(text: str) -> tuple[tuple[int, int], ...]:
    """Where each phrase of change begins and ends."""
    found: list[tuple[int, int]] = []
    for phrase in _CHANGE:
        at = text.find(phrase)
        while at >= 0:
            found.append((at, at + len(phrase)))
            at = text.find(phrase, at + len(phrase))
    return tuple(found)


def _passage(text: str, start: int, end: int) -> str:
    """What stands around these characters, from the beginning of a word."""
    start = max(start - _BESIDE, 0)
    return text[text.rfind(" ", 0, start) + 1 : end + _BESIDE] if start else text[: end + _BESIDE]
