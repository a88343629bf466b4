"""What recall says of memories whose facts have changed: the newer stands above, the older one says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from remanence.memory.fact import Fact
from remanence.memory.recall import Recalled
from remanence.memory.timestamps import to_iso

_BELOW = 0.001
_AS_GOOD = 0.5  # of the older one's score, which the newer one must have to stand above it
_MOST_SAID = 160
_LONG = 1000  # characters: of a shorter memory a prompt holds the words that a fact came from anyhow
_MOST_KNOWN = 2

Facts = Mapping[int, Sequence[Fact]]


def with_facts(found: Sequence[Recalled], facts: Facts, successors: Mapping[str, Fact]) -> list[Recalled]:
    """Say of each memory which of its facts holds no more, and put it below the one that says what does.

    `facts` are those of its row, `successors` by their ids the facts that took another's place.
    """
    if not any(not fact.is_current for said in facts.values() for fact in said):
        return list(found)
    says: dict[str, int] = {}
    for place, each in enumerate(found):
        for fact in facts.get(each.row.row, ()):
            says.setdefault(fact.id, place)
    moved = [
        replace(each, why=(*each.why, *stale(facts.get(each.row.row, ()), successors))) for each in found
    ]
    order = list(range(len(found)))
    for place, each in enumerate(found):
        for fact in facts.get(each.row.row, ()):
            newer = says.get(fact.superseded_by or "")
            if newer is None or newer == place or order.index(newer) < order.index(place):
                continue
            if found[newer].score >= _AS_GOOD * each.score:
                order.remove(newer)
                order.insert(order.index(place), newer)
                score = max(moved[newer].score, min(1.0, moved[place].score + _BELOW))
                moved[newer] = replace(moved[newer], score=round(score, 4))
    return [moved[place] for place in order]


def stale(said: Sequence[Fact], successors: Mapping[str, Fact]) -> list[str]:
    """Of these facts of a memory those that hold no more, in words; what holds now beside each."""
    reasons: list[str] = []
    for fact in said:
        if fact.is_current:
            continue
        now = successors.get(fact.superseded_by or "")
        told = _short(now.text) if now is not None else f"{_short(fact.text)} (nothing took its place)"
        reasons.append(f"no longer so since {_day(fact.valid_until)}: {told}")
    return list(dict.fromkeys(reasons))


def note(found: Recalled, said: Sequence[Fact], successors: Mapping[str, Fact]) -> str:
    """What a prompt says of a memory's validity beside its date: what changed, or what is known for sure."""
    changed = stale(said, successors)
    if changed:
        return "; ".join(changed[:_MOST_KNOWN])
    long = len(found.row.question) + len(found.row.answer) > _LONG
    own = [
        fact for fact in said if fact.is_current and (long or fact.text.rstrip(".") != fact.words.rstrip("."))
    ]
    known = [f"known: {_short(fact.text)} (since {_day(fact.valid_from)})" for fact in own[:_MOST_KNOWN]]
    return "; ".join(known)


def successors_of(facts: Facts) -> list[str]:
    """The ids of the facts that took the place of any of these."""
    return list(
        dict.fromkeys(fact.superseded_by for said in facts.values() for fact in said if fact.superseded_by)
    )


def _short(text: str) -> str:
    plain = " ".join(text.split()).rstrip(".")
    return plain if len(plain) <= _MOST_SAID else f"{plain[: _MOST_SAID - 1]}…"


def _day(moment: int | None) -> str:
    return (to_iso(moment) or "")[:10] or "an unknown day"
