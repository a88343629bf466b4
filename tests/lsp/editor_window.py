"""An editor's window over a real server process: what the tests of LSP methods drive."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsprotocol import types
from pytest_lsp import LanguageClient, client_capabilities, make_test_lsp_client

from remanence.paths import Home

CLIENTS = ("neovim", "visual_studio_code", "emacs")

EXCHANGES: list[dict[str, object]] = [
    {
        "question": "Why does parse_invoice_total raise decimal.InvalidOperation?",
        "answer": "The amount held a thousands separator. Strip it before calling Decimal:\n\n"
        "```python\ndef parse_invoice_total(text):\n    return Decimal(text.replace(',', ''))\n```",
        "tool": "aider",
        "model": "qwen2.5-coder",
        "askedAt": "2026-03-02T09:15:00Z",
    },
    {
        "question": "How do I retry a websocket connection with exponential backoff?",
        "answer": "Double the delay after each failure, cap it at a minute and add jitter.",
        "tool": "claude_code",
        "model": "claude-demo",
        "askedAt": "2026-04-11T16:40:00Z",
    },
    {
        "question": "Is [this](command:evil) a *link*?",
        "answer": "<img src=x> No: zyzzyva_marker is only text.",
        "tool": "manual",
    },
]


@dataclass
class Window:
    """One editor window: its client, its server's process, and the documents it has open."""

    client: LanguageClient
    process: asyncio.subprocess.Process
    initialized: types.InitializeResult
    versions: dict[str, int] = field(default_factory=dict)

    def open(self, uri: str, text: str, language_id: str = "python") -> str:
        self.versions[uri] = 1
        item = types.TextDocumentItem(uri=uri, language_id=language_id, version=1, text=text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))
        return uri

    def change(self, uri: str, text: str, at: types.Range | None = None) -> None:
        """Replace a part of a document, or all of it."""
        self.versions[uri] += 1
        change = (
            types.TextDocumentContentChangePartial(range=at, text=text)
            if at is not None
            else types.TextDocumentContentChangeWholeDocument(text=text)
        )
        document = types.VersionedTextDocumentIdentifier(uri=uri, version=self.versions[uri])
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(text_document=document, content_changes=[change])
        )

    def save(self, uri: str) -> None:
        document = types.TextDocumentIdentifier(uri=uri)
        self.client.text_document_did_save(types.DidSaveTextDocumentParams(text_document=document))

    def close(self, uri: str) -> None:
        document = types.TextDocumentIdentifier(uri=uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(text_document=document))

    async def hover(self, uri: str, line: int, character: int) -> types.Hover | None:
        return await self.client.text_document_hover_async(
            types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(line, character))
        )

    async def complete(self, uri: str, line: int, character: int) -> types.CompletionList | None:
        result = await self.client.text_document_completion_async(
            types.CompletionParams(types.TextDocumentIdentifier(uri), types.Position(line, character))
        )
        assert result is None or isinstance(result, types.CompletionList)
        return result

    async def command(self, name: str, *arguments: object) -> Any:
        params = types.ExecuteCommandParams(command=f"remanence.{name}", arguments=list(arguments) or None)
        return await self.client.workspace_execute_command_async(params)

    async def exchanges(self) -> list[dict[str, Any]]:
        """Everything remembered, the newest first."""
        status = await self.command("status")
        if not status["exchanges"]:
            return []
        recalled = await self.command("recall", {"query": "the", "limit": 50, "mode": "lexical"})
        return recalled["memories"]


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """What `condition` gives once it gives something true; a failure if it never does."""
    async with asyncio.timeout(seconds):
        while not (result := await condition()):
            await asyncio.sleep(0.05)
    return result


@asynccontextmanager
async def editor_window(
    home: Home,
    client: str = "neovim",
    *,
    options: object = None,
    folders: list[Path] | None = None,
    adjust: Callable[[types.ClientCapabilities], None] | None = None,
    configuration: dict[str, Any] | None = None,
    standalone: bool = True,
    process_id: int | None = None,
) -> AsyncIterator[Window]:
    """A window of this client, initialised, with the engine inside its server unless told otherwise."""
    capabilities = client_capabilities(client)
    if adjust is not None:
        adjust(capabilities)
    language_client = make_test_lsp_client()
    if configuration is not None:
        language_client.set_configuration({"remanence": configuration})
    arguments = ["-m", "remanence", "lsp", *(["--standalone"] if standalone else [])]
    environment = {**os.environ, "REMANENCE_HOME": str(home.root)}
    await language_client.start_io(sys.executable, *arguments, env=environment)
    process = language_client._server
    assert process is not None
    try:
        result = await language_client.initialize_session(
            types.InitializeParams(
                process_id=process_id or os.getpid(),
                capabilities=capabilities,
                initialization_options=options,
                workspace_folders=[
                    types.WorkspaceFolder(uri=path.as_uri(), name=path.name) for path in folders or []
                ],
            )
        )
        yield Window(language_client, process, result)
        if process.returncode is None:
            await language_client.shutdown_session()
    finally:
        if process.returncode is None:
            process.kill()
        await language_client.stop()


async def remember(window: Window, exchanges: list[dict[str, object]] = EXCHANGES) -> list[str]:
    """Capture exchanges and wait until each can be found by meaning; their ids."""
    ids = [(await window.command("capture", exchange))["id"] for exchange in exchanges]

    async def indexed() -> bool:
        pending = (await window.command("status"))["pendingBy"]
        return not pending["embedding"] and not pending["indexing"]

    await until(indexed, 60)
    return ids
