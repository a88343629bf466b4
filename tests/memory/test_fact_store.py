"""Facts in the database: confirmed, superseded, undone, gone with the last exchange that said them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from remanence.memory.backlog import Backlog
from remanence.memory.exchange import Exchange
from remanence.memory.fact import Draft, Fact
from remanence.memory.fact_store import FactStore, Verdict
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


def test_facts_read_without_their_sources_are_the_same_but_for_these(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    _, second = capture(store, "two")
    facts.put(first, [port("80", 1000)], READER)
    facts.put(second, [port("81", 2000)], READER)
    facts.decide(port("81", 2000).id, port("80", 1000).id, "update", "a port has one value", "rules")
    whole, bare = (facts.of_exchanges([first, second], sources=sources) for sources in (True, False))
    assert list(bare) == list(whole) == [first, second]
    for row in bare:
        (one,), (other,) = bare[row], whole[row]
        assert other.confirmations == 1
        assert one.exchanges == ()
        assert one == replace(other, exchanges=(), last_said=one.last_said, last_row=0)
    (ended,) = bare[first]
    assert ended.superseded_by == port("81", 2000).id
    assert facts.get_all([ended.id], sources=False) == [ended]


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


def test_an_exchange_that_changed_while_it_was_read_is_left_for_the_next_round(
    store: Store, facts: FactStore
) -> None:
    capture(store, "Which port?", "The api runs", turn="1")
    read = facts.unread(READER, 10)
    capture(store, "Which port?", "The api runs on port 81.", turn="1")
    assert facts.put_all([(read[0], [port("80", 1)])], READER) == []
    assert [each.answer for each in facts.unread(READER, 10)] == ["The api runs on port 81."]


def test_what_a_model_read_the_rules_need_not_read_again(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    facts.put(row, [], f"{READER}+a model")
    assert facts.unread(READER, 10) == []
    assert facts.count_unread(READER) == 0
    assert [each.row for each in facts.unread(f"{READER}+another", 10)] == [row]
    assert [each.row for each in facts.unread("rules-10", 10)] == [row]


def test_a_fact_found_in_an_earlier_exchange_holds_since_then(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    _, second = capture(store, "two")
    facts.put(second, [port("80", 3000)], READER)
    facts.put(first, [port("80", 1000)], READER)
    fact = known(facts, port("80", 0))
    assert (fact.valid_from, fact.last_said, fact.last_row) == (1000, 3000, second)


def test_one_that_took_anothers_place_does_not_begin_before_that(store: Store, facts: FactStore) -> None:
    _, first = capture(store, "one")
    _, second = capture(store, "two")
    facts.put(second, [port("80", 3000), port("81", 2000)], READER)
    facts.decide(port("80", 0).id, port("81", 0).id, "update", "newer", "rules")
    facts.put(first, [port("80", 1000)], READER)
    assert known(facts, port("80", 0)).valid_from == 3000


def test_the_same_statement_of_two_projects_is_two_facts(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    here, there = (replace(port("80", 1000), workspace=name) for name in ("/a", "/b"))
    facts.put(row, [here, there], READER)
    assert facts.count() == 2
    assert facts.rivals(known(facts, here)) == []


def test_facts_in_other_words_than_their_source_are_indexed_with_it(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    before = store.revision()
    facts.put(row, [port("80", 1000)], READER)  # its own words: nothing to index
    assert store.revision() == before
    told = replace(port("81", 1000), text="Port 81 serves the api.")
    facts.put(row, [told], READER)
    (changed,) = Backlog(store.database).changed(before, 10)
    assert changed.facts == ("Port 81 serves the api.",)
    after = store.revision()
    facts.put(row, [], READER)
    (changed,) = Backlog(store.database).changed(after, 10)
    assert changed.facts == ()


def test_a_rewritten_fact_has_its_words_back_once_that_is_undone(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    facts.put(row, [port("80", 1000), port("81", 2000)], READER)
    new, old = port("81", 0).id, port("80", 0).id
    made = Verdict(fact=new, older=old, action="update", reason="r", origin="m", text="Port 81: the api.")
    assert facts.settle([made], [new], "m") == 1
    assert known(facts, port("81", 0)).text == "Port 81: the api."
    assert facts.settle([made]) == 0
    (decision,) = facts.decisions()
    assert facts.undo(decision.id)
    assert known(facts, port("81", 0)).text == "The api runs on port 81."
    assert facts.redo(decision.id)
    assert not facts.redo(decision.id)
    assert known(facts, port("80", 0)).superseded_by == new


def test_comparing_again_hands_every_fact_out_once_more(store: Store, facts: FactStore) -> None:
    _, row = capture(store, "one")
    facts.put(row, [port("80", 1000)], READER)
    (fact,) = facts.undecided("rules-1", 10)
    facts.settle([], [fact.id], "rules-1+m")
    assert facts.count_undecided("rules-1") == 0
    assert facts.count_undecided("rules-1+other") == 1
    facts.compare_again(lambda connection: None)
    assert [each.id for each in facts.undecided("rules-1", 10)] == [fact.id]
