"""One piece of work per document: the newest."""

from __future__ import annotations

import asyncio

import pytest

from remanence.lsp.in_flight import InFlight


async def test_a_newer_piece_of_work_ends_the_one_before_it() -> None:
    in_flight = InFlight()
    ended: list[str] = []

    async def work(name: str) -> str:
        try:
            await asyncio.sleep(3600 if name == "older" else 0)
        except asyncio.CancelledError:
            ended.append(name)
            raise
        return name

    older = asyncio.ensure_future(in_flight.latest("a", work("older")))
    other = asyncio.ensure_future(in_flight.latest("b", work("other")))
    await asyncio.sleep(0.01)
    assert await in_flight.latest("a", work("newer")) == "newer"
    assert await asyncio.gather(older, other) == [None, "other"]
    assert ended == ["older"]


async def test_cancelling_whoever_waits_cancels_the_work() -> None:
    in_flight = InFlight()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    waiting = asyncio.ensure_future(in_flight.latest("a", work()))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(ended.wait(), 5)


async def test_an_error_reaches_whoever_waits() -> None:
    async def work() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        await InFlight().latest("a", work())
