"""What recall and prompts say of memories whose facts are known."""

from __future__ import annotations

from collections.abc import Sequence

from remanence.memory.fact import Fact
from remanence.memory.fact_store import FactStore
from remanence.memory.recall import Recalled
from remanence.memory.staleness import Facts, note, successors_of, with_facts


def told_of_changes(facts: FactStore, found: Sequence[Recalled]) -> list[Recalled]:
    """What recall found, with what holds no more said and set below what does."""
    said, successors = _what_they_say(facts, found)
    return with_facts(found, said, successors) if said else list(found)


def notes_for_prompt(facts: FactStore, found: Sequence[Recalled]) -> dict[str, str]:
    """By a memory's id what a prompt says of its facts: what changed since, what is known and since when."""
    said, successors = _what_they_say(facts, found)
    notes = (
        {each.row.id: note(each, said.get(each.row.row, ()), successors) for each in found} if said else {}
    )
    return {id: words for id, words in notes.items() if words}


def _what_they_say(facts: FactStore, found: Sequence[Recalled]) -> tuple[Facts, dict[str, Fact]]:
    said = facts.of_exchanges([each.row.row for each in found], sources=False)
    newer = facts.get_all(successors_of(said), sources=False) if said else []
    return said, {fact.id: fact for fact in newer}
