"""What a door no longer wants: the engine's work on it stops, and what has not begun never does."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from remanence import __version__
from remanence.engine import messages as m
from remanence.engine.address import bind, write_address
from remanence.engine.app import Activity, create_app
from remanence.engine.client import EngineClient
from remanence.engine.socket_client import SocketClient
from remanence.engine.verbs import Cancelled, EngineError
from remanence.paths import Home

DOCUMENT = "file:///p/app.py"
OTHER = "file:///p/other.py"
THREADS = 4  # as many verbs as the engine runs at once


class Recalls:
    """A `recall` that lasts until it is let go or finds that nobody waits for it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, request: m.RecallRequest, cancelled: Cancelled) -> m.RecallResponse:
        self.begun.append(request.query)
        while not self.let_go.wait(0.005):
            if cancelled():
                self.stopped.append(request.query)
                raise EngineError("cancelled", "The request was cancelled.")
        return m.RecallResponse(memories=[], took_ms=0.0)


@asynccontextmanager
async def serving(home: Home, recalls: Recalls) -> AsyncIterator[tuple[EngineClient, Activity]]:
    """The engine's HTTP interface on its real socket, and a door to it."""
    activity = Activity()
    listening, address = bind(home, __version__, "token")
    app = create_app(
        {"recall": recalls}, {}, activity, lambda: None, home=str(home.root), token=address.token
    )
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    write_address(home, address)
    client = SocketClient(home)
    try:
        yield client, activity
    finally:
        recalls.let_go.set()
        await client.close()
        server.should_exit = True
        await running


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def ask(client: EngineClient, query: str) -> asyncio.Task[m.RecallResponse]:
    return asyncio.create_task(client.recall(m.RecallRequest(query=query)))


async def test_work_under_way_is_told_that_its_door_hung_up(home: Home) -> None:
    recalls = Recalls()
    async with serving(home, recalls) as (client, activity):
        asking = ask(client, "overtaken")
        await until(lambda: recalls.begun == ["overtaken"])
        asking.cancel()
        await until(lambda: recalls.stopped == ["overtaken"])
        await until(lambda: activity.requests == 0)


async def test_work_that_waits_for_a_thread_never_begins_once_its_door_hung_up(home: Home) -> None:
    recalls = Recalls()
    async with serving(home, recalls) as (client, activity):
        busy = [ask(client, f"busy {number}") for number in range(THREADS)]
        await until(lambda: len(recalls.begun) == THREADS)
        waiting = ask(client, "overtaken")
        await until(lambda: activity.requests == THREADS + 1)
        waiting.cancel()
        await until(lambda: activity.requests == THREADS)
        recalls.let_go.set()
        await asyncio.gather(*busy, ask(client, "later"))
        assert sorted(recalls.begun) == [*(f"busy {number}" for number in range(THREADS)), "later"]


async def test_a_hover_that_the_editor_cancels_stops_in_the_engine(home: Home) -> None:
    recalls = Recalls()
    async with serving(home, recalls) as (_, activity), editor(home) as client:
        text = types.TextDocumentItem(DOCUMENT, "python", 1, "parse_invoice_total(text)")
        client.text_document_did_open(types.DidOpenTextDocumentParams(text))
        params = types.HoverParams(types.TextDocumentIdentifier(DOCUMENT), types.Position(0, 3))
        number, hover = 0, None
        while not recalls.begun:  # the language server may still be reaching for its engine
            if hover is None or hover.done():  # one at a time: a second would overtake the first
                number += 1
                asking = client.protocol.send_request_async(
                    types.TEXT_DOCUMENT_HOVER, params, msg_id=f"hover {number}"
                )
                hover = asyncio.ensure_future(asking)
            await asyncio.wait({hover}, timeout=0.05)
        assert hover is not None
        client.cancel_request(types.CancelParams(id=f"hover {number}"))
        await until(lambda: recalls.stopped == recalls.begun)
        await until(lambda: activity.requests == 0)
        with pytest.raises(JsonRpcException):
            await hover


async def test_a_newer_hover_in_the_same_document_stops_the_one_before_and_no_other(home: Home) -> None:
    recalls = Recalls()
    async with serving(home, recalls) as (_, activity), editor(home) as client:
        for uri in (DOCUMENT, OTHER):
            text = types.TextDocumentItem(uri, "python", 1, "parse_invoice_total(text)")
            client.text_document_did_open(types.DidOpenTextDocumentParams(text))

        def hover(uri: str) -> asyncio.Future[types.Hover | None]:
            params = types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(0, 3))
            return asyncio.ensure_future(client.text_document_hover_async(params))

        first = hover(DOCUMENT)
        while not recalls.begun:  # the language server may still be reaching for its engine
            await asyncio.wait({first}, timeout=0.5)
            first = hover(DOCUMENT) if first.done() else first
        elsewhere = hover(OTHER)
        await until(lambda: activity.requests == 2)
        newer = hover(DOCUMENT)
        assert await first is None
        await until(lambda: len(recalls.begun) == 3 and len(recalls.stopped) == 1)
        await until(lambda: activity.requests == 2)  # the stopped one is still on its way out
        recalls.let_go.set()
        assert await asyncio.gather(elsewhere, newer) == [None, None]
        assert len(recalls.stopped) == 1


@asynccontextmanager
async def editor(home: Home) -> AsyncIterator[LanguageClient]:
    """An editor with a language server of its own on this data directory."""
    client = LanguageClient("test", "1")
    environment = {**os.environ, "REMANENCE_HOME": str(home.root)}
    await client.start_io(sys.executable, "-m", "remanence", "lsp", env=environment)
    try:
        await client.initialize_async(types.InitializeParams(capabilities=types.ClientCapabilities()))
        client.initialized(types.InitializedParams())
        yield client
        await client.shutdown_async(None)
        client.exit(None)
    except BaseException:
        if client._server is not None and client._server.returncode is None:
            client._server.kill()  # `stop` would wait for it, for ever
        raise
    finally:
        await client.stop()
