"""How a command tells its answer beside giving it as the result.

Three fields of a command's object are the language server's own, and never reach the engine:

- `workDoneToken` and `partialResultToken`: where `$/progress` goes. LSP has the first beside the arguments
  of `workspace/executeCommand` and does not know the second there; both are taken from either place.
- `show`: whoever calls does nothing with the result (an editor's own code action menu), so the server
  shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from lsprotocol import types

from remanence.engine.client import EngineError

STREAMED = "remanence.ask"
"""The command that answers in parts."""

TOKENS = ("workDoneToken", "partialResultToken")


@dataclass(frozen=True, slots=True)
class Telling:
    """See the module."""

    work_done: types.ProgressToken | None = None
    partial_result: types.ProgressToken | None = None
    show: bool = False


def with_tokens(params: dict[str, object]) -> None:
    """Move the tokens of a request's parameters into its one argument, where `telling_of` finds them."""
    tokens = {name: params[name] for name in TOKENS if params.get(name) is not None}
    arguments = params.get("arguments")
    if not tokens or not isinstance(arguments, list):
        return
    given = cast("list[object]", arguments)
    if len(given) == 1 and isinstance(given[0], dict):
        params["arguments"] = [{**tokens, **cast("dict[str, object]", given[0])}]


def telling_of(argument: object) -> tuple[object, Telling]:
    """The engine's part of a command's argument, and ours. Raises EngineError for a field of a wrong type."""
    if not isinstance(argument, dict):
        return argument, Telling()
    fields = dict(cast("dict[str, object]", argument))
    work_done, partial = (_token(fields.pop(name, None), name) for name in TOKENS)
    show = fields.pop("show", None)
    if show is not None and not isinstance(show, bool):
        raise EngineError("invalid", "show: it is true or false.", "show")
    return fields, Telling(work_done, partial, bool(show))


def _token(given: object, name: str) -> types.ProgressToken | None:
    if given is None or (isinstance(given, int | str) and not isinstance(given, bool)):
        return given
    raise EngineError("invalid", f"{name}: it is a text or a number.", name)
