"""What the queues cost must not grow with what is done already: SQLite's own steps are counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from remanence.memory.backlog import Backlog, Waiting
from remanence.memory.decisions import RULES_DECIDED
from remanence.memory.exchange import Exchange
from remanence.memory.fact_rules import RULES_VERSION
from remanence.memory.fact_store import FactStore
from remanence.memory.identity import identify
from remanence.memory.store import Candidate, Store

MODEL = "m"
ROWS = 5000
FEW = 2000  # SQLite's virtual machine takes several steps a row


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store in which everything is embedded, keyworded and read for facts."""
    store = Store.open(tmp_path_factory.mktemp("growth") / "memory.db")
    exchanges = [Exchange(question=f"q {n}", answer=f"a {n}", tool="t") for n in range(ROWS)]
    store.capture(Candidate(each, identify(each, each, store.identity_key), 1) for each in exchanges)
    backlog = Backlog(store.database)
    waiting = backlog.to_embed(MODEL, ROWS)
    backlog.put_vectors(MODEL, waiting, [np.ones((1, 8), np.float32)] * ROWS)
    backlog.put_keywords([(item, []) for item in waiting])
    facts = FactStore(store.database)
    facts.put_all([(each, []) for each in facts.unread(RULES_VERSION, ROWS)], RULES_VERSION)
    yield store
    store.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda backlog: backlog.to_embed(MODEL, 256),
        lambda backlog: backlog.count_to_embed(MODEL),
        lambda backlog: backlog.to_keyword(MODEL, 8, 32),
        lambda backlog: backlog.count_to_keyword(),
        lambda backlog: backlog.model_before(MODEL),
        lambda backlog: backlog.drop_other_vectors(MODEL),
    ],
    ids=[
        "to_embed",
        "count_to_embed",
        "to_keyword",
        "count_to_keyword",
        "model_before",
        "drop_other_vectors",
    ],
)
def test_a_queue_with_nothing_in_it_costs_nothing(store: Store, ask: Callable[[Backlog], object]) -> None:
    backlog = Backlog(store.database)
    with store.database.transaction() as writing:
        steps = _Steps(writing, store.database.reader())
    assert not ask(backlog)
    assert steps.taken() < FEW


@pytest.mark.parametrize(
    "ask",
    [
        lambda facts: facts.unread(RULES_VERSION, 64),
        lambda facts: facts.undecided(RULES_DECIDED, 64),
        lambda facts: facts.count_undecided(RULES_DECIDED),
    ],
    ids=["unread", "undecided", "count_undecided"],
)
def test_nothing_to_read_for_facts_costs_nothing(store: Store, ask: Callable[[FactStore], object]) -> None:
    steps = _Steps(store.database.reader())
    assert not ask(FactStore(store.database))
    assert steps.taken() < FEW


def test_the_newest_of_many_that_wait_are_found_without_a_walk_through_all(store: Store) -> None:
    backlog = Backlog(store.database)
    steps = _Steps(store.database.reader())
    waiting: list[Waiting] = backlog.to_embed("another model", 8)
    assert [item.question for item in waiting] == [f"q {n}" for n in range(ROWS - 1, ROWS - 9, -1)]
    assert steps.taken() < FEW


class _Steps:
    """Counts the steps of these connections from now on, by tens."""

    def __init__(self, *connections: sqlite3.Connection) -> None:
        self._connections = connections
        self._tens = 0
        for connection in connections:
            connection.set_progress_handler(self._count, 10)

    def _count(self) -> int:
        self._tens += 1
        return 0

    def taken(self) -> int:
        for connection in self._connections:
            connection.set_progress_handler(None, 0)
        return 10 * self._tens
