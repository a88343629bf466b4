"""How answers are counted, and a real model asked with and without its adapter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.training.evaluation import (
    Answered,
    Question,
    decision_in,
    declines,
    holds,
    scores,
    word_f1,
    words,
)


def answered(expected: str, answer: str, **fields: object) -> Answered:
    return Answered(Question(question="?", expected=expected, kind="paraphrase", **fields), answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("The port is 8081.", "8081"),
        ("C'est à Évry-sud", "evry sud"),
        ("KEEPALIVE=30", "keepalive"),
        ("Postgres  16", "postgres 16"),
    ],
)
def test_a_value_is_found_whatever_its_case_accents_and_punctuation(answer: str, value: str) -> None:
    assert holds(answer, value)


@pytest.mark.parametrize(("answer", "value"), [("18081", "8081"), ("16 postgres", "postgres 16"), ("x", "")])
def test_half_a_word_or_another_order_is_no_value(answer: str, value: str) -> None:
    assert not holds(answer, value)


@pytest.mark.parametrize(
    "answer",
    ["I don't know.", "That was never mentioned.", "Je ne sais pas", "No lo sé.", "Das weiß ich nicht."],
)
def test_declining_is_understood_in_four_languages(answer: str) -> None:
    assert declines(answer)


def test_an_answer_is_no_declining() -> None:
    assert not declines("The service uses port 8081.")


def test_the_old_value_counts_as_stale_unless_it_is_said_to_hold_no_more() -> None:
    assert answered("9000", "It is 8081.", stale="8081").is_stale
    assert not answered("9000", "8081 no longer holds, it is 9000.", stale="8081").is_stale
    assert not answered("9000", "It is 9000.", stale="8081").is_stale


@given(st.text(max_size=60))
def test_every_text_is_like_itself(text: str) -> None:
    assert word_f1(text, text) == (1.0 if words(text) else 0.0)


@given(st.text(max_size=40), st.text(max_size=40))
def test_likeness_has_no_direction(one: str, other: str) -> None:
    assert word_f1(one, other) == pytest.approx(word_f1(other, one))
    assert 0 <= word_f1(one, other) <= 1


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ('{"action": "delete", "reason": "gone"}', "delete"),
        ('{"action": "delete"}', None),
        ('{"action": "delete", "reason": "gone"} as I said', None),
        ("delete", None),
        ('["delete"]', None),
        ('{"action": 1}', None),
    ],
)
def test_a_decision_is_read_from_json_alone(said: str, action: str | None) -> None:
    assert decision_in(said) == action


def test_a_score_says_how_sure_it_is() -> None:
    score = scores([answered("1", "1")] * 30 + [answered("1", "2")] * 10)["paraphrase"]
    assert (score.n, score.exact) == (40, 0.75)
    assert score.low < 0.75 < score.high


def test_decisions_are_counted_by_action() -> None:
    questions = [Question(question="?", expected=action, kind="decision") for action in ("delete", "ignore")]
    said = ['{"action": "delete", "reason": ""}', "no JSON"]
    score = scores([Answered(each, text) for each, text in zip(questions, said, strict=True)])["decision"]
    assert score.valid == 0.5
    assert score.decision_f1 == 0.5
