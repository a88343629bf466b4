"""Points in time as UTC epoch milliseconds, from whatever a tool or a client wrote."""

from __future__ import annotations

import time
from datetime import UTC, datetime

_DAY_MS = 86_400_000
_EARLIEST_MS = 1_420_070_400_000  # 2015-01-01: before any assistant worth remembering


def now_ms() -> int:
    """The current time in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def to_ms(value: object) -> int | None:
    """Read a number (s, ms, µs or ns by magnitude) or an ISO-8601 string as epoch milliseconds.

    A string without an offset is local time of this machine. None for anything else, and for
    times before 2015 or more than a day ahead: a clock that is wrong is worse than none.
    """
    ms: float
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            ms = _number_to_ms(float(value))
        except OverflowError:
            return None
    elif isinstance(value, str):
        text = value.strip()
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            try:
                ms = _number_to_ms(float(text))
            except ValueError:
                return None
        else:
            try:
                ms = moment.timestamp() * 1000
            except (OverflowError, OSError, ValueError):
                return None
    else:
        return None
    if not _EARLIEST_MS <= ms <= now_ms() + _DAY_MS:
        return None
    return int(ms)


def to_iso(ms: int | None) -> str | None:
    """The same moment as an ISO-8601 string in UTC, or None."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _number_to_ms(number: float) -> float:
    if number != number or number in (float("inf"), float("-inf")):
        return -1.0
    if number < 1e11:
        return number * 1000
    if number < 1e14:
        return number
    if number < 1e17:
        return number / 1000
    return number / 1_000_000
