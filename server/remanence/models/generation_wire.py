"""What the engine and a model worker say to each other: one JSON object per line, each way.

Every command but `Cancel` is answered: with any number of `Loading` or `Piece`, then one other reply of the
same id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
from msgspec import Struct

from remanence.models.language_model import Capabilities, Generation, LoadRequest, Usage


class Load(Struct, frozen=True, tag=True):
    """Load a model; the first command, given once. Answered with `Loading` where the library tells how far
    it is, then `Loaded`."""

    id: int
    asked: LoadRequest


class Generate(Struct, frozen=True, tag=True):
    """Write. Answered with pieces, then `Ended`."""

    id: int
    asked: Generation


class Cancel(Struct, frozen=True, tag=True):
    """Write no more of the generation of this id, which ends as it always does."""

    id: int


class Count(Struct, frozen=True, tag=True):
    """How many tokens the text takes. Answered with `Counted`, between two tokens of a generation too."""

    id: int
    text: str


class UseAdapter(Struct, frozen=True, tag=True):
    """Apply a LoRA, or none. Answered with `Done`."""

    id: int
    path: str | None


class Loading(Struct, frozen=True, tag=True):
    """This share of the model is there, 0 to 1."""

    id: int
    share: float


class Loaded(Struct, frozen=True, tag=True):
    """The model is there."""

    id: int
    capabilities: Capabilities


class Piece(Struct, frozen=True, tag=True):
    """More text of a generation."""

    id: int
    text: str


class Ended(Struct, frozen=True, tag=True):
    """A generation is over."""

    id: int
    usage: Usage


class Counted(Struct, frozen=True, tag=True):
    """What `Count` asked."""

    id: int
    tokens: int


class Done(Struct, frozen=True, tag=True):
    """A command that gives nothing was carried out."""

    id: int


class Failed(Struct, frozen=True, tag=True):
    """The command was not carried out, or not to its end; why, in words."""

    id: int
    error: str


Command = Load | Generate | Cancel | Count | UseAdapter
Reply = Loading | Loaded | Piece | Ended | Counted | Done | Failed

# Made at import: msgspec (0.22) can end the process where two threads decode a type for the first time.
_COMMANDS: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_REPLIES: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def to_line(message: Command | Reply) -> bytes:
    """One line of UTF-8; what that cannot say, a lone surrogate, is a question mark."""
    try:
        return msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(_well_formed(msgspec.to_builtins(message))) + b"\n"


def read_command(line: bytes) -> Command:
    """Raises msgspec.DecodeError where the line is none."""
    return _COMMANDS.decode(line)


def read_reply(line: bytes) -> Reply:
    """Raises msgspec.DecodeError where the line is none."""
    return _REPLIES.decode(line)


def _well_formed(said: object) -> object:
    if isinstance(said, str):
        return said.encode("utf-8", "replace").decode()
    if isinstance(said, Mapping):
        items = cast(Mapping[str, object], said).items()
        return {cast(str, _well_formed(name)): _well_formed(each) for name, each in items}
    if isinstance(said, list | tuple):
        return [_well_formed(each) for each in cast(list[object], said)]
    return said
