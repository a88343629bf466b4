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
TokenBudget = Annotated[int, Meta(ge=64, le=1_000_000)]
_Path = tuple[str, ...]

_ERROR_PATH = re.compile(r" - at `\$(.*)`$")


class HoverOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """`model`: the language model says something too, if it does so within `model_ms`."""

    enabled: bool = True
    limit: Annotated[int, Meta(ge=1, le=10)] = 3
    model: bool = False
    model_ms: Annotated[int, Meta(ge=0, le=30_000)] = 1000


class CompletionOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """`marks` open a comment that is a prompt; `token_budget` bounds an enriched prompt; `model` adds an
    item that the language model writes once it is looked at."""

    enabled: bool = True
    marks: tuple[Mark, ...] = ("#?", "//?", "--?", ";;?")
    token_budget: TokenBudget = 2000
    model: bool = False


class InlineCompletionOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is proposed at the cursor while typing. Nothing is asked before the typing rests for
    `debounce_ms`."""

    enabled: bool = True
    debounce_ms: Annotated[int, Meta(ge=0, le=10_000)] = 150
    max_tokens: Annotated[int, Meta(ge=1, le=4096)] = 96


class AskOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds for a question that does not say otherwise. `token_budget` is for the question with its
    memories, 0: as the model's window allows; `remember` keeps question and answer as a memory."""

    token_budget: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    remember: bool = True


class CaptureOptions(Struct, frozen=True, kw_only=True, rename="camel"):
    """`transcripts`: remember the exchanges of chat transcripts that are open in the editor."""

    transcripts: bool = True


class Options(Struct, frozen=True, kw_only=True, rename="camel"):
    """`standalone` is read once, at start: it decides where the engine runs."""

    hover: HoverOptions = HoverOptions()
    completion: CompletionOptions = CompletionOptions()
    inline_completion: InlineCompletionOptions = InlineCompletionOptions()
    ask: AskOptions = AskOptions()
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
