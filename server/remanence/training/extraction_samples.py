"""Exchanges as samples: what a model is shown of one, and the facts it is to write down.

An exchange is learned only with all of its facts, each in its own words: half of them would teach to leave
out, and what was superseded to draw it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from remanence.memory import fact_extraction
from remanence.memory.fact import RULES, Fact, normal
from remanence.memory.fact_store import Read
from remanence.training.decision_samples import OperationSample
from remanence.training.evaluation import is_valid

Fits = Callable[[str], bool]
"""Whether a row that holds this text fits the length that a recipe trains with."""

_LEAST_READ = 100  # characters of each side


def sample_of_exchange(read: Read, facts: Sequence[Fact], fits: Fits) -> OperationSample | str:
    """The sample of an exchange that says these facts, shortened as at run time until it fits; or why there
    is none, in words."""
    if not all(fact.is_current for fact in facts):
        return "a fact of the exchange holds no longer"
    answer = fact_extraction.answer(facts)
    if not is_valid(answer, "extraction"):
        return "its facts are longer or more than a model may write"
    most = min(fact_extraction.MOST_READ, max(len(read.question), len(read.answer), _LEAST_READ))
    system, asked = fact_extraction.prompt(read.question, read.answer, most)
    while not fits(f"{system}\n{asked}\n{answer}"):
        most = most * 3 // 4
        if most < _LEAST_READ:
            return "longer than the recipe's max_length"
        system, asked = fact_extraction.prompt(read.question, read.answer, most)
    shown = (read.question[:most], read.answer[:most])
    drawn = fact_extraction.drafts(json.loads(answer), *shown, read.time, RULES)
    if [normal(each.value) for each in drawn] != [normal(each.value) for each in facts]:
        return "a fact does not stand in the exchange's own words"
    by_rules = all(fact.origin == RULES for fact in facts)
    return OperationSample(
        system=system,
        question=asked,
        answer=answer,
        form="extraction",
        source="none" if not facts else "rules" if by_rules else "model",
        expected=tuple(fact.value for fact in facts),
        facts=tuple(fact.id for fact in facts),
        exchanges=(read.id,),
    )
