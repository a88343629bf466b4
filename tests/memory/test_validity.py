"""What a later turn changed stands below it, and what it merely mentions stays where it was."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.memory import terms
from remanence.memory.ranking import Ranked
from remanence.memory.rows import Row
from remanence.memory.validity import earlier_below_later

ASKED = "which colour do the harbour buoys get"
ASIDE = "The ferry leaves at noon and the pier is quiet; nothing else happened this week. " * 5


def ordered(*turns: str, conversations: str = "", scores: tuple[float, ...] = (0.8, 0.7)) -> list[int]:
    """The turns' numbers after the rule, of one conversation and of near meaning; ranked as given."""
    query = terms.query_stems(ASKED)
    texts = [set(terms.stems(turn)) for turn in turns]
    held = np.array([[term in text for term in query] for text in texts])
    ranked = [
        Ranked(
            Row(
                row=number,
                id=str(number),
                question=turn,
                answer="Noted.",
                tool="t",
                created_at=number,
                conversation_id=conversations[number] if conversations else "c",
            ),
            score,
            number,
        )
        for number, (turn, score) in enumerate(zip(turns, scores, strict=True))
    ]
    idf = np.ones(len(query), dtype=np.float32)
    vectors = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (len(turns), 1))
    return [each.row.row for each in earlier_below_later(ranked, held, query, idf, vectors)]


def test_a_change_said_in_the_words_of_the_earlier_rule_goes_above_it() -> None:
    assert ordered("The harbour buoys get a red colour", "From now on the colour of buoys is green") == [0, 1]
    assert ordered("The buoys get a red colour", "From now on the harbour buoys get a green colour") == [1, 0]


def test_a_long_turn_that_speaks_of_change_elsewhere_changes_nothing() -> None:
    apart = f"We changed the timetable. {ASIDE} And the harbour buoys get a green colour, I read"
    assert ordered("The harbour buoys get a red colour", apart) == [0, 1]
    near = f"{ASIDE} We changed it, the harbour buoys get a green colour. {ASIDE}"
    assert ordered("The harbour buoys get a red colour", near) == [1, 0]


def test_the_latest_of_several_changes_comes_first() -> None:
    turns = [f"From now on the harbour buoys get a {colour} colour" for colour in ("red", "green", "white")]
    assert ordered(*turns, scores=(0.8, 0.75, 0.7)) == [2, 1, 0]


@pytest.mark.parametrize(
    ("conversations", "score"), [("ab", 0.7), ("aa", 0.5)], ids=["another conversation", "answers worse"]
)
def test_what_is_apart_or_answers_worse_changes_nothing(conversations: str, score: float) -> None:
    later = "From now on the harbour buoys get a green colour"
    found = ordered(
        "The harbour buoys get a red colour", later, conversations=conversations, scores=(0.8, score)
    )
    assert found == [0, 1]


def test_a_turn_that_stands_far_down_is_not_brought_up() -> None:
    rule, later = "The harbour buoys get a red colour", "From now on the harbour buoys get a green colour"
    between = ["The harbour buoys"] * 19
    scores = tuple(0.8 - 0.001 * place for place in range(21))
    assert ordered(rule, *between[:-1], later, scores=scores[:20])[0] == 19
    assert ordered(rule, *between, later, scores=scores)[0] == 0
