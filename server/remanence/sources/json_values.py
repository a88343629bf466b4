"""JSON of unknown shape, narrowed: what is not there or not of the kind asked for is simply empty."""

from __future__ import annotations

from typing import cast


def mapping(value: object) -> dict[str, object]:
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []


def mappings(value: object) -> list[dict[str, object]]:
    """The objects of an array; its other elements are skipped."""
    return [cast(dict[str, object], item) for item in sequence(value) if isinstance(item, dict)]


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def optional(value: object) -> str | None:
    """A string that says something, or None."""
    return value if isinstance(value, str) and value.strip() else None


def integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
