"""What a language model adds to a dataset: only what can be checked against the fact."""

from __future__ import annotations

import jsonschema
import pytest
from test_dataset import fact

from remanence.training.paraphrases import checked, request, schema
from remanence.training.samples import never_learned, samples_of

PORT = fact("billing-api", "8443")
GOOD = ("On which port should I reach billing-api?", "You reach billing-api on port 8443.")


def said(*pairs: tuple[str, str]) -> dict[str, list[dict[str, str]]]:
    return {"samples": [{"question": question, "answer": answer} for question, answer in pairs]}


def test_another_way_to_ask_is_learned_as_a_paraphrase_of_its_fact() -> None:
    (sample,) = checked(said(GOOD), PORT)
    assert (sample.question, sample.answer, sample.form, sample.facts) == (*GOOD, "paraphrase", (PORT.id,))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("On which port should I reach billing-api?", "You reach billing-api on port 8444."),
        ("On which port should I reach billing-api?", "I do not know."),
        ("On which port should I reach it?", "You reach billing-api on port 8443."),
        ("Is billing-api reached on port 8443?", "Yes, billing-api is on port 8443."),
        ("On which port should I reach billing-api?", "Use port 8443 of billing-api, or 9000."),
        ("On which port should I reach billing-api?", "Kubernetes has billing-api on port 8443."),
        ("On which port does Anna reach billing-api?", "You reach billing-api on port 8443."),
        ("", "You reach billing-api on port 8443."),
        ("On which port should I reach billing-api? " * 9, "You reach billing-api on port 8443."),
    ],
    ids=[
        "other value",
        "no value",
        "no subject",
        "value given away",
        "number",
        "name",
        "person",
        "none",
        "long",
    ],
)
def test_what_cannot_be_checked_is_not_learned(question: str, answer: str) -> None:
    assert checked(said((question, answer)), PORT) == []


def test_a_verb_at_the_beginning_is_no_name() -> None:
    pair = ("Reaching billing-api, which port do I open?", "Open 8443 for billing-api.")
    assert len(checked(said(pair), PORT)) == 1


def test_no_question_that_is_only_asked_and_none_twice() -> None:
    asked = never_learned(PORT)
    learned = [each.question for each in samples_of(PORT)]
    answer = "billing-api is on port 8443."
    pairs = [(each.upper(), answer) for each in (*asked, *learned)] + [GOOD, GOOD]
    assert [each.question for each in checked(said(*pairs), PORT)] == [GOOD[0]]
    assert checked(said(GOOD), PORT, taken=[GOOD[0].lower()]) == []


OTHER_SHAPES: list[object] = [None, [], "text", {}, {"samples": [{}]}]


@pytest.mark.parametrize("answer", OTHER_SHAPES)
def test_an_answer_of_another_shape_gives_none(answer: object) -> None:
    assert checked(answer, PORT) == []


def test_a_user_s_own_preference_need_not_name_the_user() -> None:
    likes = fact("p1", "tabs", topic="preference", subject="user")
    (sample,) = checked(said(("How should the code be indented?", "With tabs.")), likes)
    assert sample.facts == ("p1",)


def test_the_model_is_told_the_fact_and_what_shape_to_answer_in() -> None:
    assert "8443" in request(PORT, 3)
    jsonschema.validate(said(GOOD), schema(3))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(said(GOOD, GOOD, GOOD, GOOD), schema(3))
