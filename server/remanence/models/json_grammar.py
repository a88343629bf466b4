"""A JSON schema as a grammar for llama.cpp, of which every text that ends is valid under the schema.

No free whitespace, and a bound on every length and number, so that the value ends. What cannot be held to
is refused rather than left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from remanence.models.language_model import LanguageModelError

Schema = Mapping[str, Any]

_LONGEST_STRING, _LONGEST_ARRAY, _MOST_PROPERTIES, _DEEPEST = 1000, 64, 64, 24
_USUAL_ARRAY = 16
_LARGEST = 10**15 - 1
_COMMA = ' "," '
_ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$schema", "$id", "$comment", "$defs", "definitions", "discriminator"),
}
_RANGE = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "format"},
    "integer": _RANGE,
    "number": _RANGE,
    "boolean": set[str](),
    "null": set[str](),
}
_CHARACTER = r'([^"\\\x00-\x1F\x7F] | "\\" ["\\/bfnrt])'
_DATE = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
_FORMATS = {
    "date": _DATE,
    "date-time": rf'{_DATE} "T" ([0-1] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] "Z"',
}


def json_grammar(schema: Mapping[str, object], max_tokens: int) -> str:
    """GBNF with the rule `root`; no string is so long that it alone takes more than half of `max_tokens`, as
    far as its schema allows. Raises LanguageModelError where the schema has what it cannot express."""
    rules = _Rules(schema, max(16, min(_LONGEST_STRING, max_tokens // 2)))
    rules.named["root"] = rules.value(schema, 0)
    return "\n".join(f"{name} ::= {rule}" for name, rule in rules.named.items())


class _Rules:
    """The rules of one grammar; `root` is where references of the schema begin."""

    def __init__(self, root: Schema, longest: int) -> None:
        self.named: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._longest = longest
        self._root = root

    def value(self, schema: object, depth: int) -> str:
        """What matches a value under `schema`."""
        if depth > _DEEPEST:
            raise _refused("it refers to itself, or is nested too deep")
        if schema is True or schema == {}:
            schema = {"type": ["string", "integer", "boolean", "null"]}
        if not isinstance(schema, Mapping):
            raise _refused("a part of it is no schema")
        known = {key: part for key, part in cast(Schema, schema).items() if key not in _ANNOTATIONS}
        for key, build in (("$ref", self._reference), ("allOf", self._all), ("anyOf", self._any)):
            if key in known:
                _only(known, {key})
                return build(known[key], depth)
        if "oneOf" in known:
            _only(known, {"oneOf"})
            return self._one(known["oneOf"], depth)
        if "const" in known or "enum" in known:
            return _constants(known)
        types = known.pop("type", None) or _implied(known)
        if isinstance(types, list):
            return self._any(
                [{**_fitting(known, kind), "type": kind} for kind in cast(list[str], types)], depth
            )
        if not isinstance(types, str) or types not in _KEYWORDS:
            raise _refused(f"there is no type {types!r}")
        _only(known, _KEYWORDS[types])
        match types:
            case "object":
                return self._object(known, depth)
            case "array":
                return self._array(known, depth)
            case "string":
                return self._rule(_string(known, self._longest))
            case "boolean":
                return '("true" | "false")'
            case "null":
                return '"null"'
            case _:
                return _number(known, whole=types == "integer")

    def _rule(self, body: str) -> str:
        """The name of a rule with this body."""
        if body not in self._names:
            self._names[body] = f"r{len(self.named)}"
            self.named[self._names[body]] = body
        return self._names[body]

    def _reference(self, reference: object, depth: int) -> str:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _refused(f"it refers to {reference!r}")
        found: object = self._root
        for step in reference[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or step not in found:
                raise _refused(f"{reference} is not in it")
            found = cast(object, found[step])
        return self.value(found, depth + 1)

    def _all(self, schemas: object, depth: int) -> str:
        every = cast(list[object], schemas)
        if not isinstance(schemas, list) or len(every) != 1:
            raise _refused("it uses allOf")
        return self.value(every[0], depth + 1)

    def _any(self, schemas: object, depth: int) -> str:
        if not isinstance(schemas, list) or not schemas:
            raise _refused("it has no alternatives")
        return "(" + " | ".join(self.value(each, depth + 1) for each in cast(list[object], schemas)) + ")"

    def _one(self, schemas: object, depth: int) -> str:
        alternatives = self._any(schemas, depth)
        some = cast(list[Any], schemas)
        if not all(_disjoint(a, b) for i, a in enumerate(some) for b in some[:i]):
            raise _refused("it uses oneOf with alternatives that are not told apart by a constant: use anyOf")
        return alternatives

    def _object(self, schema: Schema, depth: int) -> str:
        properties = cast(dict[str, Any], schema.get("properties", {}))
        required = cast(list[str], schema.get("required", []))
        others = schema.get("additionalProperties", True)
        for name in required:
            properties = properties if name in properties else {**properties, name: others}
        if len(properties) > _MOST_PROPERTIES:
            raise _refused("it has too many properties")
        if not properties and isinstance(others, Mapping):
            pair = self._rule(
                _string({"minLength": 1}, min(80, self._longest))
                + f' ":" {self.value(cast(object, others), depth + 1)}'
            )
            return f'"{{" ({pair} ("," {pair}){{0,{_USUAL_ARRAY - 1}}})? "}}"'
        pairs = {
            name: self._rule(f'{_literal(name)} ":" {self.value(part, depth + 1)}')
            for name, part in properties.items()
            if part is not False
        }
        if missing := [name for name in required if name not in pairs]:
            raise _refused(f"{missing[0]} is required and not allowed")
        return f'"{{" {self._pairs(list(pairs.items()), set(required))} "}}"'

    def _pairs(self, pairs: Sequence[tuple[str, str]], required: set[str]) -> str:
        """The properties in their order, with a comma between any two that are there."""
        first = next((i for i, (name, _) in enumerate(pairs) if name in required), None)
        if first is not None:
            before = [f'({rule} ",")?' for _, rule in pairs[:first]]
            after = [
                f'"," {rule}' if name in required else f'("," {rule})?' for name, rule in pairs[first + 1 :]
            ]
            return " ".join([*before, pairs[first][1], *after])
        starts: list[str] = []
        later = ""
        for _, rule in reversed(pairs):
            starts.append(f"{rule} {later}".strip())
            later = self._rule(f'("," {rule})? {later}'.strip())
        return f"({' | '.join(reversed(starts))})?" if starts else ""

    def _array(self, schema: Schema, depth: int) -> str:
        fixed = [self.value(each, depth + 1) for each in cast(list[object], schema.get("prefixItems", []))]
        least = _whole(schema, "minItems", 0)
        most = min(_whole(schema, "maxItems", max(least, len(fixed), _USUAL_ARRAY)), _LONGEST_ARRAY)
        if least > most or len(fixed) > most:
            raise _refused("an array of it is too long, or none is short enough")
        if schema.get("items", True) is False:
            most = len(fixed)
            if least > most:
                raise _refused("no array is long enough")
        more = self._rule(self.value(schema.get("items", True), depth + 1)) if most > len(fixed) else ""
        if fixed:
            rest = f' ("," {more}){{{max(0, least - len(fixed))},{most - len(fixed)}}}' if more else ""
            return f'"[" {_COMMA.join(fixed)}{rest} "]"'
        if most == 0:
            return '"[]"'
        some = f'{more} ("," {more}){{{max(0, least - 1)},{most - 1}}}'
        return f'"[" {some} "]"' if least else f'"[" ({some})? "]"'


def _string(schema: Schema, longest: int) -> str:
    form = schema.get("format")
    if form is not None:
        _only(schema, {"format"})
        if form not in _FORMATS:
            raise _refused(f"it uses the format {form}")
        return rf'"\"" {_FORMATS[form]} "\""'
    least = _whole(schema, "minLength", 0)
    most = min(_whole(schema, "maxLength", _LONGEST_STRING), max(least, longest))
    if not least <= most <= _LONGEST_STRING:
        raise _refused("a string of it is too long, or none is short enough")
    return rf'"\"" {_CHARACTER}{{{least},{most}}} "\""'


def _number(schema: Schema, whole: bool) -> str:
    low = max(
        [-_LARGEST]
        + [math.ceil(bound) for bound in _bounds(schema, "minimum")]
        + [math.floor(bound) + 1 for bound in _bounds(schema, "exclusiveMinimum")]
    )
    high = min(
        [_LARGEST]
        + [math.floor(bound) for bound in _bounds(schema, "maximum")]
        + [math.ceil(bound) - 1 for bound in _bounds(schema, "exclusiveMaximum")]
    )
    if low > high:
        raise _refused("there is no whole number within its bounds")
    ways: list[str] = []
    if high >= 0:
        ways += _amounts(max(low, 0), high, whole)
    if low < 0:
        ways += [f'"-" {way}' for way in _amounts(max(-high, 1 if whole else 0), -low, whole)]
    return f"({' | '.join(ways)})"


def _amounts(low: int, high: int, whole: bool) -> list[str]:
    if whole or low == high:
        return _digits(low, high)
    return [f'{way} ("." [0-9]{{1,6}})?' for way in _digits(low, high - 1)] + _digits(high, high)


def _digits(low: int, high: int) -> list[str]:
    """What matches the whole numbers from `low`, 0 at least, to `high`."""
    ways: list[str] = []
    while len(str(low)) < len(str(high)):
        nines = 10 ** len(str(low)) - 1
        ways += _same_length(str(low), str(nines))
        low = nines + 1
    return ways + _same_length(str(low), str(high))


def _same_length(low: str, high: str) -> list[str]:
    if len(low) == 1:
        return [f"[{low}-{high}]"]
    rest = len(low) - 1
    if low[0] == high[0]:
        return [f'"{low[0]}" {way}' for way in _same_length(low[1:], high[1:])]
    first, last = int(low[0]), int(high[0])
    ways: list[str] = []
    ends: list[str] = []
    if low[1:] != "0" * rest:
        ways = [f'"{first}" {way}' for way in _same_length(low[1:], "9" * rest)]
        first += 1
    if high[1:] != "9" * rest:
        ends = [f'"{last}" {way}' for way in _same_length("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        ways.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return ways + ends


def _constants(schema: Schema) -> str:
    _only(schema, {"const", "enum", "type"})
    values = cast(list[Any], schema["enum"]) if "enum" in schema else [schema["const"]]
    if "enum" in schema and "const" in schema:
        values = [value for value in values if _literal(value) == _literal(schema["const"])]
    stated = schema.get("type")
    types = cast(list[object], stated) if isinstance(stated, list) else [stated]
    values = [
        value for value in values if stated is None or _type(value) in types or _is_number(value, types)
    ]
    if not values:
        raise _refused("no value of its enum is allowed")
    return "(" + " | ".join(_literal(value) for value in values) + ")"


def _type(value: object) -> str:
    names = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "list": "array"}
    return names.get(type(value).__name__, "null" if value is None else "object")


def _is_number(value: object, types: Sequence[object]) -> bool:
    return "number" in types and isinstance(value, int) and not isinstance(value, bool)


def _disjoint(one: Any, other: Any) -> bool:
    """Whether no value is under both, as far as a constant or the type tells."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    a, b = cast(dict[str, Any], one), cast(dict[str, Any], other)
    if isinstance(a.get("type"), str) and isinstance(b.get("type"), str) and a["type"] != b["type"]:
        return {a["type"], b["type"]} != {"integer", "number"}
    mine, others = _allowed(a), _allowed(b)
    if mine and others:
        return not mine & others
    both = set(a.get("required", [])) & set(b.get("required", []))
    return any(
        _disjoint(a.get("properties", {}).get(name), b.get("properties", {}).get(name)) for name in both
    )


