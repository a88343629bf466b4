"""JSON schemas as grammars: what is written under one is valid, and what cannot be held to is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny_llama
from remanence.models import llama_cpp_backend
from remanence.models.grammar_sampling import GrammarSampling
from remanence.models.json_grammar import json_grammar
from remanence.models.language_model import ChatMessage, Generation, LanguageModel, LanguageModelError
from remanence.models.language_model import LoadRequest as Load

Schema = dict[str, Any]

NAMES = st.text('ab é"\\\n', min_size=1, max_size=3)
NUMBERS = st.integers(-1200, 1200)


def _range(kind: str) -> st.SearchStrategy[Schema]:
    def bounded(low: int, width: int, exclusive: bool) -> Schema:
        top = "exclusiveMaximum" if exclusive else "maximum"
        return {"type": kind, "minimum": low, top: low + width + 1}

    return st.builds(bounded, NUMBERS, st.integers(0, 5000), st.booleans())


def _string(least: int, more: int) -> Schema:
    return {"type": "string", "minLength": least, "maxLength": least + more}


def _array(items: Schema, least: int, more: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": least + more}


def _object(properties: dict[str, Schema], required: list[bool], closed: bool) -> Schema:
    names = [name for name, needed in zip(properties, required, strict=False) if needed]
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        **({"additionalProperties": False} if closed else {}),
    }


LEAVES = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string", "format": "date"}, {}]),
    st.builds(_string, st.integers(0, 3), st.integers(0, 12)),
    _range("integer"),
    _range("number"),
    st.builds(lambda values: {"enum": values}, st.lists(NAMES | NUMBERS | st.none(), min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, NAMES | st.booleans()),
    st.just({"type": ["integer", "null"], "minimum": 3}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(_array, inner, st.integers(0, 2), st.integers(0, 2)),
        st.builds(_object, st.dictionaries(NAMES, inner, max_size=3), st.lists(st.booleans()), st.booleans()),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    loaded = llama_cpp_backend.load(Load(path=str(tiny_llama.gguf()), threads=1))
    yield loaded
    loaded.close()


def write(model: LanguageModel, schema: Schema, temperature: float, seed: int = 0) -> tuple[str, str]:
    asked = Generation(
        messages=(ChatMessage("user", "Answer in JSON."),),
        json_schema=schema,
        max_tokens=450,
        temperature=temperature,
        seed=seed,
    )
    *pieces, usage = model.generate(asked, lambda: False)
    return "".join(map(str, pieces)), getattr(usage, "finish", "")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, st.sampled_from([0.0, 1.0, 2.0]), st.integers(0, 99))
def test_what_is_written_under_a_schema_is_valid_and_ends_with_the_value(
    model: LanguageModel, schema: Schema, temperature: float, seed: int
) -> None:
    text, finish = write(model, schema, temperature, seed)
    if finish == "length":  # more strings than fit: the beginning of a value
        assert len(text) > 100
        return
    jsonschema.validate(json.loads(text), schema)
    assert text == text.strip()


def test_a_decision_about_a_fact_is_always_one_of_those_allowed(model: LanguageModel) -> None:
    update = {
        "type": "object",
        "title": "Update",
        "properties": {"action": {"const": "update"}, "text": {"$ref": "#/$defs/Text"}},
        "required": ["action", "text"],
        "additionalProperties": False,
    }
    other = {
        "type": "object",
        "properties": {"action": {"enum": ["delete", "ignore"]}},
        "required": ["action"],
        "additionalProperties": False,
    }
    schema: Schema = {
        "oneOf": [update, other],
        "$defs": {"Text": {"type": "string", "minLength": 1, "maxLength": 80, "description": "What holds."}},
    }
    for seed in range(20):
        text, finish = write(model, schema, 1.5, seed)
        jsonschema.validate(json.loads(text), schema)
        assert finish == "stop"


def test_a_long_string_ends_within_the_tokens_that_there_are(model: LanguageModel) -> None:
    for seed in range(5):
        text, finish = write(model, {"type": "string", "maxLength": 100_000}, 1.0, seed)
        assert isinstance(json.loads(text), str)
        assert finish == "stop"


def test_many_optional_properties_are_written_in_their_order(model: LanguageModel) -> None:
    schema: Schema = {
        "type": "object",
        "properties": {f"p{number}": {"type": "string", "maxLength": 4} for number in range(30)},
    }
    for seed in range(10):
        text, _ = write(model, schema, 2.0, seed)
        written = json.loads(text)
        jsonschema.validate(written, schema)
        assert list(written) == sorted(written, key=lambda name: int(name[1:]))


def test_a_grammar_that_llama_cpp_does_not_take_is_an_error_and_no_crash(model: LanguageModel) -> None:
    library: Any = vars(model)["_library"]
    for grammar in ("root ::= (", "root ::= missing"):
        with pytest.raises(LanguageModelError, match="too large"):
            GrammarSampling(library, grammar, 0.0, 0, 40)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (7, 1234), (-1234, -7), (-5, 5), (99, 100), (10, 10**14), (-9, 10)]
)
def test_whole_numbers_reach_both_bounds_and_no_further(low: int, high: int) -> None:
    """Read by a small matcher of our own, as the library says only what it writes."""
    rule = json_grammar({"type": "integer", "minimum": low, "maximum": high}, 64)
    accepted = [
        number for number in (low - 1, low, low + 1, high - 1, high, high + 1) if _matches(rule, number)
    ]
    assert accepted == [
        number for number in (low - 1, low, low + 1, high - 1, high, high + 1) if low <= number <= high
    ]


def _matches(rule: str, number: int) -> bool:
    import re

    pattern = re.sub(r'"([^"]*)"', r"\1", rule.removeprefix("root ::= ")).replace(" ", "")
    return re.fullmatch(pattern, str(number)) is not None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "pattern": "^a+$"}, "pattern"),
        ({"type": "string", "format": "email"}, "email"),
        ({"type": "string", "minLength": 5000}, "too long"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "too long"),
        ({"type": "integer", "multipleOf": 7}, "multipleOf"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no whole number"),
        ({"type": "number", "minimum": 0.2, "maximum": 0.8}, "no whole number"),
        ({"type": "quaternion"}, "quaternion"),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, "allOf"),
        ({"not": {"type": "string"}}, "states no type"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"$ref": "https://example.org/schema"}, "refers to"),
        ({"$ref": "#/$defs/None"}, "not in it"),
        ({"$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}, "$ref": "#/$defs/A"}, "itself"),
        ({"type": "object", "properties": {"a": 3}}, "no schema"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "a is required"),
        ({"enum": []}, "enum"),
        ({"anyOf": []}, "no alternatives"),
    ],
)
def test_what_cannot_be_held_to_is_refused_in_words(schema: Schema, words: str) -> None:
    with pytest.raises(LanguageModelError, match=words.replace("(", r"\(")):
        json_grammar(schema, 100)
