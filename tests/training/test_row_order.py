"""Rows of like length together: every row once, always the same, few padded, no kind always first."""

from __future__ import annotations

import random

from remanence.training.row_order import by_length

AT_ONCE = 16
# as a dataset with memories has them: three of four bare, some behind a block
LENGTHS = [random.Random(number).choice([18, 22, 26, 200 + number % 90]) for number in range(421)]


def padded(order: list[int]) -> int:
    """The tokens that are computed, padding among them."""
    batches = [order[start : start + AT_ONCE] for start in range(0, len(order), AT_ONCE)]
    return sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)


def test_every_row_comes_once_and_a_seed_gives_the_same_order() -> None:
    for count in (0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, len(LENGTHS)):
        order = by_length(LENGTHS[:count], AT_ONCE, "0 0")
        assert sorted(order) == list(range(count))
        assert order == by_length(LENGTHS[:count], AT_ONCE, "0 0")
    assert by_length(LENGTHS, AT_ONCE, "0 0") != by_length(LENGTHS, AT_ONCE, "0 1")


def test_few_rows_are_padded_to_a_long_one() -> None:
    at_random = padded(random.Random(0).sample(range(len(LENGTHS)), len(LENGTHS)))
    assert padded(by_length(LENGTHS, AT_ONCE, "0 0")) < 0.55 * at_random
    assert sum(LENGTHS) < padded(by_length(LENGTHS, AT_ONCE, "0 0")) < 1.6 * sum(LENGTHS)


def test_an_epoch_begins_with_long_rows_as_often_as_they_are_many() -> None:
    first = [by_length(LENGTHS, AT_ONCE, f"0 {epoch}")[0] for epoch in range(200)]
    share = sum(length >= 200 for length in LENGTHS) / len(LENGTHS)
    assert abs(sum(LENGTHS[row] >= 200 for row in first) / len(first) - share) < 0.15
