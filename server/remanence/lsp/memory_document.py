"""workspace/textDocumentContent: a memory, or an answer just given, as a read-only Markdown document.

A memory's address is `remanence:/memory/<id>/<words of the question>.md`, or `remanence:/memory/<id>.md`;
that of an answer is in `kept_answers`.

Only clients that announced the request are told of it (LSP 3.18).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from remanence.engine.client import EngineError
from remanence.engine.messages import MemoryRequest
from remanence.lsp.clock import now_ms
from remanence.lsp.engine_errors import ENGINE_SECONDS, as_response
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.markdown import SCHEME, document

_ADDRESS = re.compile(rf"{SCHEME}:/{{0,3}}memory/([^/?#]+?)(?:/[^/?#]*)?(?:\.md)?$")


async def memory_document(
    ls: RemanenceLanguageServer, params: types.TextDocumentContentParams
) -> types.TextDocumentContentResult:
    """The whole memory. An address of another form is invalid; a forgotten memory is not found."""
    answer = ls.answers.text(params.uri)
    if answer is not None:
        return types.TextDocumentContentResult(text=answer)
    address = _ADDRESS.match(params.uri)
    if address is None:
        raise JsonRpcInvalidParams(
            f"uri: {params.uri} is not the address of a memory or of an answer that is still kept."
        )
    try:
        engine = await ls.engine.client(ENGINE_SECONDS)
        memory = await engine.memory(MemoryRequest(id=unquote(address.group(1))))
    except EngineError as error:
        raise as_response(error) from error
    return types.TextDocumentContentResult(text=document(memory, now_ms()))
