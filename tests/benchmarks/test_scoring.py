"""The figures of the quality benchmark, on rankings small enough to score by hand; and its own questions."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import numpy as np
import pytest
from evaluation_sets import DEMO, ROOT, Question, first_of_same, half_of, load, read_lines, sample
from scoring import below, difference, means, ordered_pairs, per_query

QUESTIONS = ROOT / "tests" / "benchmarks" / "demo_queries.jsonl"


NONE: frozenset[int] = frozenset()


def _question(relevant: Set[int], current: Set[int] = NONE, stale: Set[int] = NONE) -> Question:
    chosen = [frozenset(each) for each in (relevant, current, stale)]
    return Question("q", "text", "type", chosen[0], current=chosen[1], stale=chosen[2])


def test_recall_hits_and_reciprocal_rank_count_the_first_ten_only() -> None:
    ranked = [9, 1, 8, 7, 6, 2, 5, 4, 3, 0, 11]
    values = per_query([ranked, [5]], [_question({1, 2, 11}), _question({1})])
    assert values.tolist() == [[1 / 3, 2 / 3, 1, 1 / 2], [0, 0, 0, 0]]
    assert means(values) == {"R@5": 0.1667, "R@10": 0.3333, "hit@10": 0.5, "MRR": 0.25}


def test_rows_that_say_the_same_count_as_one() -> None:
    first_of_same = [0, 1, 0, 3]  # the third says what the first says
    assert per_query([[1, 2]], [_question({0, 2})], first_of_same).tolist() == [[1, 1, 1, 1 / 2]]
    assert per_query([[0, 2, 3]], [_question({3, 2})], first_of_same).tolist() == [[1, 1, 1, 1]]
    assert per_query([[0, 2, 3]], [_question({3})], first_of_same).tolist() == [[1, 1, 1, 1 / 2]]
    assert per_query([[1, 3]], [_question({2})], first_of_same).tolist() == [[0, 0, 0, 0]]


def test_the_same_is_the_same_word_for_word() -> None:
    rows = load(DEMO, None).rows
    again = replace(rows[3], row=len(rows), id="again", answer=rows[3].answer + "\n")
    other = replace(rows[3], row=len(rows) + 1, id="other", answer=rows[3].answer + " Also so.")
    numbers = list(range(len(rows)))
    assert first_of_same([*rows, again, other]) == [*numbers, 3, len(rows) + 1]


@pytest.mark.parametrize(
    ("rows", "right"),
    [([1, 2], 1), ([2, 1], 0), ([1], 1), ([2], 0), ([], 0), ([5, 1, 6], 1)],
    ids=["above", "below", "stale missing", "current missing", "both missing", "among others"],
)
def test_the_current_one_must_be_there_and_above(rows: list[int], right: int) -> None:
    assert ordered_pairs(rows, _question({1, 2}, {1}, {2})) == (right, 1)


def test_every_pair_of_current_and_stale_counts() -> None:
    assert ordered_pairs([1, 3, 2, 4], _question({1}, {1, 2}, {3, 4})) == (3, 4)


def test_a_difference_of_chance_is_noise_and_a_steady_one_is_not() -> None:
    draws = np.random.default_rng(1).random((2, 200))
    assert difference(draws[0], draws[1]).is_noise
    steady = difference(draws[0] - 0.1, draws[0])
    assert steady.mean == -0.1
    assert not steady.is_noise


def test_below_names_the_systems_with_a_higher_mean_only() -> None:
    recall = np.array([1.0, 0.0, 1.0])
    others = {"same": recall, "less": recall * 0, "more": recall * 0 + 1}
    assert list(below(recall, others)) == ["more"]


def test_halves_and_samples_never_change() -> None:
    assert "".join(half_of(f"q{i}") for i in range(8)) == "ABAABABB"
    assert sample(range(1000), 4) == [459, 206, 222, 162]
    assert sample(range(3), None) == [0, 1, 2]


def test_every_demo_question_names_exchanges_that_exist() -> None:
    known = {row.id for row in load(DEMO, None).rows}
    queries = list(read_lines(QUESTIONS))
    named = {each for query in queries for each in [*query["relevant_ids"], *query.get("stale_ids", ())]}
    assert named == known
    assert len({query["qid"] for query in queries}) == len(queries)
    assert all(bool(query["relevant_ids"]) == query.get("answerable", True) for query in queries)


def test_what_replaced_a_stale_exchange_is_not_stale_itself() -> None:
    for question in load(DEMO, None).questions:
        assert not question.current & question.stale
        assert question.current <= question.relevant
