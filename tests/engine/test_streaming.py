"""Answers in parts: over the socket and in process, ended early from either side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

import pytest
import uvicorn

from remanence import __version__
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.address import bind, write_address
from remanence.engine.app import Activity, create_app
from remanence.engine.client import EngineClient, LocalClient
from remanence.engine.socket_client import SocketClient
from remanence.engine.verbs import Cancelled, EngineError, StreamHandler
from remanence.paths import Home

QUESTION = mm.AskRequest(prompt="why?")


@asynccontextmanager
async def over_the_socket(home: Home, handler: StreamHandler) -> AsyncIterator[tuple[EngineClient, Activity]]:
    activity = Activity()
    listening, address = bind(home, __version__, "token")
    app = create_app({}, {"ask": handler}, activity, lambda: None, home=str(home.root), token=address.token)
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    write_address(home, address)
    client = SocketClient(home)
    try:
        yield client, activity
    finally:
        await client.close()
        server.should_exit = True
        await running


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def listen(client: EngineClient, said: list[str]) -> None:
    async for event in client.ask(QUESTION):
        said.append(event.text)  # noqa: PERF401  what was said before an error counts


def two_parts(request: mm.AskRequest, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
    yield mm.AskEvent(text="be")
    yield mm.AskEvent(text="cause\n")
    yield mm.AskEvent(end=mm.AskResponse(answer="because\n"))


def failing_midway(request: mm.AskRequest, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
    yield mm.AskEvent(text="be")
    raise EngineError("unavailable", "The model is gone.", "model")


def breaking_midway(request: mm.AskRequest, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
    yield mm.AskEvent(text="be")
    raise KeyError("the words of a memory")


class Endless:
    """Writes until nobody listens."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __call__(self, request: mm.AskRequest, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
        try:
            while not cancelled():
                yield mm.AskEvent(text="and ")
        finally:
            self.ended.set()


async def test_parts_come_in_order_and_the_whole_at_the_end(home: Home) -> None:
    async with over_the_socket(home, cast(StreamHandler, two_parts)) as (client, activity):
        events = [event async for event in client.ask(QUESTION)]
        await until(lambda: activity.requests == 0)
    assert [event.text for event in events] == ["be", "cause\n", ""]
    assert events[-1].end == mm.AskResponse(answer="because\n")


async def test_an_engine_in_the_same_process_gives_the_same_parts() -> None:
    client = LocalClient({}, {"ask": cast(StreamHandler, two_parts)}, lambda: None)
    assert [event.text async for event in client.ask(QUESTION)] == ["be", "cause\n", ""]
    await client.close()


async def test_an_error_in_the_middle_comes_after_what_was_said(home: Home) -> None:
    said: list[str] = []
    async with over_the_socket(home, cast(StreamHandler, failing_midway)) as (client, _):
        with pytest.raises(EngineError, match="The model is gone") as caught:
            await listen(client, said)
    assert said == ["be"]
    assert (caught.value.code, caught.value.field) == ("unavailable", "model")


async def test_a_fault_of_ours_is_an_error_that_quotes_nothing(home: Home) -> None:
    async with over_the_socket(home, cast(StreamHandler, breaking_midway)) as (client, _):
        with pytest.raises(EngineError, match="KeyError") as caught:
            [event async for event in client.ask(QUESTION)]
    assert caught.value.code == "internal"
    assert "memory" not in caught.value.message


async def test_work_ends_when_the_door_stops_reading(home: Home) -> None:
    endless = Endless()
    async with over_the_socket(home, cast(StreamHandler, endless)) as (client, activity):
        async with aclosing(client.ask(QUESTION)) as events:  # type: ignore[type-var]
            assert (await anext(events)).text == "and "
        await until(endless.ended.is_set)
        await until(lambda: activity.requests == 0)


async def test_work_ends_when_whoever_waits_is_cancelled(home: Home) -> None:
    endless = Endless()
    async with over_the_socket(home, cast(StreamHandler, endless)) as (client, _):
        heard = asyncio.Event()

        async def listen() -> None:
            async for _ in client.ask(QUESTION):
                heard.set()

        listening = asyncio.create_task(listen())
        await heard.wait()
        listening.cancel()
        await until(endless.ended.is_set)


async def test_what_cannot_be_asked_is_refused_before_anything_streams(home: Home) -> None:
    async with over_the_socket(home, cast(StreamHandler, two_parts)) as (client, _):
        with pytest.raises(EngineError) as caught:
            [event async for event in client.stream("ask", m.RecallRequest(query="no prompt"))]
    assert caught.value.code == "invalid"
