"""What there is to learn from: the facts that hold, those they replaced, and what is asked about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from remanence.engine import messages as m
from remanence.engine.facts import FactReading
from remanence.engine.verbs import Cancelled, EngineError
from remanence.memory.fact import Fact
from remanence.memory.fact_store import FactStore
from remanence.training import dataset
from remanence.training.adapters import Adapter
from remanence.training.dataset import DatasetError, Material, plan_stages, read_general
from remanence.training.decision_samples import Decided
from remanence.training.evaluation import Question
from remanence.training.measuring import drawn
from remanence.training.operations import OperationsMaterial, operations_learned, operations_questions
from remanence.training.recipe import CurriculumRecipe, Recipe
from remanence.training.row_length import token_counter
from remanence.training.samples import samples_of

Enrich = Callable[[m.EnrichPromptRequest, Cancelled], m.EnrichPromptResponse]

_PAGE = 2000
_MOST_FACTS = 50_000  # in memory at a time; a run learns a few hundred
_MOST_DECISIONS, _MOST_EXCHANGES = 5000, 2000  # the newest
_RECALLED_TOKENS = 1000
_MOST_VERIFIED = 60  # facts
_READING_SECONDS = 5.0
_NOTHING_LEFT = "Nothing that it learned holds any more: there is nothing to ask."


def read_the_newest(facts: FactStore) -> None:
    """Draw the facts of what was said just now, by the rules; what a large import left waits for its turn."""
    reading, until = FactReading(facts), time.monotonic() + _READING_SECONDS
    while time.monotonic() < until and (reading.read() or reading.decide()):
        continue


def material(facts: FactStore, known: Sequence[str] = ()) -> Material:
    """Everything that holds; `known` are the ids of facts that were learned before."""
    current = list(_all(facts.current))
    by_id = {fact.id: fact for fact in current}
    superseded = [
        (old, by_id[old.superseded_by])
        for old in _all(facts.superseded)
        if old.superseded_by is not None and old.superseded_by in by_id
    ]
    return Material(current=current, superseded=superseded, known=frozenset(known), general=read_general())


def operations_material(facts: FactStore) -> OperationsMaterial:
    """What was decided about facts, and what exchanges were found to say."""
    everything = [*_all(facts.current), *_all(facts.superseded)]
    by_id = {fact.id: fact for fact in everything}
    read = facts.read(_MOST_EXCHANGES)
    said = facts.of_exchanges([each.row for each in read])
    return OperationsMaterial(
        log=[
            Decided(decision=each, newer=by_id[each.fact], older=by_id[each.older])
            for each in facts.decisions(limit=_MOST_DECISIONS)
            if each.fact in by_id and each.older in by_id
        ],
        read=[(each, said.get(each.row, [])) for each in read],
        facts=everything,
    )


def operations_asked(facts: FactStore, adapter: Adapter, recipe: Recipe) -> list[Question]:
    """What an adapter for operations is asked: about facts and exchanges that it never learned.

    Raises DatasetError where there is nothing else.
    """
    seen = {*adapter.manifest.facts, *adapter.manifest.exchanges, *adapter.manifest.developed}
    count = token_counter(Path(adapter.base))
    asked = operations_questions(operations_material(facts), seen, recipe, count)
    if not asked:
        raise DatasetError("It learned everything that there is: there is nothing else to ask it about.")
    return drawn(asked, recipe.train.seed)


def learned_questions(facts: FactStore, adapter: Adapter, recipe: Recipe) -> list[Question]:
    """What an adapter was taught to answer, as it was asked, of what there is still: by its purpose.

    Raises DatasetError where nothing of it is left.
    """
    if adapter.purpose == "operations":
        learned = {*adapter.manifest.facts, *adapter.manifest.exchanges}
        count = token_counter(Path(adapter.base))
        asked = operations_learned(operations_material(facts), learned, recipe, count)
    else:
        current = [fact for fact in facts.get_all(adapter.learned)[:_MOST_VERIFIED] if fact.is_current]
        asked = [
            Question(question=samples_of(fact)[0].question, expected=fact.value, kind="paraphrase")
            for fact in current
        ]
    if not asked:
        raise DatasetError(_NOTHING_LEFT)
    return asked


def questions_about(
    facts: FactStore, learned: Sequence[str], recipe: Recipe, enrich: Enrich, cancelled: Cancelled
) -> list[Question]:
    """What an adapter that learned these facts is asked: of those that hold still, what replaced others,
    what was never said, and general questions; each with what recall gives for it.

    Raises DatasetError where none of the facts holds any more.
    """
    whole, wanted = material(facts), set(learned)
    mine = Material(current=[fact for fact in whole.current if fact.id in wanted])
    everything = CurriculumRecipe(facts_per_run=max(len(mine.current), 1))
    stages = plan_stages(mine, msgspec.structs.replace(recipe, curriculum=everything))
    if not stages:
        raise DatasetError(_NOTHING_LEFT)
    apart = [fact for stage in stages for fact in stage]
    ids = {fact.id for fact in apart}
    superseded = [(old, new) for old, new in whole.superseded if new.id in ids]
    asked = drawn(dataset.questions_about(apart, superseded, whole.general), recipe.train.seed)
    return [_with_recall(each, enrich, cancelled) for each in asked]


def _with_recall(question: Question, enrich: Enrich, cancelled: Cancelled) -> Question:
    try:
        found = enrich(
            m.EnrichPromptRequest(prompt=question.question, token_budget=_RECALLED_TOKENS), cancelled
        )
    except EngineError:
        return question
    if not found.memories or not found.prompt.endswith(question.question):
        return question
    block = found.prompt.removesuffix(question.question).rstrip()
    return msgspec.structs.replace(question, context=block)


def _all(page: Callable[[int, str], list[Fact]]) -> Iterator[Fact]:
    after, count = "", 0
    while count < _MOST_FACTS and (found := page(_PAGE, after)):
        yield from found
        count += len(found)
        after = found[-1].id
