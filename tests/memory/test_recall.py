"""The whole of recall over real indexes: what comes back, in which order, why, and when nothing does.

The vectors are a bag of words hashed to 256 dimensions: near means sharing words, as far as order goes.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from remanence.memory import terms
from remanence.memory.backlog import LexicalRow
from remanence.memory.dense import Cancelled, DenseIndex, Near
from remanence.memory.fusion import EXPLICIT_GATE
from remanence.memory.lexical import LexicalIndex
from remanence.memory.query import Place, RecallQuery
from remanence.memory.recall import Recollection, recall
from remanence.memory.rows import Row, Scope, Turn

DAY = 86_400_000
NOW = 1_740_000_000_000


class WordVectors:
    """An embedder whose vector of a text is the sum of one fixed direction per word."""

    def encode_query(self, text: str) -> NDArray[np.float32]:
        total = np.zeros(256, dtype=np.float32)
        for stem in terms.query_stems(text):
            total += np.random.default_rng(zlib.crc32(stem.encode())).standard_normal(256).astype(np.float32)
        return total / max(float(np.linalg.norm(total)), 1e-9)


class Memories:
    """Rows in a list, both indexes over them; `fresh` ones are stored but not yet indexed."""

    def __init__(self, folder: Path, *rows: Row, fresh: Sequence[Row] = ()) -> None:
        self.all = {row.row: row for row in (*rows, *fresh)}
        self.fresh = list(fresh)
        self.embedder = WordVectors()
        self.dense = DenseIndex.open(folder / "dense", "words", 256)
        if rows:
            vectors = np.stack([self.embedder.encode_query(f"{row.question} {row.answer}") for row in rows])
            self.dense.add(np.array([row.row for row in rows]), vectors)
        self.lexical = LexicalIndex.open(folder / "lexical")
        self.lexical.add(
            [
                LexicalRow(
                    row=row.row,
                    revision=1,
                    question=row.question,
                    answer=row.answer,
                    keywords=row.keywords,
                    title=row.conversation_title or "",
                    tool=row.tool,
                    conversation_id=row.conversation_id,
                    workspace=row.workspace or "",
                )
                for row in rows
            ]
        )
        self.lexical.commit(1)

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        return [self.all[number] for number in numbers if number in self.all]

    def turns(self, numbers: Sequence[int]) -> dict[int, Turn]:
        turns: dict[int, Turn] = {}
        for row in (self.all[number] for number in numbers if number in self.all):
            others = [
                other.row
                for other in self.all.values()
                if row.conversation_id and other.conversation_id == row.conversation_id
            ]
            if others:
                before = max((other for other in others if other < row.row), default=None)
                after = min((other for other in others if other > row.row), default=None)
                turns[row.row] = Turn(before, after, len(row.question) + len(row.answer))
        return turns

    def unindexed(self, after_revision: int, limit: int) -> list[Row]:
        assert after_revision == self.lexical.revision
        return self.fresh[:limit]

    def scope(self, scope: Scope) -> NDArray[np.int64]:
        conditions = (
            ("tool", scope.tool),
            ("conversation_id", scope.conversation_id),
            ("workspace", scope.workspace),
        )
        inside = [
            number
            for number, row in self.all.items()
            if all(value is None or getattr(row, name) == value for name, value in conditions)
            and (scope.since or 0) <= row.time <= (scope.until or NOW)
            and (scope.tag is None or scope.tag in row.tags)
        ]
        return np.array(sorted(inside), dtype=np.int64)

    def recall(self, text: str, **fields: object) -> Recollection:
        query = RecallQuery(text=text, now_ms=NOW, **fields)  # type: ignore[arg-type]
        return recall(query, rows=self, lexical=self.lexical, dense=self.dense, embedder=self.embedder)

    def found(self, text: str, **fields: object) -> list[int]:
        return [memory.row.row for memory in self.recall(text, **fields).memories]


def row(number: int, question: str, answer: str = "", **fields: object) -> Row:
    asked = NOW - 100 * DAY + number
    return replace(
        Row(row=number, id=f"id{number}", question=question, answer=answer, tool="t", created_at=asked),
        **fields,  # type: ignore[arg-type]
    )


@pytest.fixture
def memories(tmp_path: Path) -> Memories:
    return Memories(
        tmp_path,
        row(1, "Why does socket.io drop the JWT on reconnect?", "Send the token in the auth callback. Bye."),
        row(2, "How do I center a div?", "Use flexbox: justify-content and align-items."),
        row(3, "Borrow checker error E0382 in getUserName", "The value moved; clone it or borrow it."),
        row(4, "Écrire un fichier en mémoire partagée", "Utilise shared_memory."),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("socket.io reconnect loses the JWT token", 1),
        ("E0382", 3),
        ("user name borrow", 3),
        ("memoire partagee", 4),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_the_memory_meant_comes_first(memories: Memories, text: str, expected: int, mode: str) -> None:
    assert memories.found(text, mode=mode)[:1] == [expected]


def test_meaning_alone_finds_what_is_near(memories: Memories) -> None:
    assert memories.found("socket.io reconnect loses the JWT token", mode="dense")[:1] == [1]


def test_reasons_are_given_in_the_words_of_the_query(memories: Memories) -> None:
    (memory, *_) = memories.recall("why does socket.io drop the JWT on reconnect, and the token?").memories
    assert memory.why[0].startswith("matches '")
    assert {"'socket.io'", "'JWT'"} <= set(memory.why[0].removeprefix("matches ").split(", "))
    assert any(reason.startswith("similar meaning (0.") for reason in memory.why)
    assert memory.excerpt.startswith("Send the token")
    assert 0 < memory.score <= 1


def test_whoever_reads_whole_answers_pays_for_no_excerpt(memories: Memories) -> None:
    text = "why does socket.io drop the JWT on reconnect?"
    (with_excerpt, *_), (without, *_) = (
        memories.recall(text, excerpts=each).memories for each in (True, False)
    )
    assert (without.row.id, without.score, without.why) == (
        with_excerpt.row.id,
        with_excerpt.score,
        with_excerpt.why,
    )
    assert with_excerpt.excerpt
    assert not without.excerpt


@pytest.mark.parametrize("text", ["recipe for banana bread", "", "   ", "\x00\ud800"])
@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_nothing_relevant_is_nothing_returned(memories: Memories, text: str, mode: str) -> None:
    found = memories.recall(text, mode=mode)
    assert (found.memories, found.degraded) == ((), None)
    assert found.evidence < EXPLICIT_GATE


def test_unasked_it_is_silent_where_it_would_answer_a_question(memories: Memories) -> None:
    text = "flexbox in Qt Quick"
    assert memories.found(text, mode="lexical") == [2]
    assert memories.found(text, mode="lexical", automatic=True) == []


def test_a_symbol_under_the_cursor_finds_its_identifier(memories: Memories) -> None:
    assert memories.found("getUserName", symbol="getUserName", automatic=True)[:1] == [3]


def test_without_an_embedder_the_words_decide_and_it_says_so(memories: Memories) -> None:
    query = RecallQuery(text="JWT on reconnect", now_ms=NOW)
    found = recall(query, rows=memories, lexical=memories.lexical, dense=None, embedder=None)
    assert [memory.row.row for memory in found.memories] == [1]
    assert found.degraded
    assert "words" in found.degraded


def test_without_a_lexical_index_the_meaning_decides_and_it_says_so(memories: Memories) -> None:
    query = RecallQuery(text="socket.io JWT reconnect token", now_ms=NOW)
    found = recall(query, rows=memories, lexical=None, dense=memories.dense, embedder=memories.embedder)
    assert [memory.row.row for memory in found.memories][:1] == [1]
    assert found.degraded
    assert "meaning" in found.degraded


def test_what_was_captured_a_moment_ago_is_found_at_once(tmp_path: Path) -> None:
    fresh = row(50, "How is the Zanzibar cache warmed?", "By the prefetch job.")
    other = row(51, "An unrelated fresh one", "with words of its own")
    memories = Memories(tmp_path, row(1, "How is the database warmed?", "It is not."), fresh=[fresh, other])
    assert memories.found("Zanzibar cache")[:1] == [50]
    assert memories.found("Zanzibar cache", mode="lexical")[:1] == [50]
    assert 51 not in memories.found("Zanzibar cache")


def test_a_fresh_one_outside_the_scope_is_not_returned(tmp_path: Path) -> None:
    fresh = row(50, "Zanzibar cache", "warm", workspace="/w/b")
    memories = Memories(tmp_path, fresh=[fresh])
    assert memories.found("Zanzibar cache", scope=Scope(workspace="/w/a")) == []
    assert memories.found("Zanzibar cache", scope=Scope(workspace="/w/b")) == [50]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(tool="codex"), [2]),
        (Scope(conversation_id="c1"), [1]),
        (Scope(since=NOW - 2 * DAY), [3]),
        (Scope(until=NOW - 2 * DAY), [1, 2]),
        (Scope(tag="keep"), [3]),
        (Scope(tool="none"), []),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "lexical", "dense"])
def test_the_scope_is_a_hard_condition(tmp_path: Path, scope: Scope, expected: list[int], mode: str) -> None:
    memories = Memories(
        tmp_path,
        row(1, "nginx reverse proxy timeout", "raise proxy_read_timeout", conversation_id="c1"),
        row(2, "nginx reverse proxy buffering", "turn it off for streams", tool="codex"),
        row(3, "nginx reverse proxy headers", "set Host", tags=("keep",), asked_at=NOW - DAY),
    )
    assert sorted(memories.found("nginx reverse proxy", scope=scope, mode=mode)) == expected


def test_of_equals_the_same_file_then_the_same_workspace_comes_first(tmp_path: Path) -> None:
    question = "retry policy of the http client"
    memories = Memories(
        tmp_path,
        row(1, question, "exponential backoff doubled"),
        row(2, question, "exponential backoff jittered", workspace="/w"),
        row(3, question, "exponential backoff capped", workspace="/w", uri="file:///w/http.py"),
    )
    place = Place(uri="file:///w/http.py", workspace="/w")
    found = memories.recall("http client retry policy", place=place).memories
    assert [memory.row.row for memory in found] == [3, 2, 1]
    assert {"same file", "same workspace"} <= set(found[0].why)
    assert "same workspace" not in found[2].why


def test_a_time_named_in_the_query_prefers_and_excludes_nothing(tmp_path: Path) -> None:
    memories = Memories(
        tmp_path,
        row(1, "deploy script of staging", "fails on ssh keys", asked_at=NOW - 200 * DAY),
        row(2, "deploy script of staging", "fails on quotas", asked_at=NOW - DAY),
        row(3, "deploy script of staging", "fails on locks", asked_at=NOW - 40 * DAY),
    )
    found = memories.recall("the deploy script of staging, yesterday").memories
    assert found[0].row.row == 2
    assert "from yesterday, as asked" in found[0].why
    assert len(found) == 3


def test_a_superseded_answer_stands_below_the_current_one_and_is_labelled(tmp_path: Path) -> None:
    old = row(1, "Which port does the gateway use?", "The gateway uses port 8080", superseded_by="id2")
    new = row(2, "Which port does the gateway use?", "Now it is 9090")
    found = (
        Memories(tmp_path, old, new).recall("Which port does the gateway use? The gateway uses port").memories
    )
    assert [memory.row.row for memory in found] == [2, 1]
    assert "superseded by a newer answer" in found[1].why
    assert "superseded by a newer answer" not in found[0].why


def test_repetitions_become_one_the_newest(tmp_path: Path) -> None:
    text = ("How do I clear the npm cache?", "Run npm cache clean --force and install again")
    memories = Memories(tmp_path, *(row(n, *text, asked_at=NOW - n * DAY) for n in (5, 2, 9)))
    (only,) = memories.recall("clear npm cache").memories
    assert only.row.row == 2
    assert "newest of 3 nearly identical memories" in only.why


def test_different_answers_to_one_question_are_kept_apart(tmp_path: Path) -> None:
    memories = Memories(
        tmp_path,
        row(1, "clear npm cache", "Run npm cache clean"),
        row(2, "clear npm cache", "Delete the folder by hand, then reboot twice"),
    )
    assert len(memories.found("clear npm cache")) == 2


def test_a_turn_gains_by_the_turn_beside_it_in_its_conversation_alone(tmp_path: Path) -> None:
    memories = Memories(
        tmp_path,
        row(1, "We adopted a puppy in Lisbon during the holiday", "How lovely", conversation_id="a"),
        row(2, "Her name is Biscuit", "A fine name for a puppy", conversation_id="b", asked_at=NOW),
        row(3, "Her name is Noodle", "A fine name for a puppy", conversation_id="a"),
        row(4, "Nothing else was planned", "Rest well", conversation_id="a"),
    )
    found = memories.recall("name of the puppy adopted in Lisbon on holiday").memories
    assert [memory.row.row for memory in found] == [1, 3, 2]
    assert ["with the turn beside it" in memory.why for memory in found] == [True, True, False]


def test_within_a_conversation_a_weak_match_is_answered_too(tmp_path: Path) -> None:
    memories = Memories(tmp_path, row(1, "nginx timeout behind the proxy", "raise it", conversation_id="c"))
    text = "decided concerning the timeout, bandwidth, quotas, latency"
    assert memories.found(text) == []
    assert memories.found(text, scope=Scope(conversation_id="c")) == [1]
    assert memories.found(text, scope=Scope(conversation_id="c"), automatic=True) == []


def test_limit_and_least_score_hold(memories: Memories) -> None:
    everything = memories.recall("JWT flexbox borrow socket.io div").memories
    assert len(everything) > 1
    assert len(memories.found("JWT flexbox borrow socket.io div", limit=1)) == 1
    bar = everything[0].score - 1e-4
    kept = memories.recall("JWT flexbox borrow socket.io div", min_score=bar).memories
    assert all(memory.score >= bar - 1e-4 for memory in kept)
    assert memories.found("JWT flexbox borrow socket.io div", min_score=1.1) == []


def test_a_memory_forgotten_meanwhile_is_not_returned(memories: Memories) -> None:
    del memories.all[1]
    assert 1 not in memories.found("socket.io JWT reconnect")


def recall_unless(memories: Memories, cancelled: Callable[[], bool]) -> None:
    recall(
        RecallQuery(text="socket.io JWT", now_ms=NOW),
        rows=memories,
        lexical=memories.lexical,
        dense=memories.dense,
        embedder=memories.embedder,
        cancelled=cancelled,
    )


@pytest.mark.parametrize("after", range(6))
def test_a_cancelled_recall_stops_at_the_next_stage(memories: Memories, after: int) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    with pytest.raises(Cancelled):
        recall_unless(memories, cancelled)
    assert asked == after + 1


def test_in_a_large_store_the_meaning_is_looked_up_beside_the_words(
    memories: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = ["socket.io JWT", "JWT flexbox borrow socket.io div", "nothing of the kind"]
    before = [memories.recall(query) for query in queries]
    searched_in: list[str] = []
    search = DenseIndex.search

    def noted(*asked: Any, **named: Any) -> Near:
        searched_in.append(threading.current_thread().name)
        return search(*asked, **named)

    monkeypatch.setattr("remanence.memory.dense._LARGE", 0)
    monkeypatch.setattr(DenseIndex, "search", noted)
    assert [memories.recall(query) for query in queries] == before
    assert len(searched_in) == len(queries)
    assert all(name.startswith("meaning") for name in searched_in)


def test_a_recall_that_is_cancelled_while_it_looks_for_the_meaning_stops(
    memories: Memories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remanence.memory.dense._LARGE", 0)
    with pytest.raises(Cancelled):
        recall_unless(memories, lambda: threading.current_thread().name.startswith("meaning"))


RULES = [
    row(1, "From now on start all function names with q_", "Understood", conversation_id="c"),
    row(2, "Let us talk about the release party", "Gladly", conversation_id="c"),
    row(3, "From now on start all function names with z_", "Noted", conversation_id="c"),
]


def test_a_rule_that_changed_later_stands_below_its_change_and_says_so(tmp_path: Path) -> None:
    first, second = Memories(tmp_path, *RULES).recall("how do function names start").memories[:2]
    assert (first.row.row, second.row.row) == (3, 1)
    assert "changed later in the conversation" in second.why
    assert "changed later in the conversation" not in first.why


def test_a_later_turn_of_another_conversation_changes_nothing(tmp_path: Path) -> None:
    apart = [replace(each, conversation_id=str(each.row)) for each in RULES]
    found = Memories(tmp_path, *apart).recall("how do function names start").memories
    assert not any("changed later in the conversation" in memory.why for memory in found)


def test_a_passage_quoted_word_for_word_is_found_first_and_says_so(tmp_path: Path) -> None:
    words = "the retry budget of the gateway is three attempts per minute"
    shuffled = "per minute the gateway attempts three of the retry is budget the"
    memories = Memories(
        tmp_path, row(1, "How often?", f"Well: {shuffled}."), row(2, "How often?", f"Well: {words}.")
    )
    first, second = memories.recall(words).memories
    assert first.row.row == 2
    assert "says it in the same words" in first.why
    assert "says it in the same words" not in second.why


def test_what_a_long_answer_ends_with_is_found_among_many_that_hold_its_words(tmp_path: Path) -> None:
    tail = "so tell me which of the two you would like to try first"
    shuffled = "first of the two which you try me to like so would tell"
    others = [row(number, f"Berth {number}?", f"{shuffled}. " * 3) for number in range(150)]
    crane = "The harbour crane lifts another container before the tide turns. " * 30
    memories = Memories(tmp_path, *others, row(150, "What does the crane do?", crane + tail))
    first = memories.recall(tail).memories[0]
    assert first.row.row == 150
    assert "says it in the same words" in first.why
