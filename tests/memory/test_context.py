"""What a turn gains by the turns around it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.context import leaning, lent_by_neighbours
from remanence.memory.fusion import Evidence, fused
from remanence.memory.rows import Row

share = st.floats(0, 1, width=32)
IDF = np.ones(2, dtype=np.float32)


def evidence(*candidates: tuple[float, float, float]) -> Evidence:
    columns = np.array(candidates, dtype=np.float32).reshape(-1, 3)
    return Evidence(columns[:, 0], columns[:, 1], columns[:, 2])


def lent(following: dict[int, int], known: Evidence, held: list[list[bool]]) -> list[float]:
    rowids = np.arange(10, 10 + len(held), dtype=np.int64)
    return lent_by_neighbours(rowids, known, np.array(held), IDF, following).tolist()


def test_the_worse_of_two_neighbours_gains_whichever_was_said_first() -> None:
    known, held = evidence((0.3, 0.1, 0.5), (0.6, 0.3, 0.5)), [[True, False], [False, True]]
    first, second = lent({10: 11}, known, held)
    assert first > 0
    assert second == 0
    assert lent({11: 10}, known, held) == [first, second]


def test_words_that_the_neighbour_adds_count_more_than_the_same_ones_again() -> None:
    known = evidence((0.3, 0.2, 0.5), (0.3, 0.2, 0.5))
    # the second of two equals gains
    assert lent({10: 11}, known, [[True, False], [False, True]])[1] > 0
    assert lent({10: 11}, known, [[True, False], [True, False]]) == [0, 0]


def test_only_neighbours_among_the_candidates_lend() -> None:
    known, held = evidence((0.3, 0.1, 0.5), (0.6, 0.3, 0.5)), [[True, False], [False, True]]
    assert lent({}, known, held) == [0, 0]
    assert lent({10: 99, 98: 11}, known, held) == [0, 0]


def test_of_two_neighbours_the_one_that_adds_more_lends() -> None:
    known = evidence((0.5, 0.2, 0.5), (0.3, 0.1, 0.5), (0.7, 0.4, 0.5))
    held = [[True, False]] * 3
    assert lent({10: 11, 11: 12}, known, held)[1] == lent({11: 12}, known, held)[1]


def test_a_long_text_takes_less_of_what_is_lent() -> None:
    def text(length: int) -> Row:
        return Row(row=1, id="i", question="q" * length, answer="", tool="t", created_at=0)

    assert leaning(text(0)) == leaning(text(300)) == 1
    assert leaning(text(1000)) == 0.5
    assert 0 < leaning(text(100_000)) < 0.01


@given(
    st.lists(
        st.tuples(st.floats(-1, 1, width=32), share, st.booleans(), st.booleans()), min_size=2, max_size=12
    )
)
def test_nobody_loses_and_the_best_gains_nothing(
    candidates: list[tuple[float, float, bool, bool]],
) -> None:
    held = [[one, other] for _, _, one, other in candidates]
    known = evidence(*[(cosine, strength, (one + other) / 2) for cosine, strength, one, other in candidates])
    gained = lent({10 + i: 11 + i for i in range(len(held) - 1)}, known, held)
    scores = fused(known)
    assert min(gained) >= -1e-6
    assert gained[int(np.argmax(scores))] <= 1e-6
    assert float((scores + np.array(gained)).max()) <= 1 + 1e-6
