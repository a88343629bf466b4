"""What of an exchange gets a vector of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.units import MOST_UNITS, pieces

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "


def test_a_short_exchange_stays_whole() -> None:
    assert pieces("How?", "So.") == ("How?\nSo.",)
    assert pieces("q", "a" * 998) == ("q\n" + "a" * 998,)
    assert pieces("", "") == ("\n",)


def test_a_long_exchange_is_followed_by_its_question_and_the_pieces_of_its_answer() -> None:
    answer = SENTENCE * 30
    whole, question, *rest = pieces("What does the fox do?", answer)
    assert (whole, question) == (f"What does the fox do?\n{answer}", "What does the fox do?")
    assert len(rest) == 3
    assert all(600 < len(piece) <= 800 and piece.endswith(".") for piece in rest[:-1])


def test_an_empty_part_gives_no_piece() -> None:
    assert pieces(" \n", "a" * 1000)[1:] == ("a" * 1000,)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a" * 500 + "\n\n" + "b" * 100 + "\n" + "c. " * 200, "a" * 500),
        ("a" * 600 + "\n" + "b. " * 200, "a" * 600),
        ("a" * 600 + ". " + "b c " * 200, "a" * 600 + "."),
        ("a" * 300 + "\n\n" + "b" * 300 + " " + "c" * 900, "a" * 300 + "\n\n" + "b" * 300),
        ("a" * 2000, "a" * 800),
    ],
)
def test_a_piece_ends_where_something_ends(text: str, first: str) -> None:
    assert pieces("", text)[1] == first


def test_what_is_said_across_a_cut_is_whole_in_one_of_the_pieces() -> None:
    words = " ".join(f"word{i:04d}" for i in range(400))
    _, *parts = pieces("", words)
    for i in range(390):
        said = " ".join(f"word{j:04d}" for j in range(i, i + 10))
        assert any(said in part for part in parts)


@pytest.mark.parametrize("filling", ["x", "no end ", SENTENCE, "line\n"])
def test_of_an_enormous_text_the_beginning_and_the_end_are_kept(filling: str) -> None:
    text = "Begin here. " + filling * (300_000 // len(filling)) + " It ends here."
    units = pieces("A question", text)
    assert len(units) == MOST_UNITS
    assert units[1] == "A question"
    assert units[2].startswith("Begin here.")
    assert units[-1].endswith("It ends here.")


def test_of_an_enormous_question_the_answer_is_kept() -> None:
    units = pieces("x " * 200_000, "The answer is here.")
    assert len(units) == MOST_UNITS
    assert units[-1] == "The answer is here."


@given(st.lists(st.sampled_from([" ", " ", " ", "\n", "\n\n", ". ", "  \n"]), min_size=1, max_size=2000))
def test_pieces_are_bounded_and_leave_no_word_out(ends: list[str]) -> None:
    words = [f"word{i}" for i in range(len(ends))]
    answer = "".join(word + end for word, end in zip(words, ends, strict=True))
    _, *parts = pieces("", answer)
    assert bool(parts) == (len(answer) >= 1000)
    assert all(len(part) <= (1000 if len(parts) == 1 else 800) for part in parts)
    assert all(part and part.strip() == part for part in parts)
    if parts:
        assert {word.strip(".") for part in parts for word in part.split()} >= set(words)


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 200), st.integers(0, 200))
def test_any_text_is_cut(some: str, other: str, times: int, more: int) -> None:
    whole, *parts = pieces(other * more, some * times)
    assert whole == f"{other * more}\n{some * times}"
    assert len(parts) < MOST_UNITS
    assert all(part in whole and len(part) <= 1000 for part in parts)


def test_a_text_without_a_space_is_cut_to_pieces_that_join_to_it() -> None:
    text = "".join(f"{i:05d}" for i in range(4000))
    assert "".join(pieces("", text)[1:]) == text
