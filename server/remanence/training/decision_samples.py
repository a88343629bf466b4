"""Decisions about facts as samples: what the log ended with, and pairs that are made of the facts.

What is asked is word for word what a model is asked at run time (`decisions.prompt`). A log is short and
mostly of one kind, since rules decide what is plain: pairs that are made balance it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Literal

from remanence.memory import decisions
from remanence.memory.decisions import Judgement
from remanence.memory.fact import RULES, Fact
from remanence.memory.fact_store import Action, Decision

Source = Literal["rules", "model", "corrected", "made", "none"]
"""Who said it: the rules, a language model, the user who took a decision back, or nobody: `made` of facts.
`none` is an exchange without facts."""

_DAY_MS = 86_400_000
_MOST_DAYS = 300  # between the two of a pair that is made
_OTHERS = 3  # pairs that are made of one fact and others, of a kind
_TAKEN_BACK = "both hold: the user took back that one replaced the other"
_SAID_AGAIN = "both say the same"
_APART = "both can hold at the same time"

_NO_LONGER = {
    "en": ("It is no longer true: {text}", "Not any more: {text}", "This no longer holds: {text}"),
    "fr": ("Ce n'est plus vrai : {text}", "Ce n'est plus le cas : {text}", "Cela ne vaut plus : {text}"),
    "es": ("Ya no es cierto: {text}", "Ya no es así: {text}", "Esto ya no vale: {text}"),
    "de": ("Das gilt nicht mehr: {text}", "Es stimmt nicht mehr: {text}", "Nicht mehr: {text}"),
}
_AGAIN = {
    "en": ("As before: {text}", "Still so: {text}"),
    "fr": ("Comme avant : {text}", "Toujours : {text}"),
    "es": ("Como antes: {text}", "Sigue igual: {text}"),
    "de": ("Wie bisher: {text}", "Immer noch: {text}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSample:
    """What a model is told, asked, and is to write: JSON. `expected` is the action of a decision, or the
    values of an exchange's facts; `facts` and `exchanges` are the ids of what it tells of."""

    system: str
    question: str
    answer: str
    form: Literal["decision", "extraction"]
    source: Source
    expected: tuple[str, ...]
    facts: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """As a manifest counts it: what is learned, and from whom."""
        return f"{self.expected[0] if self.form == 'decision' else 'facts'}, {self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """An entry of the log with the facts it is about."""

    decision: Decision
    newer: Fact
    older: Fact


def samples_of_log(log: Iterable[Decided], left_out: Counter[str]) -> list[OperationSample]:
    """A sample of each decision, in the order of the log; `left_out` counts those that say nothing."""
    found: list[OperationSample] = []
    for each in log:
        decision, newer = each.decision, each.newer
        match decision.state:
            case "pending":
                left_out["still pending"] += 1
            case "undone" if decision.action == "ignore":
                left_out["taken back, and nothing put in its place"] += 1
            case "undone":
                judgement = Judgement("ignore", _TAKEN_BACK)
                found.append(_sample(newer, each.older, judgement, "corrected"))
            case "done":
                text = newer.text if decision.action == "update" else ""
                judgement = Judgement(decision.action, decision.reason, text)
                asked = newer if decision.text_before is None else replace(newer, text=decision.text_before)
                source = "rules" if decision.origin == RULES else "model"
                found.append(_sample(asked, each.older, judgement, source))
    return found


def samples_made_of(
    facts: Sequence[Fact], wanted: Mapping[Action, int], chance: random.Random
) -> list[OperationSample]:
    """So many samples of each action, or as many as these facts give: values that contradict each other,
    statements taken back, statements said again, statements that have nothing to do with each other."""
    order = chance.sample(facts, len(facts))
    made: dict[Action, Iterator[OperationSample]] = {
        "update": _contradicting(order, chance),
        "delete": _taken_back(order, chance),
        "ignore": _in_turn(_said_again(order, chance), _apart(order, chance)),
    }
    return [
        sample
        for action, count in wanted.items()
        for sample, _ in zip(made[action], range(max(count, 0)), strict=False)
    ]


def _contradicting(facts: Sequence[Fact], chance: random.Random) -> Iterator[OperationSample]:
    """A fact, and the same with another one's value, said before it: the rules say that the newer wins."""
    single = [fact for fact in facts if fact.single and fact.value in fact.text]
    for turn in range(_OTHERS):
        for newer in single:
            others = [each for each in single if each.topic == newer.topic and each.value != newer.value]
            if turn >= len(others):
                continue
            other = others[(turn + len(newer.text)) % len(others)]
            older = _said_before(replace(newer, text=_with_value(newer, other.value)), newer, chance)
            older = replace(older, id=f"before {newer.id}", value=other.value, valid_until=None)
            (found,) = decisions.by_rules(replace(newer, valid_until=None), [older])
            judgement = Judgement("update", found.reason, newer.text)
            yield _sample(newer, older, judgement, "made", also=other)


def _taken_back(facts: Sequence[Fact], chance: random.Random) -> Iterator[OperationSample]:
    for turn in range(len(_NO_LONGER["en"])):
        for fact in facts:
            forms = _NO_LONGER.get(fact.language, _NO_LONGER["en"])
            newer = replace(fact, text=forms[turn].replace("{text}", fact.text))
            older = _said_before(fact, newer, chance)
            reason = f"said on {decisions.day(newer)} to hold no longer"
            yield _sample(newer, older, Judgement("delete", reason), "made")


def _said_again(facts: Sequence[Fact], chance: random.Random) -> Iterator[OperationSample]:
    for turn in range(len(_AGAIN["en"])):
        for fact in facts:
            forms = _AGAIN.get(fact.language, _AGAIN["en"])
            newer = replace(fact, text=forms[turn].replace("{text}", fact.text))
            older = _said_before(fact, newer, chance)
            yield _sample(newer, older, Judgement("ignore", _SAID_AGAIN), "made")


def _apart(facts: Sequence[Fact], chance: random.Random) -> Iterator[OperationSample]:
    """Two that hold together: of one subject, but not of a topic that has one value at a time."""
    for turn in range(_OTHERS):
        for newer in facts:
            others = [
                each
                for each in facts
                if each.id != newer.id
                and each.subject.casefold() == newer.subject.casefold()
                and not (each.topic == newer.topic and (each.single or newer.single))
                and each.is_current
                and newer.is_current
            ]
            if turn < len(others):
                older = _said_before(others[turn], newer, chance)
                yield _sample(newer, older, Judgement("ignore", _APART), "made", also=others[turn])


def _sample(
    newer: Fact, older: Fact, judgement: Judgement, source: Source, also: Fact | None = None
) -> OperationSample:
    system, asked = decisions.prompt(newer, older)
    told = (newer, also or older)
    return OperationSample(
        system=system,
        question=asked,
        answer=decisions.answer(judgement),
        form="decision",
        source=source,
        expected=(judgement.action,),
        facts=tuple(dict.fromkeys(fact.id for fact in told)),
        exchanges=tuple(dict.fromkeys(exchange for fact in told for exchange in fact.exchanges)),
    )


def _said_before(fact: Fact, newer: Fact, chance: random.Random) -> Fact:
    return replace(fact, last_said=newer.last_said - chance.randrange(1, _MOST_DAYS) * _DAY_MS)


def _with_value(fact: Fact, value: str) -> str:
    return fact.text.replace(fact.value, value)


def _in_turn(one: Iterator[OperationSample], other: Iterator[OperationSample]) -> Iterator[OperationSample]:
    pairs = chain.from_iterable(zip_longest(one, other))
    return (sample for sample in pairs if sample is not None)
