"""The rows of a scope, kept between recalls: always what asking for them anew would give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange, Status
from remanence.memory.identity import identify
from remanence.memory.rows import Scope
from remanence.memory.scopes import Scopes
from remanence.memory.store import Candidate, Store

ASKED = 1_780_000_000_000
SCOPES = [
    Scope(),
    Scope(workspace="/a"),
    Scope(tool="aider"),
    Scope(tool="codex", until=ASKED),
    Scope(since=ASKED + 1),
    Scope(tag="x"),
    Scope(conversation_id="c"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "memory.db")
    yield store
    store.close()


def capture(store: Store, *exchanges: Exchange) -> list[str]:
    named = [Candidate(each, identify(each, each, store.identity_key), 1) for each in exchanges]
    return [captured.id for captured in store.capture(named)]


def exchange(number: int, **given: object) -> Exchange:
    plain = Exchange(question=f"Question {number}?", answer=f"Answer {number}.", tool="aider")
    return replace(plain, **given)  # type: ignore[arg-type]


def check(store: Store) -> None:
    for scope in SCOPES:
        assert store.scope(scope).tolist() == Scopes(store.database).rows(scope).tolist()


def test_what_is_captured_and_forgotten_comes_into_and_out_of_a_scope(store: Store) -> None:
    first, second = capture(store, exchange(1, workspace="/a"), exchange(2, workspace="/a"))
    inside = Scope(workspace="/a")
    assert len(store.scope(inside)) == 2
    capture(store, exchange(3, workspace="/a"), exchange(4, workspace="/b"))
    assert len(store.scope(inside)) == 3
    store.forget([first])
    found = store.rows(store.scope(inside).tolist())
    assert [row.question for row in found] == ["Question 2?", "Question 3?"]
    assert found[0].id == second


def test_a_row_whose_time_is_learned_later_changes_scopes(store: Store) -> None:
    growing = exchange(1, conversation_id="c", turn_key="t", status=Status.PARTIAL)
    capture(store, growing)  # for want of another time, that of today
    early, late = Scope(until=ASKED), Scope(since=ASKED + 1)
    assert [len(store.scope(early)), len(store.scope(late))] == [0, 1]
    capture(store, replace(growing, answer="Answer 1. It goes on.", answered_at=ASKED - 1))
    assert [len(store.scope(early)), len(store.scope(late))] == [1, 0]


def test_more_scopes_than_are_kept_are_answered_all_the_same(store: Store) -> None:
    capture(store, *(exchange(n, tool=f"tool {n % 12}") for n in range(36)))
    for _ in range(2):
        for n in range(12):
            assert len(store.scope(Scope(tool=f"tool {n}"))) == 3


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["capture", "forget"]),
        st.integers(0, 5),
        st.sampled_from([None, "/a", "/b"]),
        st.sampled_from(["aider", "codex"]),
        st.sampled_from([None, ASKED - 5, ASKED + 5]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_a_kept_scope_is_what_the_database_says(
    steps: list[tuple[str, int, str | None, str, int | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store.open(tmp_path_factory.mktemp("scopes") / "memory.db")
    ids: list[str] = []
    try:
        for what, number, workspace, tool, asked_at in steps:
            if what == "forget":
                store.forget(ids[number : number + 1])
            else:
                tags = ("x",) if number % 2 else ()
                details = {"workspace": workspace, "tool": tool, "asked_at": asked_at, "tags": tags}
                conversation = {"conversation_id": "c" if number < 3 else "", "turn_key": str(len(ids))}
                ids += capture(store, exchange(len(ids), **details, **conversation))
            check(store)
    finally:
        store.close()
