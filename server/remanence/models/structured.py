"""One JSON value under a schema from any language model, whether it can be held to it or only asked.

jsonschema is imported at the first use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from remanence.models.language_model import (
    Cancelled,
    ChatMessage,
    Generation,
    LanguageModel,
    LanguageModelError,
    Usage,
)

_MOST_QUOTED = 2000  # characters of a wrong answer that its writer is shown again
_MOST_COMPLAINT = 300
_SEEDS_APART = 7919
_SHORTEST, _FEW = 8, 4  # characters of a string and entries of a list that has to end
_WARMER = 0.3  # temperature, with each further attempt


def generate_json(
    model: LanguageModel,
    asked: Generation,
    cancelled: Cancelled,
    attempts: int = 3,
    *,
    knows_schema: bool = False,
) -> object:
    """The value that the model writes for `asked`, valid under its `json_schema`.

    A model that can be constrained is; one that cannot is given the schema in words, unless it learned to
    write what is valid under it. What comes is checked
    either way, and one that wrote something else is told what is wrong, `attempts` times in all. Raises
    LanguageModelError in words where none was right, where `asked` has no schema or one that is none, or
    once `cancelled`.
    """
    schema = asked.json_schema
    if schema is None or asked.infill is not None:
        raise LanguageModelError("JSON is asked for with a schema, and not of a gap in code.")
    validator = _validator(schema)
    held = model.capabilities.constrained
    is_told = not held and not knows_schema
    first = told(asked, schema) if is_told else asked
    if not held:
        first = msgspec.structs.replace(first, json_schema=None)
    following, wrong = first, "nothing came"
    for attempt in range(attempts):
        try:
            text, usage = _written(model, following, cancelled)
        except LanguageModelError:
            if following is first:
                raise
            # The correction may be what does not fit its window.
            bare = msgspec.structs.replace(first, json_schema=following.json_schema)
            text, usage = _written(model, _drawn_anew(bare, attempt), cancelled)
        if usage.finish == "cancelled":
            raise LanguageModelError("The request was cancelled.")
        try:
            return _checked(text, validator)
        except ValueError as error:
            cut_off = f"it was not finished after {usage.written_tokens} tokens"
            wrong = cut_off if usage.finish == "length" else str(error)
        following = _corrected(first if is_told else told(first, schema), text, wrong, attempt + 1)
        if held and usage.finish == "length":
            following = msgspec.structs.replace(
                following, json_schema=_bounded(schema, asked.max_tokens // (attempt + 1))
            )
    raise LanguageModelError(f"The model gave no valid JSON in {attempts} attempts; of the last, {wrong}.")


def told(asked: Generation, schema: Mapping[str, object]) -> Generation:
    """The same request as a chat that says in words which JSON is wanted."""
    words = (
        "Answer with one JSON value and nothing else. "
        f"It must be valid under this JSON Schema:\n{_dumped(schema)}"
    )
    messages = asked.messages or (ChatMessage("user", asked.prompt or ""),)
    if messages[-1].role == "user":
        last = ChatMessage("user", f"{messages[-1].content}\n\n{words}")
        messages = (*messages[:-1], last)
    else:
        messages = (*messages, ChatMessage("user", words))
    return msgspec.structs.replace(asked, messages=messages, prompt=None)


def first_json(text: str) -> object:
    """The first JSON object or list in a text, or the whole text where that is JSON, fenced or not.

    Raises ValueError where there is none.
    """
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        return json.loads(bare, parse_constant=_refuse)
    except ValueError:
        decoder = json.JSONDecoder(parse_constant=_refuse)
    for place, letter in enumerate(text):
        if letter in "{[":
            try:
                return decoder.raw_decode(text, place)[0]
            except (ValueError, RecursionError):
                continue
    raise ValueError("it holds no JSON value")


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _written(model: LanguageModel, asked: Generation, cancelled: Cancelled) -> tuple[str, Usage]:
    text, usage = "", Usage()
    for part in model.generate(asked, cancelled):
        if isinstance(part, Usage):
            usage = part
        else:
            text += part
    return text, usage


def _checked(text: str, validator: Any) -> object:
    """The value in the text. Raises ValueError, saying what is wrong, where it is none or not valid."""
    from referencing.exceptions import Unresolvable

    try:
        value = first_json(text)
        for found in validator.iter_errors(value):
            place = "".join(f"[{step!r}]" for step in found.absolute_path)
            raise ValueError(f"the value{place} is wrong: {str(found.message)[:_MOST_COMPLAINT]}")
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except Unresolvable as error:
        raise LanguageModelError(f"The JSON schema refers to what it does not hold: {error}.") from error
    return value


def _corrected(asked: Generation, text: str, wrong: str, attempt: int) -> Generation:
    """The request again, with the wrong answer and what was wrong with it."""
    again = f"That is not right: {wrong}. Write the whole JSON value again, short, and nothing else."
    turns = (
        *asked.messages,
        ChatMessage("assistant", text[:_MOST_QUOTED] or "(nothing)"),
        ChatMessage("user", again),
    )
    return _drawn_anew(msgspec.structs.replace(asked, messages=turns), attempt)


def _bounded(schema: Mapping[str, object], tokens: int) -> Mapping[str, object]:
    """A narrower schema whose values end within about so many tokens: what has no bound gets one."""
    dumped = json.dumps(schema)
    times = dumped.count('"string"') * (_FEW if '"array"' in dumped else 1)
    length = max(_SHORTEST, tokens // (2 * max(1, times)))

    def narrowed(part: object) -> object:
        if isinstance(part, list):
            return [narrowed(each) for each in cast(list[object], part)]
        if not isinstance(part, dict):
            return part
        found = {name: narrowed(each) for name, each in cast(dict[str, object], part).items()}
        if found.get("type") == "string" and not found.keys() & {"pattern", "format", "enum", "const"}:
            found.setdefault("maxLength", max(length, cast(int, found.get("minLength", 0))))
        if found.get("type") == "array":
            found.setdefault("maxItems", max(_FEW, cast(int, found.get("minItems", 0))))
        if found.get("type") == "object" and "properties" in found:
            found.setdefault("additionalProperties", False)
        return found

    return cast(dict[str, object], narrowed(dict(schema)))


def _drawn_anew(asked: Generation, attempt: int) -> Generation:
    """With other dice: what is written greedily would be the same again."""
    return msgspec.structs.replace(
        asked,
        seed=asked.seed + attempt * _SEEDS_APART,
        temperature=max(asked.temperature, _WARMER * attempt),
    )


def _validator(schema: Mapping[str, object]) -> Any:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for  # pyright: ignore[reportUnknownVariableType]
    from referencing import Registry

    kind = cast(Any, validator_for)(dict(schema))
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        raise LanguageModelError(f"The JSON schema is none: {error.message}.") from error
    return kind(dict(schema), registry=cast(Any, Registry)())  # an empty one, so that nothing is fetched


def _dumped(schema: Mapping[str, object]) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
