"""What was said later about the same thing: a rule that changed stands above the rule it changed.

No model decides here whether two memories contradict each other. A later turn of the same conversation
takes the place of an earlier one that answers the query about as well and is near it in meaning, in two
cases. Both state a rule ("always", "please", "I want you to", "désormais") and what the earlier rule holds
of the query the later one holds too, in one sentence, of the same thing; what merely adds something ("add",
"import") takes no place. Or the later one says that something changes ("from now on", "no longer") and says
just there, beside these words, what of the query the earlier one holds: a long answer that has "update" in
one place and the query's words in another changes nothing. The earlier one stays, just below, and says so.
Versions of one answer are another matter: see `ranking.demote_superseded`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.ranking import Ranked
from remanence.memory.statements import RULE_TERMS, Statement, changes, other_things, statements

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_SAME_WORDS = 0.85  # of the query's words that the earlier one holds, which the later one must hold too
_BESIDE = 200  # characters before and after the words of change
_SAME_THING = 0.4  # cosine of the two wholes
_SAME_RULE = 0.3  # the same where both state a rule: a long turn speaks of other things besides
_ABOUT = 0.25  # of the query's words, which a rule must hold to be what is asked for; and two of them
_SAYS_IT_ALL = 0.8  # of the query's words in a memory that its rule holds: what it knows is the rule
_AS_GOOD = 0.7  # of the earlier one's score, which the later one must reach
_HIGH = 20  # places: a turn further down does not answer the query, and would push out one that does
_ABOVE = 0.001
_READ = 1000  # characters of each side in which rules and changes are looked for
_WHY = "changed later in the conversation"


@dataclass(frozen=True, slots=True)
class _Turns:
    """The n turns that are looked at, the earliest first.

    Their `places` in the ranking; which are `later` than one that they may change or overrule, and by whom
    that is so, [later][earlier]; what each of the query's t terms weighs in each (n, t), and how much of that
    a change must say, (n,); what the terms weigh that tell what a rule is about, what of that each turn
    holds, and the least that a rule must.
    """

    places: list[int]
    later: list[int]
    may_change: list[list[bool]]
    may_overrule: list[list[bool]]
    weighed: Floats
    wanted: Floats
    topic: dict[str, float]
    holds: list[float]
    least: float


@dataclass(frozen=True, slots=True)
class _Rule:
    """A statement, which of the query's terms it holds, and what they weigh."""

    statement: Statement
    held: frozenset[str]
    weight: float


def earlier_below_later(
    ranked: Sequence[Ranked], held: Flags, query_terms: Sequence[str], idf: Floats, vectors: Floats | None
) -> list[Ranked]:
    """Put what a later turn of its conversation changed below that turn, and say so; best first.

    Of the n candidates: which of the t `query_terms` each holds, `held` (n, t), what these weigh, `idf` (t,),
    and their `vectors` (n, d), of unit norm.
    """
    if vectors is None:
        return list(ranked)
    # the earliest first, so that the latest of many ends up on top
    places = sorted(
        (i for i, each in enumerate(ranked[:_HIGH]) if each.row.conversation_id),
        key=lambda i: ranked[i].row.row,
    )
    if len({ranked[i].row.conversation_id for i in places}) == len(places):
        return list(ranked)
    turns = _turns(ranked, places, held, query_terms, idf, vectors)
    moved = list(ranked)
    changed: set[int] = set()
    rules: dict[int, list[_Rule]] = {}
    for at in turns.later:
        later = moved[places[at]]
        good = [later.score >= _AS_GOOD * moved[place].score for place in places[:at]]
        replaced, settled = _overruled(at, good, ranked, turns, rules)
        rest = [
            earlier
            for earlier, may in enumerate(turns.may_change[at][:at])
            if may and good[earlier] and earlier not in settled
        ]
        if rest and len(beside := _beside_change(later, query_terms)):
            at_one_place = (beside @ turns.weighed[rest].T >= turns.wanted[rest]).any(axis=0)  # [p, rest]
            replaced += [rest[i] for i in np.flatnonzero(at_one_place).tolist()]
        if replaced:
            changed.update(places[earlier] for earlier in replaced)
            top = max(moved[places[earlier]].score for earlier in replaced) + _ABOVE
            moved[places[at]] = replace(later, score=max(top, later.score))
    for place in changed:
        moved[place] = replace(moved[place], why=(*moved[place].why, _WHY))
    return sorted(moved, key=lambda each: -each.score)


