"""What the store keeps, merges, grows, supersedes and forgets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remanence.memory.database import Database, StoreError
from remanence.memory.exchange import Exchange, Status
from remanence.memory.identity import identify
from remanence.memory.migrations import MIGRATIONS
from remanence.memory.rows import Scope, Turn
from remanence.memory.store import Candidate, Captured, Store

ASKED = 1_780_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "memory.db")
    yield store
    store.close()


def exchange(question: str = "How do I pin a version?", answer: str = "Use ==.", **given: object) -> Exchange:
    return replace(Exchange(question=question, answer=answer, tool="aider"), **given)  # type: ignore[arg-type]


def capture(store: Store, *exchanges: Exchange) -> list[Captured]:
    return store.capture(Candidate(each, identify(each, each, store.identity_key), 1) for each in exchanges)


def answers(store: Store) -> list[str]:
    return [row.answer for row in store.rows(store.scope(Scope()).tolist())]


def test_an_exchange_comes_back_as_it_was_stored(store: Store) -> None:
    given_exchange = exchange(conversation_id="c1", turn_key="t1", asked_at=ASKED, model="m", tags=("a", "é"))
    (captured,) = capture(store, given_exchange)
    row = store.get(captured.id)
    assert row is not None
    assert (row.question, row.answer, row.asked_at, row.model, row.tags) == (
        "How do I pin a version?",
        "Use ==.",
        ASKED,
        "m",
        ("a", "é"),
    )


def test_the_same_exchange_twice_is_stored_once(store: Store) -> None:
    outcomes = [captured.outcome for captured in capture(store, exchange(), exchange())]
    assert outcomes == ["stored", "duplicate"]
    assert store.count() == 1


def test_the_same_text_from_another_tool_is_the_same_memory(store: Store) -> None:
    first, second = capture(store, exchange(), exchange(tool="codex", conversation_id="c", turn_key="t"))
    assert (second.outcome, second.id) == ("duplicate", first.id)
    (again,) = capture(store, exchange(tool="codex", conversation_id="c", turn_key="t"))
    assert (again.outcome, store.count()) == ("duplicate", 1)


@pytest.mark.parametrize("keyed", [{"conversation_id": "c", "turn_key": "t"}, {"conversation_id": "c"}, {}])
def test_a_grown_answer_updates_in_place(store: Store, keyed: dict[str, str]) -> None:
    first, second = capture(
        store, exchange(answer="Use", **keyed), exchange(answer="Use == for that.", **keyed)
    )
    assert (second.outcome, second.id) == ("updated", first.id)
    assert answers(store) == ["Use == for that."]


def test_a_shorter_copy_of_a_grown_answer_changes_nothing(store: Store) -> None:
    keyed = {"conversation_id": "c", "turn_key": "t"}
    capture(store, exchange(answer="Use == for that.", **keyed))
    (late,) = capture(store, exchange(answer="Use ==", **keyed))
    assert late.outcome == "duplicate"
    assert answers(store) == ["Use == for that."]


def test_a_partial_answer_is_replaced_by_the_finished_one(store: Store) -> None:
    keyed = {"conversation_id": "c", "turn_key": "t"}
    capture(store, exchange(answer="Thinking…", status=Status.PARTIAL, **keyed))
    (finished,) = capture(store, exchange(answer="Use ==.", **keyed))
    assert (finished.outcome, answers(store)) == ("updated", ["Use ==."])


def test_an_unchanged_answer_that_is_now_complete_is_not_replaced_by_the_next(store: Store) -> None:
    keyed = {"conversation_id": "c", "turn_key": "t"}
    capture(
        store, exchange(answer="Use ==.", status=Status.PARTIAL, **keyed), exchange(answer="Use ==.", **keyed)
    )
    (regenerated,) = capture(store, exchange(answer="Use ~=.", **keyed))
    assert (regenerated.outcome, answers(store)) == ("stored", ["Use ==.", "Use ~=."])


def test_a_regenerated_answer_supersedes_the_old_one(store: Store) -> None:
    keyed = {"conversation_id": "c", "turn_key": "t"}
    first, second = capture(
        store, exchange(answer="Use 8080.", **keyed), exchange(answer="Use 9000.", **keyed)
    )
    assert (second.outcome, second.id) == ("stored", first.id)
    old, new = store.rows(store.scope(Scope()).tolist())
    assert (old.answer, old.superseded_by) == ("Use 8080.", new.id)
    assert (new.answer, new.superseded_by) == ("Use 9000.", None)


def test_the_same_question_without_a_conversation_may_have_two_answers(store: Store) -> None:
    capture(store, exchange(answer="In Rust: clippy."), exchange(answer="In Python: ruff."))
    assert [row.superseded_by for row in store.rows(store.scope(Scope()).tolist())] == [None, None]


def test_an_unanswered_question_is_ignored_with_a_reason(store: Store) -> None:
    (captured,) = capture(store, exchange(answer=" "))
    assert (captured.outcome, captured.reason, store.count()) == ("ignored", "it has no answer yet", 0)


def test_what_was_forgotten_stays_forgotten(store: Store) -> None:
    (captured,) = capture(store, exchange(conversation_id="c", turn_key="t"))
    assert len(store.forget([captured.id])) == 1
    again = capture(store, exchange(conversation_id="c", turn_key="t"), exchange(tool="codex"))
    assert [each.outcome for each in again] == ["ignored", "ignored"]
    assert store.count() == 0


def test_forgetting_takes_the_earlier_answers_along(store: Store) -> None:
    keyed = {"conversation_id": "c", "turn_key": "t"}
    versions = capture(store, *(exchange(answer=text, **keyed) for text in ("one", "two", "three")))
    assert store.count_versions([versions[-1].id]) == 3
    assert len(store.forget([versions[-1].id])) == 3
    assert store.count() == 0


def test_forgotten_text_is_in_no_file_of_the_database(store: Store) -> None:
    (captured,) = capture(store, exchange(question="Where is Zanzibarfort?", answer="Beside Quibblequay."))
    store.forget([captured.id])
    for file in store.database.path.parent.iterdir():
        assert b"Zanzibarfort" not in file.read_bytes(), file.name
        assert b"Quibblequay" not in file.read_bytes(), file.name


def test_forgetting_nothing_known_is_no_error(store: Store) -> None:
    assert store.forget(["nobody"]) == []


def test_a_scope_compares_every_field_it_has(store: Store) -> None:
    capture(
        store,
        exchange("q1", "a1", workspace="/p", asked_at=ASKED, tags=("x",)),
        exchange("q2", "a2", workspace="/p", tool="codex", asked_at=ASKED + 10),
        exchange("q3", "a3", workspace="/other"),
    )

    def found(**scope: object) -> list[str]:
        return [row.question for row in store.rows(store.scope(Scope(**scope)).tolist())]  # type: ignore[arg-type]

    assert found(workspace="/p") == ["q1", "q2"]
    assert found(workspace="/p", tool="codex") == ["q2"]
    assert found(since=ASKED + 1, until=ASKED + 10) == ["q2"]
    assert found(tag="x") == ["q1"]
    assert found(tool="nobody") == []


def test_a_turn_stands_between_those_stored_before_and_after_it_in_the_same_conversation(
    store: Store,
) -> None:
    conversations = ("a", "b", "a", "", "a", "")
    capture(
        store,
        *(
            exchange(f"question {i}", conversation_id=name, turn_key=str(i))
            for i, name in enumerate(conversations)
        ),
    )
    rows = store.scope(Scope()).tolist()
    length = len("question 0") + len(exchange().answer)
    assert store.turns([*rows, 10_000]) == {
        rows[0]: Turn(None, rows[2], length),
        rows[1]: Turn(None, None, length),
        rows[2]: Turn(rows[0], rows[4], length),
        rows[4]: Turn(rows[2], None, length),
    }
    assert store.turns([]) == {}
    store.forget([store.rows([rows[2]])[0].id])
    assert store.turns(rows)[rows[0]].after == rows[4]


def test_a_failing_batch_leaves_nothing_behind(store: Store) -> None:
    good = exchange()
    bad = exchange(question="q", model=object())
    with pytest.raises(sqlite3.ProgrammingError):
        capture(store, good, bad)
    assert store.count() == 0
    assert capture(store, good)[0].outcome == "stored"


def test_every_change_has_a_revision_of_its_own(store: Store) -> None:
    before = store.revision()
    capture(store, exchange("q1", "a1"), exchange("q2", "a2"))
    assert store.revision() == before + 2
    assert store.count_changed(before) == 2
    assert [row.question for row in store.unindexed(before, 1)] == ["q2"]


def test_what_an_import_stored_does_not_hide_what_was_captured_just_before(store: Store) -> None:
    before = store.revision()
    capture(store, exchange("captured", "a"))
    capture(store, *(exchange(f"imported {number}", "a", origin="/a.jsonl") for number in range(300)))
    assert [row.question for row in store.unindexed(before, 200)] == ["captured"]


def test_the_file_is_private(store: Store) -> None:
    assert store.database.path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_said_in_words_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer Remanence"):
        Store.open(path)


def test_migrations_go_forward_from_each_earlier_format(tmp_path: Path) -> None:
    for version in range(len(MIGRATIONS)):
        path = tmp_path / f"{version}.db"
        connection = sqlite3.connect(path)
        for step in MIGRATIONS[:version]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
        connection.close()
        store = Store.open(path)
        assert capture(store, exchange())[0].outcome == "stored"
        assert Database(path).problems() == []
        store.close()


turns = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "x y", "x y z", "other", "Ω"])), max_size=25
)


@settings(max_examples=40, deadline=None)
@given(turns)
@example([("a", "x y"), ("a", "other"), ("a", "x"), ("a", "x y"), ("a", "Ω")])  # into an earlier version
def test_importing_the_same_turns_again_stores_nothing(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[str, str]]
) -> None:
    store = Store.open(tmp_path_factory.mktemp("store") / "memory.db")
    final = dict(turns)
    exchanges = [
        exchange(question=key, answer=answer, conversation_id="c", turn_key=key) for key, answer in turns
    ]
    capture(store, *exchanges)
    settled = [
        exchange(question=key, answer=answer, conversation_id="c", turn_key=key)
        for key, answer in final.items()
    ]
    capture(store, *settled)
    count = store.count()
    assert {captured.outcome for captured in capture(store, *settled)} <= {"duplicate"}
    assert store.count() == count
    store.close()
