"""Vectors in the database: one blob of all of a row's units, for one model."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from remanence.memory.backlog import Backlog, Waiting, texts_of
from remanence.memory.database import StoreError
from remanence.memory.exchange import Exchange
from remanence.memory.identity import identify
from remanence.memory.migrations import MIGRATIONS
from remanence.memory.store import Candidate, Store

D = 4
LONG = "a sentence. " * 100


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "memory.db")
    yield store
    store.close()


def stored(store: Store, *answers: str) -> list[Waiting]:
    """What waits for a vector, oldest first, after these were captured."""
    each = [Exchange(question=f"question {i}", answer=text, tool="aider") for i, text in enumerate(answers)]
    store.capture(Candidate(one, identify(one, one, store.identity_key), 1) for one in each)
    return Backlog(store.database).to_embed("m", 100)[::-1]


def numbered(*counts: int) -> list[np.ndarray]:
    """Vectors of rows with so many units each, all different."""
    every = np.arange(sum(counts) * D, dtype=np.float32).reshape(-1, D)
    return np.split(every, np.cumsum(counts)[:-1])


def test_vectors_come_back_with_the_rows_and_the_counts_they_were_put_with(store: Store) -> None:
    backlog, waiting = Backlog(store.database), stored(store, "one", "two", "three")
    assert backlog.put_vectors("m", waiting, numbered(1, 3, 2)) == [0, 1, 2]
    found = backlog.vectors("m", D, 0, 100)
    assert found.numbers.tolist() == [item.row for item in waiting]
    assert found.counts.tolist() == [1, 3, 2]
    np.testing.assert_array_equal(found.values, np.arange(6 * D).reshape(6, D))
    assert (backlog.count_vectors("m"), backlog.count_to_embed("m")) == (3, 0)
    after = backlog.vectors("m", D, found.revision, 100)
    assert (len(after.numbers), after.values.shape, after.revision) == (0, (0, D), found.revision)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
def test_vectors_are_read_in_portions_of_bounded_size(store: Store, limit: int) -> None:
    backlog, waiting = Backlog(store.database), stored(store, "one", "two", "three", "four")
    backlog.put_vectors("m", waiting, numbered(1, 3, 2, 1))
    counts: list[int] = []
    reached = 0
    while len((found := backlog.vectors("m", D, reached, limit)).numbers):
        assert len(found.counts) == 1 or found.counts.sum() <= limit
        counts += found.counts.tolist()
        reached = found.revision
    assert counts == [1, 3, 2, 1]


def test_a_row_that_changed_meanwhile_waits_for_the_next_round(store: Store) -> None:
    backlog, waiting = Backlog(store.database), stored(store, "one", "two")
    with store.database.transaction() as connection:
        connection.execute("UPDATE exchanges SET answer = 'grown' WHERE row = ?", [waiting[0].row])
    assert backlog.put_vectors("m", waiting, numbered(2, 2)) == [1]
    found = backlog.vectors("m", D, 0, 100)
    assert found.numbers.tolist() == [waiting[1].row]
    assert found.values[0, 0] == 2 * D


def test_vectors_of_other_dimensions_are_refused_in_words(store: Store) -> None:
    backlog, waiting = Backlog(store.database), stored(store, "one")
    backlog.put_vectors("m", waiting, numbered(1))
    with pytest.raises(StoreError, match=r"3 dimensions.*reembed"):
        backlog.vectors("m", 3, 0, 100)


def test_keywords_are_measured_by_the_vector_of_the_whole(store: Store) -> None:
    backlog, waiting = Backlog(store.database), stored(store, "one")
    backlog.put_vectors("m", waiting, numbered(3))
    ((item, vector),) = backlog.to_keyword("m", D, 10)
    assert (item.row, vector.tolist()) == (waiting[0].row, list(range(D)))


def test_what_is_embedded_at_once_is_bounded_by_its_pieces() -> None:
    waiting = [Waiting(i, 0, "question", LONG if i % 2 else "short") for i in range(6)]
    most = len(waiting[1].pieces) + 2
    taken, texts, counts = texts_of(waiting, most)
    assert [item.row for item in taken] == [0, 1, 2]
    assert texts == [piece for item in taken for piece in item.pieces]
    assert counts == [len(item.pieces) for item in taken]
    assert len(texts_of(waiting[1:], 1)[0]) == 1
    assert texts_of([], 1) == ([], [], [])


def test_long_exchanges_of_the_format_before_are_embedded_again(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    connection = sqlite3.connect(path)
    for step in MIGRATIONS[:2]:
        step(connection)
    for row, answer in ((1, "short"), (2, LONG), (3, "x" * 998), (4, "x" * 999)):
        values = (
            row,
            str(row),
            b"%d" % row,
            b"",
            "aider",
            "",
            "q",
            answer,
            "complete",
            "",
            1,
            0,
            0,
            row,
            "m",
        )
        connection.execute(
            "INSERT INTO exchanges (row, id, content_hash, question_hash, tool, conversation_id, question,"
            " answer, status, tags, redactor_version, created_at, updated_at, revision, embedded_with)"
            f" VALUES ({', '.join('?' * len(values))})",
            values,
        )
        vector = np.full(D, row, np.float16).tobytes()
        connection.execute("INSERT INTO vectors VALUES (?, 'm', ?, ?)", [row, row, vector])
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    store = Store.open(path)
    backlog = Backlog(store.database)
    assert [item.row for item in backlog.to_embed("m", 10)] == [4, 2]
    assert backlog.vectors("m", D, 0, 10).numbers.tolist() == [1, 2, 3, 4]  # serve until they are replaced
    backlog.put_vectors("m", backlog.to_embed("m", 10), numbered(3, 2))
    assert backlog.count_to_embed("m") == 0
    assert sorted(backlog.vectors("m", D, 0, 10).counts.tolist()) == [1, 1, 2, 3]
    store.close()
