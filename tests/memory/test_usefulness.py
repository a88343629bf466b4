"""What was taken of a memory is counted, and goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remanence.memory.exchange import Exchange
from remanence.memory.identity import identify
from remanence.memory.store import Candidate, Store
from remanence.memory.usefulness import note_accepted, times_accepted


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "memory.db")
    yield store
    store.close()


def capture(store: Store, question: str) -> str:
    exchange = Exchange(question=question, answer="So.", tool="t")
    (captured,) = store.capture([Candidate(exchange, identify(exchange, exchange, store.identity_key), 1)])
    return captured.id


def test_each_taking_counts_whatever_its_kind(store: Store) -> None:
    one = capture(store, "one")
    assert note_accepted(store.database, [one], "inline") == 1
    assert note_accepted(store.database, [one, one], "code block") == 1
    assert note_accepted(store.database, [one], "inline") == 1
    assert times_accepted(store.database, one) == 3


def test_a_memory_that_is_not_known_is_not_counted(store: Store) -> None:
    one = capture(store, "one")
    assert note_accepted(store.database, ["nobody", one], "inline") == 1
    assert times_accepted(store.database, "nobody") == 0


def test_forgetting_a_memory_forgets_its_use(store: Store) -> None:
    one = capture(store, "one")
    note_accepted(store.database, [one], "inline")
    store.forget([one])
    (left,) = store.database.reader().execute("SELECT count(*) FROM accepted").fetchone()
    assert left == 0