def _allowed(schema: dict[str, Any]) -> set[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return {_literal(value) for value in values}


def _implied(schema: Schema) -> object:
    """The type of a schema that states none but has the keywords of one."""
    kinds = [kind for kind in ("object", "array", "string", "number") if set(schema) & _KEYWORDS[kind]]
    if len(kinds) != 1:
        raise _refused("a part of it states no type")
    return kinds[0]


def _fitting(schema: Schema, kind: str) -> dict[str, Any]:
    """The keywords that say something of this type; all of them have to be of one of the schema's."""
    every = set[str]().union(*_KEYWORDS.values())
    _only(schema, every)
    return {key: part for key, part in schema.items() if key in _KEYWORDS.get(kind, set())}


def _bounds(schema: Schema, key: str) -> list[float]:
    bound = schema.get(key)
    if bound is None:
        return []
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
        raise _refused(f"its {key} is no number")
    return [bound]


def _whole(schema: Schema, key: str, default: int) -> int:
    value = schema.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _refused(f"its {key} is no number")
    return value


def _only(schema: Schema, allowed: set[str]) -> None:
    if others := sorted(set(schema) - allowed):
        raise _refused(f"it uses {others[0]}")


def _literal(value: object) -> str:
    """The value as JSON, as a literal of the grammar."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refused(why: str) -> LanguageModelError:
    return LanguageModelError(f"A text cannot be held to this JSON schema: {why}.")
