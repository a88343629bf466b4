"""JSON under a schema: from a real model that is held to it, and from ones that have to be told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from generating import never
from jsonschema import validate

import tiny_llama
from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    ChatMessage,
    Generation,
    Infill,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.structured import first_json, generate_json
from remanence.models.transformers_backend import TransformersModel, load

# What facts ask for.
DECISION: dict[str, object] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "action": {"const": "update"},
                "text": {"type": "string", "minLength": 1, "maxLength": 60},
            },
            "required": ["action", "text"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"action": {"enum": ["delete", "ignore"]}},
            "required": ["action"],
            "additionalProperties": False,
        },
    ]
}
GOOD = '{"action": "delete"}'


class Teller:
    """Says what it was given to say, one after the other, and remembers what it was asked."""

    def __init__(self, *answers: str, constrained: bool = False, finish: str = "stop", window: int = 10_000):
        self.capabilities = Capabilities(context=window, constrained=constrained)
        self.asked: list[Generation] = []
        self._answers = list(answers)
        self._finish: Any = finish
        self._window = window

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        if sum(len(message.content) for message in asked.messages) > self._window:
            raise LanguageModelError("The prompt does not fit.")
        self.asked.append(asked)
        if cancelled():
            yield Usage(finish="cancelled")
            return
        text = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        yield from text
        yield Usage(written_tokens=len(text), finish=self._finish if text != GOOD else "stop")

    def count_tokens(self, text: str) -> int:
        return len(text)

    def use_adapter(self, path: str | None) -> None:
        raise LanguageModelError("no")

    def close(self) -> None:
        """Nothing."""


def decide(**options: Any) -> Generation:
    return Generation(messages=(ChatMessage("user", "decide"),), json_schema=DECISION, **options)


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    return load(LoadRequest(path=str(tiny_llama.folder()), threads=1))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_has_never_seen_json_gives_it_when_it_is_held_to_it(
    model: TransformersModel, temperature: float
):
    for seed in range(6):
        value = generate_json(model, decide(temperature=temperature, seed=seed, max_tokens=300), never)
        validate(value, DECISION)


def test_one_that_is_cut_off_before_the_end_is_one_error_in_words(model: TransformersModel):
    with pytest.raises(
        LanguageModelError, match=r"no valid JSON in 2 attempts; .*not finished after 3 tokens"
    ):
        generate_json(model, decide(max_tokens=3), never, attempts=2)


def test_what_has_no_bound_gets_one_when_it_did_not_end(model: TransformersModel):
    schema: dict[str, object] = {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "list": {"type": "array", "items": {"type": "string", "minLength": 3}},
        },
        "required": ["text", "list"],
    }
    messages = (ChatMessage("user", tiny_llama.ENDLESS),)
    for seed in range(3):
        asked = Generation(messages=messages, json_schema=schema, temperature=0.5, seed=seed, max_tokens=160)
        validate(generate_json(model, asked, never), schema)
    held = Teller("{", GOOD, constrained=True, finish="length")
    generate_json(held, Generation(messages=messages, json_schema={**schema, "required": []}), never)
    assert held.asked[0].json_schema == {**schema, "required": []}
    assert "maxLength" in str(held.asked[1].json_schema)


def test_a_constrained_model_is_not_told_the_schema_in_words():
    teller = Teller(GOOD, constrained=True)
    assert generate_json(teller, decide(), never) == {"action": "delete"}
    assert teller.asked == [decide()]


def test_any_other_model_is_told_and_asked_without_a_constraint():
    teller = Teller(GOOD)
    generate_json(teller, decide(), never)
    (asked,) = teller.asked
    assert asked.json_schema is None
    assert asked.messages[0].content.startswith("decide\n")
    assert '"enum":["delete","ignore"]' in asked.messages[0].content


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("I think it should go.", "no JSON value"),
        ('{"action": "destroy"}', "is wrong"),
        ('{"action": "update", "text": ""}', "is wrong"),
        ('{"action": NaN}', "no JSON value"),
        ('{"action": "delete"', "no JSON value"),
        ("[" * 100_000, "nested too deeply|no JSON value"),
        ("", "no JSON value"),
    ],
)
@pytest.mark.parametrize("constrained", [False, True])
def test_a_wrong_answer_is_shown_again_with_what_is_wrong(wrong: str, complaint: str, constrained: bool):
    teller = Teller(wrong, GOOD, constrained=constrained)
    assert generate_json(teller, decide(), never) == {"action": "delete"}
    first, second = teller.asked
    *_, shown, told = second.messages
    assert shown.role == "assistant"
    assert wrong.startswith(shown.content) or shown.content == "(nothing)"
    assert any(each in told.content for each in complaint.split("|"))
    assert any("additionalProperties" in message.content for message in second.messages)
    assert (second.json_schema is not None) == constrained
    assert second.seed != first.seed


def test_it_asks_no_more_often_than_it_may_and_says_what_was_wrong():
    teller = Teller("no", '{"action": 1}')
    with pytest.raises(
        LanguageModelError, match=r"no valid JSON in 3 attempts; of the last, the value .*wrong"
    ):
        generate_json(teller, decide(), never, attempts=3)
    assert len(teller.asked) == 3


def test_a_correction_that_does_not_fit_the_window_is_a_new_try_without_it():
    teller = Teller("x" * 500, GOOD, constrained=True, window=100)
    assert generate_json(teller, decide(), never) == {"action": "delete"}
    assert [asked.messages for asked in teller.asked] == [decide().messages] * 2
    assert teller.asked[0].seed != teller.asked[1].seed


def test_a_prompt_is_asked_as_well_as_a_chat():
    teller = Teller("no", GOOD)
    asked = Generation(prompt="decide", json_schema=DECISION)
    assert generate_json(teller, asked, never) == {"action": "delete"}
    assert [generation.prompt for generation in teller.asked] == [None, None]


def test_cancelling_is_an_error_and_no_further_attempt():
    teller = Teller("no")
    with pytest.raises(LanguageModelError, match="cancelled"):
        generate_json(teller, decide(), lambda: True)
    assert len(teller.asked) == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Generation(prompt="x"), "with a schema"),
        (Generation(infill=Infill("a", "b"), json_schema=DECISION), "gap in code"),
        (Generation(prompt="x", json_schema={"type": "nonesuch"}), "schema is none"),
        (Generation(prompt="x", json_schema={"$ref": "http://127.0.0.1:1/s"}), "refers to"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(asked: Generation, words: str):
    with pytest.raises(LanguageModelError, match=words):
        generate_json(Teller(GOOD), asked, never)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("```\n[1, 2]\n```", [1, 2]),
        ('Here you are: {"a": "}"} — anything else?', {"a": "}"}),
        ('{not json} {"a": 1}', {"a": 1}),
        ('"just text"', "just text"),
        (" 12 ", 12),
        ('<think>{"b": [}</think> [1]', [1]),
    ],
)
def test_the_json_is_found_in_what_models_put_around_it(text: str, value: object):
    assert first_json(text) == value


def test_a_model_that_learned_the_schema_is_not_told_it_unless_it_errs() -> None:
    asked = Generation(messages=(ChatMessage("user", "Decide."),), json_schema=DECISION)
    model = Teller("none of it", GOOD)
    assert generate_json(model, asked, lambda: False, knows_schema=True) == {"action": "delete"}
    first, second = model.asked
    assert first.messages == asked.messages
    assert first.json_schema is None
    assert "JSON Schema" in second.messages[0].content
