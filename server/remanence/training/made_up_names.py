"""Names that no memory speaks of, to ask for what was never said."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

from remanence.memory.fact import Fact

_COUNT = 48  # enough that none is learned by itself
_BEGINNINGS = (
    "b",
    "bl",
    "cr",
    "d",
    "dr",
    "f",
    "fl",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "p",
    "qu",
    "sk",
    "st",
    "tr",
    "v",
)
_ENDINGS = ("", "n", "l", "x", "ck", "ra", "do", "mo", "ven", "rix")


def made_up_names(facts: Iterable[Fact], others: Collection[str], chance: random.Random) -> list[str]:
    """Some that stand in none of these facts, and are none of `others`."""
    said = " ".join(f"{fact.subject} {fact.value} {fact.words}" for fact in facts).casefold()
    found: dict[str, None] = {}
    while len(found) < _COUNT:
        syllables = (
            chance.choice(_BEGINNINGS) + chance.choice("aeiou") for _ in range(chance.choice((2, 3)))
        )
        name = "".join(syllables) + chance.choice(_ENDINGS)
        if name not in said and name not in others:
            found[name] = None
    return list(found)
