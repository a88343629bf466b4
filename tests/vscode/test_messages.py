"""The TypeScript messages of the VS Code extension say the same as the engine's."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from remanence.engine import fact_messages, learning_messages, messages, model_messages

SOURCE = Path(__file__).parents[2] / "vscode-extension" / "src"
MODULES = (messages, model_messages, fact_messages, learning_messages)
FILES = ("messages.ts", "modelMessages.ts", "learningMessages.ts")
_TEXT = "\n".join((SOURCE / name).read_text("utf-8") for name in FILES)
_VERBS = (SOURCE / "verbs.ts").read_text("utf-8")
ALIASES: dict[str, str] = dict(re.findall(r"^export type (\w+) = (.+);$", _TEXT, re.MULTILINE))
INTERFACES: dict[str, str] = dict(
    re.findall(r"^export interface (\w+) \{\n(.*?)^\}", _TEXT, re.MULTILINE | re.DOTALL)
)


def declared(body: str) -> dict[str, tuple[bool, frozenset[str]]]:
    """Each field of an interface: whether it may be left out, and the members of its type."""
    fields = re.findall(r"^  (\w+)(\??): (.+);$", body, re.MULTILINE)
    return {name: (mark == "?", members(type_)) for name, mark, type_ in fields}


def members(type_: str) -> frozenset[str]:
    parts = [part.strip() for part in type_.split("|")]
    return frozenset(
        member for part in parts for member in (members(ALIASES[part]) if part in ALIASES else {part})
    )


def typescript(type_: inspect.Type) -> frozenset[str]:
    """The members of a message field's type, as TypeScript writes them."""
    match type_:
        case inspect.UnionType(types=types):
            return frozenset(member for each in types for member in typescript(each))
        case inspect.LiteralType(values=values):
            return frozenset(f'"{value}"' for value in values)
        case inspect.ListType(item_type=item):
            return frozenset(f"{member}[]" for member in typescript(item))
        case inspect.DictType(key_type=key, value_type=value):
            return frozenset({f"Record<{', '.join([*typescript(key), *typescript(value)])}>"})
        case inspect.StructType(cls=cls):
            return frozenset({cls.__name__})
        case inspect.IntType() | inspect.FloatType():
            return frozenset({"number"})
        case inspect.StrType():
            return frozenset({"string"})
        case inspect.BoolType():
            return frozenset({"boolean"})
        case inspect.NoneType():
            return frozenset({"null"})
        case _:
            raise AssertionError(f"no TypeScript for {type_}")


def test_the_extension_mirrors_every_verb_it_calls() -> None:
    takes_and_gives = set(re.findall(r"(?:takes|gives): (\w+)", _VERBS)) - {"Record"}
    assert len(takes_and_gives) > 10
    assert takes_and_gives <= INTERFACES.keys()


@pytest.mark.parametrize("name", INTERFACES)
def test_an_interface_has_the_fields_of_its_message(name: str) -> None:
    struct = next(vars(module)[name] for module in MODULES if name in vars(module))
    may_be_left_out = issubclass(struct, messages.Request)  # a response has every field on the wire
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    expected = {
        field.encode_name: (may_be_left_out and not field.required, typescript(field.type))
        for field in info.fields
    }
    assert declared(INTERFACES[name]) == expected


def test_a_response_has_every_field_on_the_wire() -> None:
    wire = msgspec.json.decode(messages.to_json(messages.CaptureResponse(id="x", status="stored")))
    assert wire == {"id": "x", "status": "stored", "redactions": [], "reason": None}
