"""The time by the wall, for ages."""

from __future__ import annotations

import time


def now_ms() -> int:
    """UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000
