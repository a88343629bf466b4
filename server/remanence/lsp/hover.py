"""textDocument/hover: what was said before about the identifier, call, import, error or comment here."""

from __future__ import annotations

import logging

from lsprotocol import types

from remanence.engine.client import EngineError
from remanence.engine.messages import RecallRequest
from remanence.lsp.clock import now_ms
from remanence.lsp.documents import open_document, place_of
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.markdown import hover_text
from remanence.lsp.model_hover import ask_model
from remanence.lsp.position import client_range, column
from remanence.lsp.under_cursor import Subject, subject_at

log = logging.getLogger(__name__)


async def hover(ls: RemanenceLanguageServer, params: types.HoverParams) -> types.Hover | None:
    """Two or three memories, or null: over nothing worth asking, with nothing relevant remembered, while
    the engine is not up yet, and where the pointer has moved on: a newer hover in the same document ends
    this one, in the engine too. The engine abstains rather than guess."""
    return await ls.hovers.latest(params.text_document.uri, _hover(ls, params))


async def _hover(ls: RemanenceLanguageServer, params: types.HoverParams) -> types.Hover | None:
    document = open_document(ls.workspace, params.text_document.uri)
    if document is None or not ls.options.hover.enabled:
        return None
    lines = document.lines
    encoding = ls.workspace.position_encoding
    line = params.position.line
    if line >= len(lines):
        return None
    at = column(lines[line], params.position.character, encoding)
    subject = subject_at(lines, line, at, document.language_id or "")
    if subject is None:
        return None
    engine = await ls.engine.soon()
    if engine is None:
        return None
    uri = place_of(ls.workspace, document.uri)
    request = request_for(subject, uri, document.language_id, ls.options.hover.limit)
    asked = ask_model(ls, engine, document, line, subject) if ls.options.hover.model else None
    try:
        recalled = await engine.recall(request)
    except EngineError as error:
        log.warning("Hover without memories: %s", error.code)
        return None
    said = await asked.within(ls.options.hover.model_ms / 1000) if asked is not None else None
    if not recalled.memories and said is None:
        return None
    return types.Hover(
        contents=hover_text(recalled.memories, ls.features.hover, now_ms(), said=said),
        range=client_range(lines, (line, subject.start), (line, subject.end), encoding),
    )


def request_for(subject: Subject, uri: str, language_id: str | None, limit: int) -> RecallRequest:
    """What the engine is asked about a subject in this document."""
    return RecallRequest(
        query=subject.query,
        symbol=subject.symbol,
        uri=uri,
        language_id=language_id,
        limit=limit,
        automatic=True,
    )
