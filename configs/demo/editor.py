"""The editor's side of the demo: an LSP client on the language server's standard input and output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from remanence.engine import messages as m

R = TypeVar("R", bound=m.Response)
T = TypeVar("T")

_REQUEST_S = 60.0
_SHUTDOWN_S = 15.0

CAPABILITIES = types.ClientCapabilities(
    general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
    text_document=types.TextDocumentClientCapabilities(
        hover=types.HoverClientCapabilities(content_format=[types.MarkupKind.Markdown]),
        completion=types.CompletionClientCapabilities(
            completion_item=types.ClientCompletionItemOptions(
                documentation_format=[types.MarkupKind.Markdown],
                label_details_support=True,
                resolve_support=types.ClientCompletionItemResolveOptions(
                    properties=["documentation", "detail", "additionalTextEdits"]
                ),
            ),
            context_support=True,
        ),
    ),
)


class DemoError(Exception):
    """What the demo expected and did not see, in one sentence."""


class _Client(LanguageClient):
    """pygls' client, with the server's process in view."""

    @property
    def process(self) -> asyncio.subprocess.Process | None:
        return self._server


class Editor:
    """One editor window: a language server process and the documents that are open in it."""

    def __init__(self) -> None:
        self._client = _Client("remanence-demo", "1")
        self._said: list[str] = []
        self._listening: asyncio.Task[None] | None = None
        self._versions: dict[str, int] = {}
        self.capabilities = types.ServerCapabilities()

        @self._client.feature(types.WINDOW_SHOW_MESSAGE)
        def shown(params: types.ShowMessageParams) -> None:
            self._said.append(params.message)

        @self._client.feature(types.WINDOW_LOG_MESSAGE)
        def logged(params: types.LogMessageParams) -> None:
            self._said.append(params.message)

    async def start(self, environment: Mapping[str, str], folder: Path) -> types.InitializeResult:
        """Start `python -m remanence lsp` and shake hands, as an editor does when a file is opened."""
        await self._client.start_io(sys.executable, "-m", "remanence", "lsp", env=dict(environment))
        process = self._client.process
        if process is not None and process.stderr is not None:
            self._listening = asyncio.create_task(self._listen(process.stderr))
        answer = await self._answered(
            "initialize",
            self._client.initialize_async(
                types.InitializeParams(
                    capabilities=CAPABILITIES,
                    process_id=None,
                    client_info=types.ClientInfo(name="remanence-demo", version="1"),
                    root_uri=folder.as_uri(),
                    workspace_folders=[types.WorkspaceFolder(uri=folder.as_uri(), name=folder.name)],
                )
            ),
        )
        self.capabilities = answer.capabilities
        self._client.initialized(types.InitializedParams())
        return answer

    async def run(self, command: str, request: m.Request, response: type[R]) -> R:
        """`workspace/executeCommand`, with the objects that the engine's messages define."""
        arguments = [msgspec.to_builtins(request)]
        answer = await self._answered(
            command,
            self._client.workspace_execute_command_async(
                types.ExecuteCommandParams(command=command, arguments=arguments)
            ),
        )
        try:
            return msgspec.convert(answer, response)
        except msgspec.ValidationError as error:
            raise DemoError(f"{command} gave something else than a {response.__name__}: {error}") from error

    def open(self, path: Path, language_id: str) -> str:
        """`textDocument/didOpen`; the document's URI."""
        uri = path.as_uri()
        self._versions[uri] = 1
        document = types.TextDocumentItem(
            uri=uri, language_id=language_id, version=1, text=path.read_text(encoding="utf-8")
        )
        self._client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=document))
        return uri

    def type(self, uri: str, position: types.Position, text: str) -> types.Position:
        """Type `text` (one line) at `position`, unsaved; where the cursor is afterwards."""
        self._versions[uri] += 1
        self._client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                text_document=types.VersionedTextDocumentIdentifier(uri=uri, version=self._versions[uri]),
                content_changes=[
                    types.TextDocumentContentChangePartial(range=types.Range(position, position), text=text)
                ],
            )
        )
        return types.Position(position.line, position.character + len(text))

    async def hover(self, uri: str, position: types.Position) -> str:
        """The Markdown of the hover at `position`; empty where there is none."""
        params = types.HoverParams(text_document=types.TextDocumentIdentifier(uri), position=position)
        answer = await self._answered("hover", self._client.text_document_hover_async(params))
        return answer.contents.value if answer and isinstance(answer.contents, types.MarkupContent) else ""

    async def complete(self, uri: str, position: types.Position) -> list[types.CompletionItem]:
        """What the completion menu holds when it is asked for by hand at `position`."""
        params = types.CompletionParams(
            text_document=types.TextDocumentIdentifier(uri),
            position=position,
            context=types.CompletionContext(trigger_kind=types.CompletionTriggerKind.Invoked),
        )
        answer = await self._answered("completion", self._client.text_document_completion_async(params))
        if answer is None:
            return []
        return list(answer.items if isinstance(answer, types.CompletionList) else answer)

    async def resolve(self, item: types.CompletionItem) -> types.CompletionItem:
        """`completionItem/resolve`, sent when the user's choice rests on an item."""
        return await self._answered("resolve", self._client.completion_item_resolve_async(item))

    async def close(self) -> int:
        """`shutdown` and `exit`; the server's exit status."""
        await self._answered("shutdown", self._client.shutdown_async(None))
        self._client.exit(None)
        try:
            await asyncio.wait_for(self._client.stop(), _SHUTDOWN_S)
        except TimeoutError:
            await self.kill()
            raise DemoError(f"the server did not end within {_SHUTDOWN_S:.0f} s of exit") from None
        if self._listening is not None:
            await self._listening
        process = self._client.process
        return -1 if process is None or process.returncode is None else process.returncode

    async def kill(self) -> None:
        """End the server's process where it does not end by itself, and wait for it."""
        process = self._client.process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._said.append(line.decode("utf-8", "replace").rstrip())

    async def _answered(self, what: str, request: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(request, _REQUEST_S)
        except TimeoutError:
            raise DemoError(f"{what} had no answer after {_REQUEST_S:.0f} s{self._last_words()}") from None
        except (JsonRpcException, RuntimeError, OSError) as error:  # RuntimeError: pygls, the server ended
            raise DemoError(f"{what} failed: {error}{self._last_words()}") from error

    def _last_words(self) -> str:
        said = [line for line in self._said if line.strip()][-3:]
        return f"; the server's last words: {' / '.join(said)}" if said else ""
