"""Lone surrogates and NULs, which editors may hold and send: legal JSON, and no legal UTF-8."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, remember
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNUSUAL = ("\ud83d", "\udc00\ud83d", "\x00", "\ud800 \x00 \udfff")


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[True, False], ids=["standalone", "shared"]
)
async def window(request: pytest.FixtureRequest, new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    """A window whose engine is in its own process, or behind the socket."""
    home = new_home()
    async with editor_window(home, standalone=request.param) as window:
        await remember(window)
        yield window
    if not request.param:
        subprocess.run([sys.executable, "-m", "remanence", "--home", str(home.root), "stop"], check=True)


@pytest.mark.parametrize("unusual", UNUSUAL)
async def test_hover_answers_over_unusual_text(window: Window, unusual: str) -> None:
    uri = window.open(
        "file:///p/a.py", f"# {unusual} parse_invoice_total raises {unusual}\nparse_invoice_total{unusual}"
    )
    for line, character in ((0, 8), (0, 20), (1, 3), (1, 19), (1, 20)):
        await window.hover(uri, line, character)
    hover = await window.hover(uri, 1, 3)
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    assert "parse_invoice_total" in hover.contents.value


@pytest.mark.parametrize("unusual", UNUSUAL)
@pytest.mark.parametrize(
    ("language", "before"), [("python", "#? "), ("markdown", ""), ("codecompanion", "## Me\n\n")]
)
async def test_completion_answers_over_unusual_text(
    window: Window, unusual: str, language: str, before: str
) -> None:
    text = f"{before}retry the websocket {unusual} connection"
    uri = window.open("file:///p/b", text, language)
    lines = text.split("\n")
    completions = await window.complete(uri, len(lines) - 1, 1000)
    assert completions is not None
    assert "Prompt with memory" in [item.label for item in completions.items]


@pytest.mark.parametrize("unusual", UNUSUAL)
@pytest.mark.parametrize("uri", ["file:///p/c.py", "file:///p/{}.py"])
async def test_commands_take_unusual_text(window: Window, unusual: str, uri: str) -> None:
    uri = uri.format(unusual)
    exchange = {
        "question": f"numbat {unusual} {uri}?",
        "answer": f"a {unusual} b",
        "uri": uri,
        "tags": [unusual],
    }
    captured = await window.command("capture", {**exchange, "conversationId": unusual, "turnKey": unusual})
    stored = await window.command("memory", {"id": captured["id"]})
    assert stored["answer"].startswith("a ")
    recalled = await window.command("recall", {"query": f"numbat {unusual}", "uri": uri, "symbol": unusual})
    assert any("numbat" in memory["question"] for memory in recalled["memories"])
    enriched = await window.command(
        "enrichPrompt", {"prompt": f"retry {unusual} websocket backoff", "uri": uri}
    )
    assert enriched["prompt"].endswith("websocket backoff")


@pytest.mark.parametrize(
    ("name", "field"), [("memory", "id"), ("import", "path"), ("jobs", "jobId"), ("cancel", "jobId")]
)
@pytest.mark.parametrize("unusual", UNUSUAL)
async def test_names_of_what_does_not_exist_are_no_internal_error(
    window: Window, unusual: str, name: str, field: str
) -> None:
    with pytest.raises(JsonRpcException) as caught:
        await window.command(name, {field: unusual})
    assert caught.value.code in (types.ErrorCodes.InvalidParams, types.LSPErrorCodes.RequestFailed)


@pytest.mark.parametrize("unusual", UNUSUAL)
async def test_forgetting_ids_that_do_not_exist_forgets_nothing(window: Window, unusual: str) -> None:
    assert (await window.command("forget", {"ids": [unusual]}))["forgotten"] == 0


@pytest.mark.parametrize("unusual", UNUSUAL)
async def test_an_address_of_no_memory_is_no_internal_error(window: Window, unusual: str) -> None:
    with pytest.raises(JsonRpcException) as caught:
        await window.client.workspace_text_document_content_async(
            types.TextDocumentContentParams(f"remanence:/memory/{unusual}.md")
        )
    assert caught.value.code in (types.ErrorCodes.InvalidParams, types.LSPErrorCodes.RequestFailed)
