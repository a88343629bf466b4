"""Which turn of a conversation says what is asked in one sentence, where others hold the same words apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_recall import Memories, row

from remanence.memory import terms
from remanence.memory.one_place import said_at_one_place
from remanence.memory.ranking import Ranked
from remanence.memory.rows import Row, Scope

WHY = "says much of it in one sentence"
QUERY = "Which suffix do the migration files get?"
APART = "Run the migration first. Put the suffix away. The files are kept."
TOGETHER = "Thanks! Migration files get the suffix _v2. See you."


def ranked(*turns: str | tuple[str, str]) -> list[Ranked]:
    """Turns with these questions, or questions and answers, each a little below the one before."""
    sides = [(turn, "") if isinstance(turn, str) else turn for turn in turns]
    return [
        Ranked(
            Row(row=i, id=f"id{i}", question=question, answer=answer, tool="t", created_at=0),
            0.5 - i / 200,
            i,
        )
        for i, (question, answer) in enumerate(sides)
    ]


def judged(*turns: str | tuple[str, str], query: str = QUERY) -> list[Ranked]:
    wanted = terms.query_stems(query)
    return said_at_one_place(ranked(*turns), wanted, np.ones(len(wanted), dtype=np.float32))


def order(*turns: str | tuple[str, str]) -> list[int]:
    return [each.row.row for each in judged(*turns)]


@pytest.mark.parametrize(
    "turn",
    [TOGETHER, ("Noted?", TOGETHER), "Thanks!\nMigration files: suffix _v2\nSee you"],
    ids=["in the question", "in the answer", "in a line"],
)
def test_the_turn_that_says_it_in_one_sentence_comes_first(turn: str | tuple[str, str]) -> None:
    assert order(APART, turn) == [1, 0]


def test_a_question_and_its_answer_are_two_places() -> None:
    assert order(("The migration files?", "They get a suffix."), TOGETHER) == [1, 0]


def test_rare_words_of_the_query_tell_more_than_common_ones() -> None:
    wanted = terms.query_stems("files lost suffix")
    turns = ranked("The files are lost.", "A suffix.")
    for idf, first in (([1, 1, 5], 1), ([1, 1, 1], 0)):
        assert said_at_one_place(turns, wanted, np.array(idf, dtype=np.float32))[0].row.row == first


def test_the_one_that_gains_says_why() -> None:
    first, second = judged(APART, TOGETHER)
    assert WHY in first.why
    assert second.why == ()


def test_a_turn_too_long_to_be_read_gains_what_the_others_do_on_average() -> None:
    before = ranked(APART, TOGETHER, TOGETHER + " And so on." * 400)
    after = {each.row.row: each for each in judged(*(each.row.question for each in before))}
    apart, together, long = (after[i].score - before[i].score for i in range(3))
    assert apart < long < together
    assert long == pytest.approx((apart + together) / 2)
    assert after[2].why == ()


@pytest.mark.parametrize(
    ("turns", "wanted"),
    [((APART, TOGETHER), ()), ((TOGETHER,), ("suffix",)), ((), ("suffix",)), (("", "…"), ("suffix",))],
    ids=["no words", "a single turn", "none", "turns without words"],
)
def test_elsewhere_nothing_moves(turns: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    before = ranked(*turns)
    assert said_at_one_place(before, wanted, np.ones(len(wanted), dtype=np.float32)) == before


def test_turns_that_say_the_same_stay_in_order() -> None:
    assert order(TOGETHER, TOGETHER, TOGETHER) == [0, 1, 2]


def test_a_recall_in_one_conversation_judges_by_sentences_and_one_in_all_does_not(tmp_path: Path) -> None:
    memories = Memories(
        tmp_path,
        row(1, f"{TOGETHER} The bakery opens at nine, bring bread.", "Fine", conversation_id="c"),
        row(2, APART, "Fine", conversation_id="c"),
    )
    inside = memories.recall(QUERY, scope=Scope(conversation_id="c")).memories
    everywhere = memories.recall(QUERY).memories
    assert [each.row.row for each in inside if WHY in each.why] == [1]
    assert not any(WHY in each.why for each in everywhere)
    gap = {
        name: found[0].score - found[1].score if found[0].row.row == 1 else found[1].score - found[0].score
        for name, found in (("inside", inside), ("everywhere", everywhere))
    }
    assert gap["inside"] > gap["everywhere"]
    by_meaning = memories.recall(QUERY, scope=Scope(conversation_id="c"), mode="dense").memories
    assert not any(WHY in each.why for each in by_meaning)
