"""`remanence lsp`: the language server put together, and run over stdin and stdout."""

from __future__ import annotations

import asyncio
import logging
import sys
from threading import Event
from typing import BinaryIO, cast

from lsprotocol import types
from pygls.io_ import StdoutWriter, run_async

from remanence.lsp import (
    code_action,
    completion,
    configuration,
    hover,
    inline_completion,
    lifetime,
    memory_document,
    sync,
)
from remanence.lsp.client_features import client_features
from remanence.lsp.commands import COMMANDS, command
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.logs import start_logging
from remanence.lsp.protocol import RemanenceProtocol
from remanence.lsp.reading import MessageReader
from remanence.paths import Home

log = logging.getLogger(__name__)


def create_server(home: Home, *, standalone: bool = False) -> RemanenceLanguageServer:
    """A language server with every handler in place; nothing is started and no file is touched.

    `standalone` runs the engine inside this process instead of sharing the user's.
    """
    server = RemanenceLanguageServer(home, standalone=standalone)
    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.SHUTDOWN)(shutdown)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(configuration.changed)
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(sync.did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(sync.did_change)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE, types.SaveOptions(include_text=False))(sync.did_save)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(sync.did_close)
    server.feature(types.TEXT_DOCUMENT_HOVER)(hover.hover)
    server.feature(
        types.TEXT_DOCUMENT_COMPLETION,
        types.CompletionOptions(trigger_characters=completion.TRIGGERS, resolve_provider=True),
    )(completion.complete)
    server.feature(types.COMPLETION_ITEM_RESOLVE)(completion.resolve)
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(
        inline_completion.inline_completion
    )
    server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=code_action.KINDS)
    )(code_action.code_actions)
    server.feature(types.WORKSPACE_TEXT_DOCUMENT_CONTENT)(memory_document.memory_document)
    for name, verb in COMMANDS.items():
        server.command(name)(command(name, verb))
    return server


def run(home: Home, *, standalone: bool = False) -> int:
    """Serve one editor until it says `exit`, closes the pipe, or dies. Returns the exit status that LSP
    asks for: 0 after `shutdown`, 1 without."""
    stdout = lifetime.take_stdout()
    home.create()
    start_logging(home)
    server = create_server(home, standalone=standalone)
    asyncio.run(serve(server, sys.stdin.buffer, stdout))
    return 0 if cast(RemanenceProtocol, server.protocol).is_shut_down else 1


async def serve(server: RemanenceLanguageServer, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Read messages until `exit` or the end of the pipe, then tidy up while the loop still runs, so that
    a `shutdown` under way is answered and what is waiting is captured. (pygls' `start_io` would not.)"""
    server.protocol.set_writer(StdoutWriter(stdout))
    reader = MessageReader(stdin, server.thread_pool)
    try:
        await run_async(Event(), reader, server.protocol, error_handler=server.report_server_error)
    except SystemExit:
        log.debug("The client said exit")
    await server.close()
    await asyncio.sleep(0)  # the answer to `shutdown` is sent by callbacks of what just ended


def initialize(ls: RemanenceLanguageServer, params: types.InitializeParams) -> None:
    """Note who the client is. Nothing is waited for: the answer goes out at once."""
    cast(RemanenceProtocol, ls.protocol).adopt_workspace()
    ls.features = client_features(params.capabilities)
    ls.initial_options = params.initialization_options


async def initialized(ls: RemanenceLanguageServer, _: types.InitializedParams) -> None:
    """Take the options, reach for the engine, and watch the editor's process."""
    ls.apply_options(ls.initial_options)
    if ls.options.standalone:
        ls.engine.standalone = True
    ls.engine.begin()
    if ls.process_id is not None:
        ls.guards.run(lifetime.end_with(ls.process_id, ls.close), "watch the editor")
    await configuration.register(ls)
    await configuration.pull(ls)
    ls.automatic.look()


async def shutdown(ls: RemanenceLanguageServer, _: None) -> None:
    """Finish what is under way; pygls answers and ends what is left afterwards."""
    await ls.close()
