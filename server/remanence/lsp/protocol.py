"""pygls' protocol with six of its habits mended (pygls 2.1.1).

- Commands run as cancellable requests and get their argument as plain JSON: pygls drives them through a
  generator whose body runs on after a cancel, and matches arguments against Python signatures.
- A command's progress tokens reach it: pygls gives it the arguments alone.
- Finished notifications are let go of: pygls keeps a future for each, so a day's typing is never freed.
- `exit` right behind `shutdown` does not keep that from being answered.
- A request that cannot be read is answered with an error: pygls only logs it, and the client waits.
- Lone surrogates, which JSON can say and UTF-8 cannot, are U+FFFD from here on. That is as long in every
  position encoding, so no position moves.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams, JsonRpcMethodNotFound
from pygls.protocol import LanguageServerProtocol, lsp_method

from remanence.lsp.documents import DocumentWorkspace
from remanence.lsp.markdown import SCHEME
from remanence.lsp.telling import STREAMED, with_tokens

if TYPE_CHECKING:
    from remanence.lsp.language_server import RemanenceLanguageServer

_SURROGATE = re.compile("[\ud800-\udfff]")

Command = Callable[[object], Awaitable[object]]
"""A registered command takes its one argument as plain JSON (None where there is none) and gives such."""


class RemanenceProtocol(LanguageServerProtocol):
    _server: RemanenceLanguageServer  # pyright: ignore[reportIncompatibleVariableOverride]

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        """Announce what only some clients know (LSP 3.18) to those that announced it: memories as
        documents, and inline completion."""
        result = yield from super().lsp_initialize(params)
        in_document = params.capabilities.text_document
        if in_document is None or in_document.inline_completion is None:
            result.capabilities.inline_completion_provider = None
        workspace = result.capabilities.workspace
        client = params.capabilities.workspace
        if workspace is not None and client is not None and client.text_document_content is not None:
            workspace.text_document_content = types.TextDocumentContentOptions(schemes=[SCHEME])
        return result

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, params: types.ExecuteCommandParams
    ) -> object:
        """Run a command as a task of its own, which a cancelled request cancels."""
        command = cast("Command | None", self.fm.commands.get(params.command))
        if command is None:
            raise JsonRpcMethodNotFound(f"There is no command {params.command!r}.")
        arguments = list(params.arguments or [])
        if len(arguments) > 1:
            raise JsonRpcInvalidParams(f"{params.command} takes one object, not {len(arguments)} arguments.")
        return await command(arguments[0] if arguments else None)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """End the reading of messages. What is under way is still answered: see `serve`."""
        raise SystemExit

    @property
    def is_shut_down(self) -> bool:
        """Whether the client asked for the end before it ended."""
        return self._shutdown

    def adopt_workspace(self) -> None:
        """Take documents whose lines are LSP's in place of pygls' own; to be called while initialising."""
        before = self.workspace
        self._workspace = DocumentWorkspace(
            before.root_uri,
            self._server.sync_kind,
            list(before.folders.values()),
            before.position_encoding,
        )

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Called for every object of a message, the innermost first."""
        for name, value in data.items():
            if isinstance(value, str):
                data[name] = _encodable(value)
            elif isinstance(value, list):
                data[name] = _encodable_items(cast("list[object]", value))
        if data.get("method") == types.WORKSPACE_EXECUTE_COMMAND and isinstance(data.get("params"), dict):
            params = cast("dict[str, object]", data["params"])
            if params.get("command") == STREAMED:
                with_tokens(params)
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                reasons = cattrs.transform_error(error.__cause__) if error.__cause__ else []
                error.message = "; ".join([error.message, *(_without_root(reason) for reason in reasons)])
                self._send_response(data["id"], error=error.to_response_error())
            raise

    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[..., Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        def finished(future: Future[Any]) -> None:
            # A cancelled one stays: pygls cancels while it walks through this very dictionary.
            if not future.cancelled():
                self._request_futures.pop(msg_id, None)
            callback(future)

        super()._execute_handler(msg_id, handler, finished, args, kwargs)


def _encodable(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _encodable_items(values: list[object]) -> list[object]:
    return [
        _encodable(value)
        if isinstance(value, str)
        else _encodable_items(cast("list[object]", value))
        if isinstance(value, list)
        else value
        for value in values
    ]


def _without_root(reason: str) -> str:
    return reason.replace("@ $.params.", "at ").replace("@ $.", "at ")
