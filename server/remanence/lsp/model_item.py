"""The one completion item that the language model writes, where the user turned `completion.model` on.

It is listed at once and written when the client asks for the rest of it (`completionItem/resolve`): no
other item waits for the model. Accepting it leaves the prompt as it stands and puts the answer below,
by an additional edit; clients that cannot take one late are not offered the item.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import cast

from lsprotocol import types

from remanence.engine.client import EngineError
from remanence.engine.model_messages import AskRequest, AskResponse
from remanence.lsp.ask import budget_of, tell_of_models
from remanence.lsp.completion_items import Edits, helped, unwritten_item
from remanence.lsp.documents import open_document, place_of
from remanence.lsp.engine_errors import ENGINE_SECONDS
from remanence.lsp.fences import fenced_lines
from remanence.lsp.kept_answers import Written
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.languages import comment_start
from remanence.lsp.markdown import answer_markdown
from remanence.lsp.position import client_range, without_end
from remanence.lsp.prompts import Place

_LABEL = "Answer of the language model"
_KEPT = 8
_LONGEST_PROMPT = 4000


def model_item(
    ls: RemanenceLanguageServer, uri: str, edits: Edits, language: str
) -> types.CompletionItem | None:
    """The item, not yet written; None where the client could not take what is written."""
    passage = edits.passage
    if not ls.options.completion.model or not ls.features.lazy_edits:
        return None
    item = unwritten_item(_LABEL, edits, ls.features)
    item.data = {
        "ask": passage.text[-_LONGEST_PROMPT:],
        "uri": uri,
        "line": passage.line,
        "lines": len(edits.lines),
        "languageId": passage.language or language,
        "comment": passage.place is Place.COMMENT,
        "leader": passage.leader,
    }
    return item


async def write_item(ls: RemanenceLanguageServer, item: types.CompletionItem) -> types.CompletionItem | None:
    """The item with the model's answer in it; None where it is no item of the model."""
    data = cast("dict[str, object]", item.data) if isinstance(item.data, dict) else {}
    prompt, uri, line = data.get("ask"), data.get("uri"), data.get("line")
    if not (isinstance(prompt, str) and isinstance(uri, str) and isinstance(line, int)):
        return None
    language = str(data.get("languageId") or "")
    written = await _written(ls, prompt, uri, language)
    document = open_document(ls.workspace, uri)
    lines = document.lines if document is not None else ()
    if written is None or len(lines) != data.get("lines"):
        return item  # with other lines above, it would go to the wrong place
    text = without_end(lines[line]) if line < len(lines) else ""
    leader = str(data.get("leader") or "")
    below = _below(written.answer, text, leader, language) if data.get("comment") else f"\n{written.answer}"
    item.additional_text_edits = [_inserted(lines, line, below, ls.workspace.position_encoding)]
    rendering = ls.features.documentation
    item.documentation = written.answer
    if rendering is not None:
        value = answer_markdown(written.answer) if rendering.is_markdown else written.answer
        item.documentation = types.MarkupContent(rendering.kind, value)
    if ls.features.lazy_command and written.memories:
        item.command = helped("completion", written.memories)
    return item


async def _written(ls: RemanenceLanguageServer, prompt: str, uri: str, language: str) -> Written | None:
    if (known := ls.model_items.get(prompt)) is not None:
        return known
    end = await ls.inline.latest(f"item {uri}", _asked(ls, prompt, uri, language))
    if end is None or end.model is None or not end.answer.strip():
        return None
    written = Written(end.answer.strip(), [memory.id for memory in end.memories])
    ls.model_items[prompt] = written
    if len(ls.model_items) > _KEPT:
        del ls.model_items[next(iter(ls.model_items))]
    return written


async def _asked(ls: RemanenceLanguageServer, prompt: str, uri: str, language: str) -> AskResponse | None:
    try:
        engine = await ls.engine.client(ENGINE_SECONDS)
        request = AskRequest(
            prompt=prompt,
            token_budget=budget_of(ls.options.ask),
            max_tokens=ls.options.ask.max_tokens,
            remember=False,  # the item may never be accepted
            uri=place_of(ls.workspace, uri),
            language_id=language or None,
            window=ls.window_id,
        )
        async for event in engine.ask(request):
            if event.end is not None:
                tell_of_models(ls, engine, event.end.model)
                return event.end
    except EngineError as error:
        ls.tell_once(error.message, types.MessageType.Warning)
    return None


def _below(answer: str, line: str, leader: str, language: str) -> str:
    """What goes below a comment in code: the answer's first code block, else the answer as comment lines."""
    indent = line[: len(line) - len(line.lstrip())]
    lines = answer.split("\n")
    fenced = fenced_lines(lines)
    if any(fenced):
        first = fenced.index(True)
        last = next((at for at in range(first, len(lines)) if not fenced[at]), len(lines))
        inside = [each for each in lines[first:last] if not each.lstrip().startswith(("```", "~~~"))]
        return textwrap.indent(textwrap.dedent("\n".join(inside)).strip("\n"), indent)
    if all(comment_start(each, language) or not each.strip() for each in lines):
        return textwrap.indent(answer, indent)
    return "\n".join(f"{leader}{each}".rstrip() for each in lines)


def _inserted(
    lines: Sequence[str], line: int, text: str, encoding: types.PositionEncodingKind | str | None
) -> types.TextEdit:
    """A line of its own below `line`: an edit that touches the item's own would be refused."""
    if line < len(lines) and lines[line] != without_end(lines[line]):
        at = (line + 1, 0)
        return types.TextEdit(client_range(lines, at, at, encoding), f"{text}\n")
    at = (line, len(without_end(lines[line])) if line < len(lines) else 0)
    return types.TextEdit(client_range(lines, at, at, encoding), f"\n{text}")
