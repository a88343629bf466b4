"""The reranker's part in the order, with rerankers that judge by one word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from remanence.memory.dense import Cancelled, never
from remanence.memory.ranking import Ranked
from remanence.memory.reranking import NotReranked, reranked
from remanence.memory.rows import Row


class ByWord:
    """Relevant is what says "verified"; it stops with words after `patience` passages."""

    def __init__(self, patience: int = 1000) -> None:
        self.patience = patience
        self.queries: list[str] = []
        self.read: list[str] = []

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        if len(self.read) + len(passages) > self.patience:
            raise NotReranked("reranker was too slow")
        self.queries.append(query)
        self.read += passages
        return np.array([0.9 if "verified" in passage else 0.1 for passage in passages], dtype=np.float32)


def row(number: int, answer: str = "an answer", question: str = "a question") -> Row:
    return Row(row=number, id=f"id{number}", question=question, answer=answer, tool="manual", created_at=0)


def ranked(*answers: str, best: float = 0.8) -> list[Ranked]:
    """Memories in order, each .01 below the one before."""
    return [Ranked(row(i, answer), best - i / 100, i, ("matches 'x'",)) for i, answer in enumerate(answers)]


def order(found: Sequence[Ranked]) -> list[int]:
    return [each.row.row for each in found]


def test_what_is_judged_relevant_comes_first_and_says_so() -> None:
    found = reranked(ranked("one", "two", "three, verified"), "how?", (), ByWord(), never)
    assert order(found.ranked) == [2, 0, 1]
    assert found.ranked[0].why == ("matches 'x'", "judged relevant by the reranker")
    assert found.ranked[1].why == ("matches 'x'",)
    assert found.without is None


def test_a_much_better_match_is_not_outvoted_by_a_slightly_better_judgement() -> None:
    class Slightly:
        def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
            return np.linspace(0.5, 0.6, len(passages)).astype(np.float32)

    first, second = row(1), row(2)
    found = reranked([Ranked(first, 0.9, 0), Ranked(second, 0.3, 1)], "how?", (), Slightly(), never)
    assert order(found.ranked) == [1, 2]


def test_scores_stay_between_those_of_both_sides() -> None:
    found = reranked(ranked("verified", "other"), "how?", (), ByWord(), never)
    for each, (first, judged) in zip(found.ranked, ((0.8, 0.9), (0.79, 0.1)), strict=True):
        assert min(first, judged) < each.score < max(first, judged)


def test_what_lies_too_deep_to_be_judged_stays_below_and_keeps_its_order() -> None:
    reranker = ByWord()
    found = reranked(ranked(*["other"] * 30, *["verified"] * 20), "how?", (), reranker, never)
    assert len(reranker.read) == 30
    assert order(found.ranked) == list(range(50))


def test_a_single_memory_needs_no_judge() -> None:
    reranker = ByWord(patience=0)
    assert order(reranked(ranked("one"), "how?", (), reranker, never).ranked) == [0]
    assert reranked([], "how?", (), reranker, never).without is None


def test_a_reranker_that_cannot_judge_changes_nothing_and_says_why() -> None:
    before = ranked("one", "verified")
    found = reranked(before, "how?", (), ByWord(patience=0), never)
    assert found.ranked == before
    assert found.without == "reranker was too slow"


def test_what_was_judged_before_it_stopped_counts() -> None:
    before = ranked(*["other"] * 9, "verified", *["verified"] * 10)
    found = reranked(before, "how?", (), ByWord(patience=12), never)
    assert order(found.ranked) == [9, *range(9), *range(10, 20)]
    assert found.without == "reranker was too slow (reranked: 10 of 20)"


def test_judging_ends_when_nobody_waits_any_more() -> None:
    reranker = ByWord()
    with pytest.raises(Cancelled):
        reranked(ranked(*["other"] * 30), "how?", (), reranker, lambda: len(reranker.read) >= 10)
    assert 10 <= len(reranker.read) < 20


def test_a_long_answer_is_judged_by_the_part_that_is_asked_about() -> None:
    answer = f"{'Nothing of note. ' * 150}The socket was verified at noon. {'More of nothing. ' * 400}"
    reranker = ByWord()
    found = reranked(
        [Ranked(row(1, "other"), 0.6, 0), Ranked(row(2, answer, "what? " * 300), 0.5, 1)],
        "socket " * 10_000,
        ("socket",),
        reranker,
        never,
    )
    assert order(found.ranked) == [2, 1]
    assert max(map(len, reranker.read)) <= 1200
    assert max(map(len, reranker.queries)) <= 2000


def test_a_short_memory_is_read_whole() -> None:
    reranker = ByWord()
    first = row(1, "Line one.\n\n```py\nx = 1\n```\nLast line.", "Why?")
    reranked([Ranked(first, 0.6, 0), Ranked(row(2), 0.5, 1)], "how?", ("x",), reranker, never)
    assert reranker.read[0] == "Why?\nLine one.\n\n```py\nx = 1\n```\nLast line."


@given(
    st.lists(st.tuples(st.floats(0, 1.2), st.sampled_from(["verified", "other", ""])), max_size=60),
    st.integers(0, 70),
)
def test_nothing_is_lost_and_what_is_not_judged_never_passes_what_is(
    memories: list[tuple[float, str]], patience: int
) -> None:
    best_first = sorted(memories, key=lambda each: -each[0])
    before = [Ranked(row(i, answer), score, i) for i, (score, answer) in enumerate(best_first)]
    reranker = ByWord(patience)
    after = reranked(before, "how?", (), reranker, never).ranked
    assert sorted(order(after)) == list(range(len(before)))
    assert [each.score for each in after] == sorted((each.score for each in after), reverse=True)
    judged = len(reranker.read)
    assert sorted(order(after)[:judged]) == list(range(judged))
    assert order(after)[judged:] == list(range(judged, len(before)))
