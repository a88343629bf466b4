"""What forgetting does to adapters: those that learned the forgotten are marked, off, and made again."""

from __future__ import annotations

from remanence.engine import messages as m
from remanence.memory.fact_store import FactStore
from remanence.training.adapters import Adapter, AdapterRegistry


def mark_and_tell(registry: AdapterRegistry, facts: FactStore, count: int, ended: bool) -> m.ForgetResponse:
    """After `count` memories were forgotten; `ended`: a run that was learning one of them was. To be trained
    again is, of each purpose, the adapter that was in use, or the newest, if there is anything left to learn.
    """
    before = registry.list()
    marked = registry.mark_forgotten()
    again: dict[str, str] = {}
    for each in sorted((each for each in before if each.id in marked), key=lambda each: not each.is_active):
        if each.purpose not in again and _has_more(each, facts):
            again[each.purpose] = each.id
    said = ["A training under way was learning what was forgotten, and is ended."] if ended else []
    if marked:
        instead = " and ".join(f"`remanence train --instead-of {each}`" for each in again.values())
        without = f" {instead} makes one without it," if instead else ""
        old = marked[0] if len(marked) == 1 else "ID"
        said.append(
            f"{', '.join(marked)} had learned what was forgotten, and is not used any more:{without}"
            f" `remanence adapters delete {old}` removes the old one."
        )
    return m.ForgetResponse(
        forgotten=count,
        adapters=marked,
        note=" ".join(said) or None,
        retrain=again.get("facts") or again.get("operations"),
    )


def _has_more(adapter: Adapter, facts: FactStore) -> bool:
    """Whether it learned anything that is left; operations are learned from the whole log."""
    return adapter.purpose == "operations" or any(fact.is_current for fact in facts.get_all(adapter.learned))
