"""What the user can set: read from `initializationOptions` and from the client's configuration.

A setting that cannot be used is reported and its default taken: nothing here stops the server.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta, Struct

LogLevel = Literal["error", "warning", "info", "debug"]
Mark = Annotated[str, Meta(min_length=1, max_length=16)]
_Path = tuple[str, ...]

_ERROR_PATH = re.compile(r" - at `\$(.*)`$")


class HoverOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    enabled: bool = True
    limit: Annotated[int, Meta(ge=1, le=10)] = 3


class CompletionOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """`marks` open a comment that is a prompt; `token_budget` bounds an enriched prompt."""

    enabled: bool = True
    marks: tuple[Mark, ...] = ("#?", "//?", "--?", ";;?")
    token_budget: Annotated[int, Meta(ge=64, le=1_000_000)] = 2000


class CaptureOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """`transcripts`: remember the exchanges of chat transcripts that are open in the editor."""

    transcripts: bool = True


class Options(Struct, frozen=True, kw_only=True, rename="camel"):
    """`standalone` is read once, at start: it decides where the engine runs."""

    hover: HoverOptions = HoverOptions()
    completion: CompletionOptions = CompletionOptions()
    capture: CaptureOptions = CaptureOptions()
    standalone: bool = False
    log_level: LogLevel = "warning"


def read_options(*layers: object) -> tuple[Options, tuple[str, ...]]:
    """The options of several JSON values laid over each other (later ones win), and what was wrong.

    null, `[]` (an empty Lua table) and unknown names count as nothing said.
    """
    problems: list[str] = []
    merged: dict[str, object] = {}
    for layer in layers:
        if layer is None or layer == []:
            continue
        if not isinstance(layer, dict):
            problems.append(f"options must be an object, not {type(layer).__name__}")
            continue
        merged = _overlaid(merged, cast("dict[str, object]", layer))
    for _ in range(32):  # each round takes out one unusable setting
        try:
            return msgspec.convert(merged, Options), tuple(problems)
        except msgspec.ValidationError as error:
            message = str(error)
            problems.append(_in_words(message))
            match = _ERROR_PATH.search(message)
            if match is None or not _without(merged, _named(match.group(1))):
                break
    return Options(), tuple(problems)


def _overlaid(base: dict[str, object], layer: dict[str, object]) -> dict[str, object]:
    result = dict(base)
    for name, value in layer.items():
        if value is None or value == []:
            continue
        below = result.get(name)
        if isinstance(value, dict):
            nested = cast("dict[str, object]", below) if isinstance(below, dict) else {}
            result[name] = _overlaid(nested, cast("dict[str, object]", value))
        else:
            result[name] = value
    return result


def _named(path: str) -> _Path:
    return tuple(part for part in path.split("[", 1)[0].split(".") if part)


def _without(tree: dict[str, object], path: _Path) -> bool:
    """Take the setting at `path` out of `tree`; False where there is none."""
    for name in path[:-1]:
        below = tree.get(name)
        if not isinstance(below, dict):
            return False
        tree = cast("dict[str, object]", below)
    return bool(path) and tree.pop(path[-1], _ABSENT) is not _ABSENT


def _in_words(message: str) -> str:
    match = _ERROR_PATH.search(message)
    if match is None:
        return message
    name = match.group(1).lstrip(".")
    return f"remanence.{name}: {message[: match.start()].lower()}"


_ABSENT = object()
