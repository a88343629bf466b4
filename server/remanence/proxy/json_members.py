"""Bodies changed in one place: every other value keeps the bytes that the client wrote."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

Members = dict[str, Raw]

_NOT_SO_WRITTEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_members = msgspec.json.Decoder(Members)
_items = msgspec.json.Decoder(list[Raw])
_string = msgspec.json.Decoder(str)


class Unreadable(Exception):
    """The body is none that we understand: it is passed on as it is."""


def members_of(value: bytes | Raw) -> Members:
    """The members of an object, in order, each as it is written. Raises Unreadable."""
    try:
        return _members.decode(value)
    except _NOT_SO_WRITTEN as error:
        raise Unreadable from error


def items_of(value: bytes | Raw) -> list[Raw]:
    """The items of an array, each as it is written. Raises Unreadable."""
    try:
        return _items.decode(value)
    except _NOT_SO_WRITTEN as error:
        raise Unreadable from error


def string_of(value: bytes | Raw | None) -> str | None:
    """The string that is written here; None where it is something else."""
    if value is None:
        return None
    try:
        return _string.decode(value)
    except _NOT_SO_WRITTEN:
        return None


def is_list(value: bytes | Raw | None) -> bool:
    return value is not None and bytes(memoryview(value)[:1]) == b"["


def is_object(value: bytes | Raw | None) -> bool:
    return value is not None and bytes(memoryview(value)[:1]) == b"{"


def is_true(value: bytes | Raw | None) -> bool:
    return value is not None and bytes(memoryview(value)[:5]) == b"true"


def raw(value: str | Members | Sequence[Raw]) -> Raw:
    """As it is written in JSON; what was Raw within comes out as it came in."""
    return Raw(msgspec.json.encode(value))


def with_member(value: bytes | Raw, name: str, member: Raw) -> Raw:
    """The object with one member replaced, in its place."""
    return raw({**members_of(value), name: member})
