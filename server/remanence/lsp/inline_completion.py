"""textDocument/inlineCompletion: what could stand at the cursor, by the language model with memory.

Without a model, memory alone goes on where code of an earlier answer continues the line as it is typed.
Nothing is proposed where prose or a prompt is typed: there `completion` helps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types
from pygls.workspace import TextDocument

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.messages import CompleteRequest
from remanence.engine.model_messages import InfillRequest
from remanence.lsp.ask import tell_of_models
from remanence.lsp.completion_items import helped
from remanence.lsp.documents import open_document, place_of
from remanence.lsp.engine_errors import ENGINE_SECONDS
from remanence.lsp.fences import open_fence
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.languages import MARKDOWN_LANGUAGES, PROSE_LANGUAGES, canonical
from remanence.lsp.position import client_range, column, without_end
from remanence.lsp.prompts import passage_at
from remanence.lsp.remembered_code import Continuation, continuation, is_worth_asking
from remanence.lsp.surroundings import enclosing, enclosing_name
from remanence.lsp.transcript_capture import may_be_transcript
from remanence.lsp.transcripts import parse_transcript

log = logging.getLogger(__name__)

_BEFORE = 4000  # characters that go to the model
_AFTER = 1500
_ENCLOSING = 2  # lines that say what the typed one stands in


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a proposal goes, in code points: it replaces from (`line`, `start`) to (`line`, `end`), which
    the client's own menu may already have filled with `chosen`."""

    lines: Sequence[str]
    line: int
    start: int
    end: int
    chosen: str
    language: str

    @property
    def before(self) -> str:
        """The end of the text before the cursor."""
        last = self.text[: self.start] + self.chosen
        parts, room = [last], _BEFORE - len(last)
        for at in range(self.line - 1, -1, -1):
            if room <= 0:
                break
            parts.append(self.lines[at])
            room -= len(self.lines[at])
        return "".join(reversed(parts))[-_BEFORE:]

    @property
    def after(self) -> str:
        """The beginning of the text behind it, the end of its line included."""
        first = self.lines[self.line][self.end :] if self.line < len(self.lines) else ""
        parts, room = [first], _AFTER - len(first)
        for at in range(self.line + 1, len(self.lines)):
            if room <= 0:
                break
            parts.append(self.lines[at])
            room -= len(self.lines[at])
        return "".join(parts)[:_AFTER]

    @property
    def text(self) -> str:
        """The cursor's line."""
        return without_end(self.lines[self.line]) if self.line < len(self.lines) else ""


async def inline_completion(
    ls: RemanenceLanguageServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """At most one item. What is asked while typing waits until the typing rests; a newer request for the
    document takes the place of an older one, whose answer is null."""
    document = open_document(ls.workspace, params.text_document.uri)
    if document is None or not ls.options.inline_completion.enabled:
        return None
    cursor = _cursor(ls, document, params)
    if cursor is None:
        return None
    is_automatic = params.context.trigger_kind is types.InlineCompletionTriggerKind.Automatic
    if is_automatic and cursor.text[cursor.end : cursor.end + 1].isalnum():
        return None  # in the middle of a word: typing goes on
    item = await ls.inline.latest(document.uri, _proposed(ls, document, cursor, is_automatic))
    return types.InlineCompletionList([item]) if item is not None else None


async def _proposed(
    ls: RemanenceLanguageServer, document: TextDocument, cursor: Cursor, is_automatic: bool
) -> types.InlineCompletionItem | None:
    version = document.version
    if is_automatic:
        await asyncio.sleep(ls.options.inline_completion.debounce_ms / 1000)
        engine = ls.engine.ready
        if engine is None:
            return None
    else:
        try:
            engine = await ls.engine.client(ENGINE_SECONDS)
        except EngineError:
            return None
    try:
        proposal = await _asked(ls, engine, document, cursor, is_automatic)
    except EngineError as error:
        log.warning("No inline completion: %s", error.code)
        ls.tell_once(error.message, types.MessageType.Warning, quietly=is_automatic)
        return None
    is_stale = document.version != version or open_document(ls.workspace, document.uri) is not document
    if proposal is None or is_stale:
        return None
    return _item(ls, cursor, proposal)


async def _asked(
    ls: RemanenceLanguageServer,
    engine: EngineClient,
    document: TextDocument,
    cursor: Cursor,
    is_automatic: bool,
) -> Continuation | None:
    uri = place_of(ls.workspace, document.uri)
    filled = await engine.infill(
        InfillRequest(
            before=cursor.before,
            after=cursor.after,
            uri=uri,
            language_id=cursor.language or None,
            symbol=enclosing_name(cursor.lines, cursor.line),
            max_tokens=ls.options.inline_completion.max_tokens,
            window=ls.window_id,
        )
    )
    tell_of_models(ls, engine, filled.model, quietly=is_automatic)
    if filled.model is not None:
        return Continuation(filled.text, filled.memories) if filled.text else None
    typed = cursor.text[: cursor.start] + cursor.chosen
    if cursor.text[cursor.end :].strip() or not is_worth_asking(typed):
        return None
    above = enclosing(cursor.lines, cursor.line)[:_ENCLOSING] if cursor.line < len(cursor.lines) else []
    text = "\n".join([*reversed(above), typed.strip()])
    completed = await engine.complete(
        CompleteRequest(text=text, uri=uri, language_id=cursor.language or None)
    )
    return continuation(typed, completed.code_blocks, cursor.language)


def _cursor(
    ls: RemanenceLanguageServer, document: TextDocument, params: types.InlineCompletionParams
) -> Cursor | None:
    """None where nothing is proposed: in prose, in chats, and in comments that are prompts."""
    lines = document.lines
    encoding = ls.workspace.position_encoding
    line = params.position.line
    text = lines[line] if line < len(lines) else ""
    at = column(text, params.position.character, encoding)
    language = document.language_id or ""
    if language in PROSE_LANGUAGES or _is_chat(document):
        info = open_fence(lines, line) if language in MARKDOWN_LANGUAGES else None
        if info is None:
            return None
        language = canonical(info.split(maxsplit=1)[0]) if info.strip() else ""
    if passage_at(lines, line, at, language, ls.options.completion.marks) is not None:
        return None
    start, chosen = at, ""
    selected = params.context.selected_completion_info
    if selected is not None and selected.range.start.line == selected.range.end.line == line:
        start = column(text, selected.range.start.character, encoding)
        at = max(at, column(text, selected.range.end.character, encoding))
        chosen = selected.text
    if not "".join([*lines[max(0, line - 50) : line], text[:start], chosen]).strip():
        return None
    return Cursor(lines, line, start, at, chosen, language)


def _item(ls: RemanenceLanguageServer, cursor: Cursor, proposal: Continuation) -> types.InlineCompletionItem:
    return types.InlineCompletionItem(
        insert_text=cursor.chosen + proposal.text,
        range=client_range(
            cursor.lines,
            (cursor.line, cursor.start),
            (cursor.line, cursor.end),
            ls.workspace.position_encoding,
        ),
        command=helped("inline", proposal.memories) if proposal.memories else None,
    )


def _is_chat(document: TextDocument) -> bool:
    return may_be_transcript(document) and bool(parse_transcript(document.source))
