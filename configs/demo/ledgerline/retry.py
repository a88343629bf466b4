"""Calls to the payment provider, repeated when the failure is a passing one."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def backoff_delay(attempt: int, base_delay: float, max_delay: float) -> float:
    """A random delay in seconds between 0 and the capped exponential for this attempt."""
    ceiling = min(max_delay, base_delay * 2 ** (attempt - 1))
    return random.uniform(0.0, ceiling)


async def retry_with_backoff(
    operation: Callable[[], Awaitable[T]],
    *,
    attempts: int = 5,
    base_delay: float = 0.2,
    max_delay: float = 10.0,
    retry_on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Await `operation()` until it succeeds, fails for good, or `attempts` are used up."""
    for attempt in range(1, attempts + 1):
        try:
            return await operation()
        except retry_on:
            if attempt == attempts:
                raise
            await sleep(backoff_delay(attempt, base_delay, max_delay))
    raise ValueError("attempts must be at least 1")
