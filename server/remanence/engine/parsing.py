"""Requests checked at the door they come through, with errors that name the field."""

from __future__ import annotations

import re
from typing import TypeVar, cast

import msgspec

from remanence.engine.messages import Request
from remanence.engine.verbs import VERBS, EngineError

R = TypeVar("R", bound=Request)

# Made at import: msgspec (0.22) can end the process where two threads decode a type for the first time.
_DECODERS: dict[type[Request], msgspec.json.Decoder[Request]] = {
    verb.request: msgspec.json.Decoder(verb.request) for verb in VERBS.values()
}
_FIELD = re.compile(r"field `([^`]*)`|at `\$\.?([^`]*)`")
_PLACE = re.compile(r" - at `[^`]*`")


def parse_request(data: object, request: type[R]) -> R:
    """Check a request, given as JSON bytes or as plain objects; None stands for no arguments.

    Raises EngineError("invalid"), whose `field` names the argument at fault.
    """
    try:
        if isinstance(data, bytes):
            return cast(R, _DECODERS[request].decode(data or b"{}"))
        return msgspec.convert({} if data is None else data, request)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError("invalid", f"The request is not JSON: {error}") from error


def _invalid(problem: str) -> EngineError:
    match = _FIELD.search(problem)
    field = next((group for group in match.groups() if group), None) if match else None
    said = _PLACE.sub("", problem).rstrip(".")
    return EngineError("invalid", f"{field}: {said}." if field else f"{said}.", field)
