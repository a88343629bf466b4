"""textDocument/completion and completionItem/resolve: earlier prompts, code and memory for a prompt.

Offered only where a prompt is typed (see `prompts`): in chat buffers and recognised transcripts, in
Markdown prose outside code fences, and in comments that open with a mark such as `#?`. Elsewhere the
answer is null at once, and the engine is not asked.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from lsprotocol import types
from pygls.workspace import TextDocument

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.messages import (
    CompleteRequest,
    CompleteResponse,
    EnrichPromptRequest,
    EnrichPromptResponse,
    MemoryRequest,
)
from remanence.lsp.clock import now_ms
from remanence.lsp.completion_items import Edits, code_item, enriched_item, question_item
from remanence.lsp.documents import open_document, place_of
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.languages import canonical
from remanence.lsp.markdown import documentation
from remanence.lsp.model_item import model_item, write_item
from remanence.lsp.position import column
from remanence.lsp.prompts import Passage, Place, passage_at
from remanence.lsp.transcript_capture import may_be_transcript
from remanence.lsp.transcripts import parse_transcript

log = logging.getLogger(__name__)

TRIGGERS = (" ", "?")
_CODE_ITEMS = 5


async def complete(
    ls: RemanenceLanguageServer, params: types.CompletionParams
) -> types.CompletionList | None:
    """Earlier questions that continue the prompt, code of earlier answers in this language, and the
    prompt with memory. The list is incomplete: what fits changes with each word typed."""
    document = open_document(ls.workspace, params.text_document.uri)
    if document is None or not ls.options.completion.enabled:
        return None
    lines = document.lines
    encoding = ls.workspace.position_encoding
    line = params.position.line
    at = column(lines[line], params.position.character, encoding) if line < len(lines) else 0
    language = document.language_id or ""
    passage = passage_at(lines, line, at, language, ls.options.completion.marks, chat=_is_chat(document))
    if passage is None:
        return None
    engine = ls.engine.ready
    if engine is None or not passage.says_enough:
        return types.CompletionList(is_incomplete=True, items=[])
    try:
        completed, enriched = await _ask(ls, engine, document, passage)
    except EngineError as error:
        log.warning("Completion without memories: %s", error.code)
        return types.CompletionList(is_incomplete=True, items=[])
    edits = Edits(lines, passage, encoding)
    items = _items(ls, edits, language, completed, enriched)
    written = model_item(ls, document.uri, edits, language)
    return types.CompletionList(is_incomplete=True, items=[*items, written] if written else items)


async def resolve(ls: RemanenceLanguageServer, item: types.CompletionItem) -> types.CompletionItem:
    """Add the documentation of an item that was sent without, or what the model writes for its item."""
    if (written := await write_item(ls, item)) is not None:
        return written
    memory_id = _memory_id(item.data)
    if memory_id is None or item.documentation is not None:
        return item
    try:
        engine = await ls.engine.client(1.0)
        memory = await engine.memory(MemoryRequest(id=memory_id))
    except EngineError:
        return item  # forgotten meanwhile, or the engine is gone: the item stands without
    item.documentation = documentation(memory, ls.features.documentation, now_ms())
    return item


async def _ask(
    ls: RemanenceLanguageServer, engine: EngineClient, document: TextDocument, passage: Passage
) -> tuple[CompleteResponse, EnrichPromptResponse]:
    uri = place_of(ls.workspace, document.uri)
    language = passage.language or document.language_id
    return await asyncio.gather(
        engine.complete(CompleteRequest(text=passage.text, uri=uri, language_id=language)),
        engine.enrich_prompt(
            EnrichPromptRequest(
                prompt=passage.text,
                token_budget=ls.options.completion.token_budget,
                uri=uri,
                language_id=language,
            )
        ),
    )


def _items(
    ls: RemanenceLanguageServer,
    edits: Edits,
    language: str,
    completed: CompleteResponse,
    enriched: EnrichPromptResponse,
) -> list[types.CompletionItem]:
    now = now_ms()
    typed = " ".join(edits.passage.text.split())
    items: list[types.CompletionItem] = []
    for memory in completed.questions:
        if " ".join(memory.question.split()) != typed:
            items.append(question_item(memory, edits, len(items), ls.features, now))
    wanted = canonical(edits.passage.language or language)
    blocks = [
        block
        for block in completed.code_blocks
        if edits.passage.place is not Place.COMMENT or canonical(block.language) in ("", wanted)
    ]
    for block in blocks[:_CODE_ITEMS]:
        items.append(code_item(block, edits, len(items), ls.features))
    if enriched.memories:
        items.append(enriched_item(enriched, edits, len(items), ls.features))
    return items


def _is_chat(document: TextDocument) -> bool:
    return may_be_transcript(document) and bool(parse_transcript(document.source))


def _memory_id(data: object) -> str | None:
    if not isinstance(data, dict):
        return None
    memory_id = cast("dict[str, object]", data).get("memory")
    return memory_id if isinstance(memory_id, str) else None
