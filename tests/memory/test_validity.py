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


def ordered(
    *turns: str,
    asked: str = ASKED,
    answers: tuple[str, ...] = (),
    conversations: str = "",
    scores: tuple[float, ...] = (0.8, 0.7),
) -> list[int]:
    """The turns' numbers after the rule, of one conversation and of near meaning; ranked as given."""
    ranked = placed(*turns, asked=asked, answers=answers, conversations=conversations, scores=scores)
    return [each.row.row for each in ranked]


def placed(
    *turns: str,
    asked: str = ASKED,
    answers: tuple[str, ...] = (),
    conversations: str = "",
    scores: tuple[float, ...] = (0.8, 0.7),
) -> list[Ranked]:
    """The same turns with what the rule says of them."""
    query = terms.query_stems(asked)
    answers = answers or ("Noted.",) * len(turns)
    texts = [set(terms.stems(f"{turn} {answer}")) for turn, answer in zip(turns, answers, strict=True)]
    held = np.array([[term in text for term in query] for text in texts])
    ranked = [
        Ranked(
            Row(
                row=number,
                id=str(number),
                question=turn,
                answer=answers[number],
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
    return earlier_below_later(ranked, held, query, idf, vectors)


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


COLUMNS = "how do column names in the billing tables start"


@pytest.mark.parametrize(
    ("asked", "rule", "later"),
    [
        (
            COLUMNS,
            "Always start column names with 'bi_' please.",
            "For column names, please start them with 'inv_'.",
        ),
        (
            COLUMNS,
            "When naming columns, start the name with bi_.",
            "Column names must start with inv_, says Ana.",
        ),
        (
            "how many spaces do we indent templates with",
            "I'd like you to indent templates with two spaces. They are deep.",
            "About the templates: make sure you indent them with four spaces.",
        ),
        (
            "which branch do hotfixes start from",
            "Hotfixes should start from the branch that is live.",
            "Scrap that. Hotfixes start from the branch main.",
        ),
        (
            "par quoi commencent les noms de branches",
            "Les noms de branches doivent commencer par ticket/.",
            "Désormais les noms de branches commencent par equipe/.",
        ),
        (
            "por dónde empiezan los nombres de las ramas",
            "Los nombres de las ramas siempre empiezan por ticket/.",
            "A partir de ahora los nombres de las ramas empiezan por equipo/.",
        ),
        (
            "womit beginnen die Namen der Zweige",
            "Namen der Zweige beginnen bitte immer mit ticket/.",
            "Die Namen der Zweige müssen mit team/ beginnen.",
        ),
    ],
)
def test_a_rule_that_is_said_anew_goes_above_the_one_before_it(asked: str, rule: str, later: str) -> None:
    assert ordered(rule, later, asked=asked) == [1, 0]


@pytest.mark.parametrize(
    ("asked", "rule", "later"),
    [
        (COLUMNS, "Column names must start with 'bi_'.", "Column owner names must start with 'team_'."),
        (COLUMNS, "Column names must start with 'bi_'.", "Index names must start with 'ix_'."),
        (COLUMNS, "Column names must start with 'bi_'.", "Must column names start with a letter?"),
        (COLUMNS, "Column names must start with 'bi_'.", "I have never seen column names start like that."),
        (COLUMNS, "Column names must start with 'bi_'.", "I need to read up on why column names start so."),
        (COLUMNS, "Column names start with 'bi_' here.", "Column names start with 'inv_' there."),
        (
            "which check do handlers get",
            "Always add the check for tenants to handlers.",
            "Always add the check for quotas to handlers.",
        ),
        (
            "which check do handlers get",
            "Please include the check for tenants in all handlers.",
            "From now on, include the check for quotas in all handlers.",
        ),
    ],
    ids=[
        "of something else",
        "of others",
        "asked",
        "seen",
        "needed",
        "no rule",
        "added",
        "added from now on",
    ],
)
def test_a_rule_that_still_holds_stays_where_it_is(asked: str, rule: str, later: str) -> None:
    assert ordered(rule, later, asked=asked) == [0, 1]


def test_letters_that_grow_in_lower_case_move_no_rule() -> None:
    before = "İ" * 60 + ". "
    rule, later = "Column names must start with 'bi_'.", "Column names must start with 'inv_'."
    assert ordered(before + rule, before + later, asked=COLUMNS) == [1, 0]


def test_what_is_added_instead_of_something_takes_its_place() -> None:
    rule, later = (
        "Always add the tenant check to handlers.",
        "Please add the quota check to handlers instead.",
    )
    assert ordered(rule, later, asked="which check do handlers get") == [1, 0]


def test_what_an_answer_recommends_is_no_rule() -> None:
    advice = ("You should always start column names with bi_.", "Always start column names with inv_.")
    assert ordered("And columns?", "And columns?", asked=COLUMNS, answers=advice) == [0, 1]


def test_words_beside_a_rule_and_the_value_that_it_quotes_need_not_be_said_again() -> None:
    asked = "which value starts column names in the billing tables"
    rule = "The billing tables are old. Always start column names with 'value_' or `billing_`."
    assert ordered(rule, "Please start column names with 'inv_'.", asked=asked) == [1, 0]


def test_of_a_rule_that_changed_twice_each_earlier_version_says_so_once() -> None:
    turns = [f"Column names must start with '{start}_'." for start in ("bi", "inv", "pay")]
    found = placed(*turns, asked=COLUMNS, scores=(0.8, 0.75, 0.7))
    assert [each.row.row for each in found] == [2, 1, 0]
    assert [each.why for each in found] == [(), *[("changed later in the conversation",)] * 2]