def _turns(
    ranked: Sequence[Ranked],
    places: list[int],
    held: Flags,
    query_terms: Sequence[str],
    idf: Floats,
    vectors: Floats,
) -> _Turns:
    candidates = [ranked[i].candidate for i in places]
    theirs, holds = vectors[candidates], held[candidates]
    numbers: dict[str, int] = {}
    talks = np.array([numbers.setdefault(ranked[i].row.conversation_id, len(numbers)) for i in places])
    before = np.tril(talks[:, None] == talks, -1)
    # not `@`: for products this small BLAS would start threads
    near = np.einsum("id,jd->ij", theirs, theirs)
    weighed = holds * idf
    wanted = np.float32(_SAME_WORDS) * weighed.sum(axis=1)
    topic = idf * np.array([term not in RULE_TERMS for term in query_terms], dtype=np.bool_)
    about = np.einsum("it,t->i", holds, topic)
    least = np.float32(_ABOUT) * topic.sum()
    # before the texts are looked at: what one place of them holds the whole holds too
    may_change = before & (near >= _SAME_THING) & (np.einsum("it,jt->ij", holds, weighed) >= wanted)
    in_common = np.einsum("it,jt->ij", holds, holds * topic)
    may_overrule = before & (near >= _SAME_RULE) & (about >= least)
    may_overrule &= in_common >= np.float32(_SAME_WORDS) * least
    return _Turns(
        places,
        np.flatnonzero((may_change | may_overrule).any(axis=1)).tolist(),
        may_change.tolist(),
        may_overrule.tolist(),
        weighed,
        wanted,
        dict(zip(query_terms, topic.tolist(), strict=True)),
        about.tolist(),
        float(least),
    )


def _overruled(
    at: int, good: list[bool], ranked: Sequence[Ranked], turns: _Turns, rules: dict[int, list[_Rule]]
) -> tuple[list[int], set[int]]:
    """Whose rule the rule of this turn takes the place of; and of whom this settles whether it was changed.

    `good` tells which of the earlier ones it answers as well as; `rules` are those read so far.
    """

    def rules_of(turn: int) -> list[_Rule]:
        if turn not in rules:
            rules[turn] = _rules(ranked[turns.places[turn]], turns.topic)
        return rules[turn]

    overruled: list[int] = []
    settled: set[int] = set()
    for earlier, may in enumerate(turns.may_overrule[at][:at]):
        if not (may and good[earlier] and rules_of(earlier)):
            continue
        rule = rules_of(earlier)[0]
        if len(rule.held) < 2 or rule.weight < turns.least:
            continue
        if any(_takes_its_place(each, rule, turns.topic) for each in rules_of(at)):
            overruled.append(earlier)
            settled.add(earlier)
        elif rule.weight >= _SAYS_IT_ALL * turns.holds[earlier]:
            settled.add(earlier)
    return overruled, settled


def _rules(each: Ranked, topic: Mapping[str, float]) -> list[_Rule]:
    """The rules of a memory that hold any of these terms, the one that holds most first."""
    found: list[_Rule] = []
    for statement in statements(each.row.question[:_READ]):
        held = frozenset(term for term in statement.terms if topic.get(term))
        if held:
            found.append(_Rule(statement, held, sum(topic[term] for term in held)))
    return sorted(found, key=lambda rule: -rule.weight)


def _takes_its_place(later: _Rule, earlier: _Rule, topic: Mapping[str, float]) -> bool:
    """Whether both rule the same thing, which can be so in one way only."""
    enough = _SAME_WORDS * earlier.weight
    both = later.held & earlier.held
    if sum(topic[term] for term in both) < enough:
        return False
    if (earlier.statement.adds or later.statement.adds) and not later.statement.instead:
        return False
    both -= other_things(earlier.statement, later.statement, earlier.held)
    return sum(topic[term] for term in both) >= enough


def _beside_change(each: Ranked, query_terms: Sequence[str]) -> Flags:
    """Which of t terms stand beside each of p places where a memory says that something changes: (p, t)."""
    question, answer = each.row.question[:_READ], each.row.answer[:_READ]
    places = changes(question, answer)
    text = f"{question}\n{answer}"
    beside = np.zeros((len(places), len(query_terms)), dtype=np.bool_)
    for at, (start, end) in enumerate(places):
        held = set(terms.stems(_passage(text, start, end)))
        beside[at] = [term in held for term in query_terms]
    return beside


def _passage(text: str, start: int, end: int) -> str:
    """What stands around these characters, from the beginning of a word."""
    start = max(start - _BESIDE, 0)
    return text[text.rfind(" ", 0, start) + 1 : end + _BESIDE] if start else text[: end + _BESIDE]
