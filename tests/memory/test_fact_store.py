"""Facts in the database: confirmed, superseded, undone, gone with the last exchange that said them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remanence.memory.exchange import Exchange
from remanence.memory.fact import Draft, Fact
from remanence.memory.fact_store import FactStore
from remanence.memory.identity import identify
from remanence.memory.store import Candidate, Store

READER = "rules-1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "memory.db")
    yield store
    store.close()


@pytest.fixture
def facts(store: Store) -> FactStore:
    return FactStore(store.database)


def capture(store: Store, question: str, answer: str = "Noted.", turn: str | None = None) -> tuple[str, int]:
    """An exchange's id and row."""
    exchange = Exchange(question=question, answer=answer, tool="t", conversation_id="c", turn_key=turn)
    (captured,) = store.capture([Candidate(exchange, identify(exchange, exchange, store.identity_key), 1)])
    row = store.get(captured.id)
    assert row is not None
    return captured.id, row.row


def port(value: str, at: int) -> Draft:
    said = f"The api runs on port {value}."
    return Draft(text=said, subject="api", topic="port", value=value, words=said, valid_from=at, single=True)


def known(facts: FactStore, draft: Draft) -> Fact:
    fact = facts.get(draft.id)
    assert fact is not None
    return fact


def test_what_was_not_read_is_handed_out_newest_first_until_it_was(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    _, second = capture(store, "two")
    assert [each.row for each in facts.unread(READER, 10)] == [second, first]
    facts.put(second, [], READER)
    assert [each.row for each in facts.unread(READER, 10)] == [first]
    assert facts.count_unread(READER) == 1


def test_another_reader_reads_everything_again(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    facts.put(row, [], READER)
    assert [each.row for each in facts.unread("rules-0", 10)] == [row]
    assert [each.row for each in facts.unread("rules-2", 10)] == [row]


def test_a_fact_that_is_said_again_is_confirmed_not_stored_twice(store: Store, facts: FactStore) -> None:
    one, first = capture(store, "the api runs on port 80")
    two, second = capture(store, "yes, the api runs on port 80")
    assert facts.put(first, [port("80", 1)], READER) == [port("80", 1).id]
    assert facts.put(second, [port("80", 2)], READER) == []
    assert known(facts, port("80", 1)).exchanges == (one, two)
    assert facts.count() == 1


def test_a_newer_value_supersedes_and_the_older_keeps_its_dates(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    _, second = capture(store, "two")
    facts.put(first, [port("80", 1000)], READER)
    facts.put(second, [port("81", 2000)], READER)
    newer = known(facts, port("81", 2000))
    (rival,) = facts.rivals(newer)
    facts.decide(newer.id, rival.id, "update", "a port has one value", "rules")
    older = known(facts, port("80", 1000))
    assert (older.valid_from, older.valid_until, older.superseded_by) == (1000, 2000, newer.id)
    assert [fact.value for fact in facts.current()] == ["81"]
    assert [fact.value for fact in facts.superseded()] == ["80"]


def test_a_decision_can_be_undone_and_stays_in_the_log(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    facts.put(row, [port("80", 1000), port("81", 2000)], READER)
    facts.decide(port("81", 0).id, port("80", 0).id, "update", "newer", "rules")
    (decision,) = facts.decisions()
    assert facts.undo(decision.id)
    assert known(facts, port("80", 0)).is_current
    assert [each.state for each in facts.decisions()] == ["undone"]
    assert not facts.undo(decision.id)


def test_a_pending_decision_changes_nothing_until_it_is_made(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    facts.put(row, [port("80", 1000), port("81", 2000)], READER)
    new, old = port("81", 0).id, port("80", 0).id
    facts.decide(new, old, "ignore", "the model's answer was no JSON", "model", pending=True)
    assert known(facts, port("80", 0)).is_current
    assert [each.fact for each in facts.decisions("pending")] == [new]
    facts.decide(new, old, "delete", "no longer so", "model")
    assert known(facts, port("80", 0)).valid_until == 2000
    assert facts.decisions("pending") == []


def test_what_is_said_again_after_it_was_superseded_holds_again(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    _, second = capture(store, "two")
    facts.put(first, [port("80", 1000), port("81", 2000)], READER)
    facts.decide(port("81", 0).id, port("80", 0).id, "update", "newer", "rules")
    facts.put(second, [port("80", 3000)], READER)
    again = known(facts, port("80", 0))
    assert again.is_current
    assert again.valid_from == 3000


def test_a_fact_goes_with_the_last_exchange_that_says_it(store: Store, facts: FactStore) -> None:
    one, first = capture(store, "one")
    two, second = capture(store, "two")
    facts.put(first, [port("80", 1000)], READER)
    facts.put(second, [port("80", 1000)], READER)
    store.forget([one])
    assert known(facts, port("80", 0)).exchanges == (two,)
    store.forget([two])
    assert facts.get(port("80", 0).id) is None


def test_forgetting_what_superseded_a_fact_lets_it_hold_again(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    two, second = capture(store, "two")
    facts.put(first, [port("80", 1000)], READER)
    facts.put(second, [port("81", 2000)], READER)
    facts.decide(port("81", 0).id, port("80", 0).id, "update", "newer", "rules")
    store.forget([two])
    assert known(facts, port("80", 0)).is_current
    assert facts.decisions() == []


def test_an_answer_that_grew_is_read_again(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "Which port?", "The api runs", turn="1")
    facts.put(row, [port("80", 1)], READER)
    _, grown = capture(store, "Which port?", "The api runs on port 81.", turn="1")
    assert grown == row
    assert facts.get(port("80", 0).id) is None
    assert [each.answer for each in facts.unread(READER, 1)] == ["The api runs on port 81."]


def test_facts_of_an_exchange_that_is_gone_are_not_stored(store: Store, facts: FactStore) -> None:
    assert facts.put(999, [port("80", 1)], READER) == []
    assert facts.count() == 0
