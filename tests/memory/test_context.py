"""What a turn gains by the turns around it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.context import lent_by_neighbours
from remanence.memory.fusion import BOTH, WORDS, Floats
from remanence.memory.rows import Turn

IDF = np.ones(2, dtype=np.float32)
SHORT = 100


def lent(
    turns: dict[int, Turn],
    held: list[list[bool]],
    vectors: Floats | None = None,
    query: Floats | None = None,
) -> list[float]:
    """Of rows 10, 11, 12 …"""
    rowids = np.arange(10, 10 + len(held), dtype=np.int64)
    by = WORDS if vectors is None else BOTH
    held_flags = np.array(held, dtype=np.bool_).reshape(len(held), 2)
    return lent_by_neighbours(rowids, turns, held_flags, IDF, vectors, query, by).tolist()


def conversation(*lengths: int) -> dict[int, Turn]:
    last = 9 + len(lengths)
    return {
        row: Turn(row - 1 if row > 10 else None, row + 1 if row < last else None, length)
        for row, length in enumerate(lengths, start=10)
    }


def test_two_turns_that_hold_the_words_together_both_gain() -> None:
    first, second = lent(conversation(SHORT, SHORT), [[True, False], [False, True]])
    assert first == second > 0


def test_the_same_words_again_add_nothing() -> None:
    assert lent(conversation(SHORT, SHORT), [[True, False], [True, False]]) == [0, 0]


def test_only_neighbours_among_the_candidates_lend() -> None:
    held = [[True, False], [False, True]]
    assert lent({}, held) == [0, 0]
    assert lent({10: Turn(None, 99, SHORT), 11: Turn(98, None, SHORT)}, held) == [0, 0]


def test_of_two_neighbours_the_one_that_adds_more_lends() -> None:
    with_both = lent(conversation(SHORT, SHORT, SHORT), [[True, False], [True, False], [False, True]])
    with_one = lent({11: Turn(None, 12, SHORT)}, [[True, False], [True, False], [False, True]])
    assert with_both[1] == with_one[1] > 0


def test_a_long_turn_takes_less_of_what_is_lent() -> None:
    held = [[True, False], [False, True]]
    short, half, hardly = (lent(conversation(SHORT, length), held)[1] for length in (500, 1000, 100_000))
    assert half == short / 2
    assert 0 < hardly < short / 100


def test_neighbours_that_speak_of_the_question_lend_meaning_and_others_take_some() -> None:
    query = np.array([1, 0, 0], dtype=np.float32)
    turn, about_it, about_else = np.eye(3, dtype=np.float32)[[1, 0, 2]]
    silent = [[False, False], [False, False]]
    assert lent(conversation(SHORT, SHORT), silent, np.stack([turn, about_it]), query)[0] > 0
    assert lent(conversation(SHORT, SHORT), silent, np.stack([about_it, about_else]), query)[0] < 0


def test_a_turn_without_a_vector_yet_is_lent_no_meaning() -> None:
    query = np.array([1, 0], dtype=np.float32)
    vectors = np.array([[0, 0], [1, 0]], dtype=np.float32)
    assert lent(conversation(SHORT, SHORT), [[False, False]] * 2, vectors, query) == [0, 0]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12), st.integers(0, 10**7))
def test_words_lent_make_nobody_lose_and_fill_nobody_beyond_all_words(
    held: list[tuple[bool, bool]], length: int
) -> None:
    gained = lent(conversation(*[length] * len(held)), [list(each) for each in held])
    for (one, other), gain in zip(held, gained, strict=True):
        missing = 1 - (one + other) / 2
        assert -1e-6 <= gain <= WORDS.words_around * missing + 1e-6
