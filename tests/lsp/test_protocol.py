"""pygls' protocol as this server needs it, in process."""

from __future__ import annotations

import io
import json
from pathlib import Path

from lsprotocol import types
from pygls.io_ import StdoutWriter

from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.server import create_server
from remanence.paths import Home

URI = "file:///p/app.py"


def say(server: RemanenceLanguageServer, method: str, **params: object) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    server.protocol.handle_message(
        json.loads(json.dumps(message), object_hook=server.protocol.structure_message)
    )


def initialized_server(home: Path) -> RemanenceLanguageServer:
    server = create_server(Home(home))
    server.protocol.set_writer(StdoutWriter(io.BytesIO()))
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
    server.protocol.handle_message(
        json.loads(json.dumps(request), object_hook=server.protocol.structure_message)
    )
    return server


async def test_a_day_of_typing_leaves_nothing_behind(tmp_path: Path) -> None:
    server = initialized_server(tmp_path)
    document = {"uri": URI, "languageId": "python", "version": 1, "text": ""}
    say(server, types.TEXT_DOCUMENT_DID_OPEN, textDocument=document)
    for version in range(2, 200):
        where = {"line": 0, "character": version - 2}
        say(
            server,
            types.TEXT_DOCUMENT_DID_CHANGE,
            textDocument={"uri": URI, "version": version},
            contentChanges=[{"range": {"start": where, "end": where}, "text": "x"}],
        )
    assert server.workspace.get_text_document(URI).source == "x" * 198
    assert len(server.protocol._request_futures) == 0


async def test_initialize_touches_no_file(tmp_path: Path) -> None:
    server = initialized_server(tmp_path / "home")
    assert server.server_capabilities.hover_provider
    assert not (tmp_path / "home").exists()


async def test_nothing_is_announced_that_the_client_did_not_announce(tmp_path: Path) -> None:
    capabilities = initialized_server(tmp_path).server_capabilities
    assert capabilities.notebook_document_sync is None
    assert capabilities.workspace is not None
    assert capabilities.workspace.text_document_content is None
