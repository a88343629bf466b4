"""What each kind of completion puts into the document.

- An earlier question replaces the prompt typed so far, in a comment as comment lines.
- A code block is inserted below the line of the prompt, indented like it; in a chat or in prose as a
  fenced block. The prompt stays.
- The prompt with memory replaces the prompt. In a comment the memories become comment lines above it,
  for assistants that read the code before the cursor, and the mark stays on the prompt's own line.

LSP lets a completion replace part of one line only; what the prompt has on earlier lines is removed by
`additionalTextEdits`. `filterText` is what the user typed, so that no client filters the items away.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from lsprotocol import types

from remanence.engine.messages import CodeBlock, EnrichPromptResponse, Memory
from remanence.lsp.client_features import ClientFeatures
from remanence.lsp.fences import fence_for
from remanence.lsp.markdown import documentation, one_line, provenance
from remanence.lsp.position import Encoding, client_range, without_end
from remanence.lsp.prompts import Passage, Place

_LABEL_LENGTH = 90


@dataclass(frozen=True, slots=True)
class Edits:
    """Where a completion goes: the document's lines, the prompt in them, the client's encoding."""

    lines: Sequence[str]
    passage: Passage
    encoding: Encoding
    insert_as_is: bool


def question_item(
    memory: Memory, edits: Edits, rank: int, features: ClientFeatures, now_ms: int
) -> types.CompletionItem:
    """An earlier question, which continues or resembles the prompt."""
    passage = edits.passage
    lines = memory.question.strip().split("\n")
    joint = f"\n{passage.leader}" if passage.place is Place.COMMENT else "\n"
    item = _item(
        edits, rank, one_line(memory.question, _LABEL_LENGTH), joint.join(lines), passage.first_column
    )
    item.kind = types.CompletionItemKind.Text
    facts = " · ".join(provenance(memory, now_ms))
    _describe(item, facts, features)
    item.data = {"memory": memory.id}
    if not features.lazy_documentation:
        item.documentation = documentation(memory, features.documentation, now_ms)
    return item


def code_item(block: CodeBlock, edits: Edits, rank: int, features: ClientFeatures) -> types.CompletionItem:
    """A code block of an earlier answer."""
    passage = edits.passage
    code = textwrap.dedent(block.code).strip("\n")
    line = without_end(edits.lines[passage.line]) if passage.line < len(edits.lines) else ""
    if passage.place is Place.COMMENT:
        indent = line[: len(line) - len(line.lstrip())]
        below = textwrap.indent(code, indent)
    else:
        fence = fence_for(code)
        below = f"\n{fence}{block.language}\n{code}\n{fence}\n"
    first = next((part.strip() for part in code.split("\n") if part.strip()), block.language)
    start = min(passage.opened, passage.column)
    item = types.CompletionItem(
        label=one_line(first, _LABEL_LENGTH),
        kind=types.CompletionItemKind.Snippet,
        filter_text=line[start : passage.column],
        sort_text=f"{rank:04}",
        text_edit=types.TextEdit(
            range=client_range(edits.lines, (passage.line, start), (passage.line, len(line)), edits.encoding),
            new_text=f"{line[start:]}\n{below}",
        ),
        insert_text_format=types.InsertTextFormat.PlainText,
        data={"memory": block.memory_id},
    )
    if edits.insert_as_is:
        item.insert_text_mode = types.InsertTextMode.AsIs
    _describe(item, one_line(block.question, _LABEL_LENGTH), features)
    return item


def enriched_item(
    enriched: EnrichPromptResponse, edits: Edits, rank: int, features: ClientFeatures
) -> types.CompletionItem:
    """The prompt with the memories that help to answer it."""
    passage = edits.passage
    if passage.place is Place.COMMENT:
        text = _as_comment(enriched.prompt, passage)
        item = _item(edits, rank, "Prompt with memory", text, passage.outer)
    else:
        item = _item(edits, rank, "Prompt with memory", enriched.prompt, passage.first_column)
    item.kind = types.CompletionItemKind.Reference
    count = len(enriched.memories)
    memories = "1 memory" if count == 1 else f"{count} memories"
    _describe(item, f"{memories}, about {enriched.tokens} tokens", features)
    return item


def _item(edits: Edits, rank: int, label: str, text: str, first_column: int) -> types.CompletionItem:
    """An item that replaces the prompt from `first_column` of its first line up to the cursor."""
    passage, lines, encoding = edits.passage, edits.lines, edits.encoding
    spans = passage.first_line < passage.line
    start = passage.opened if spans else min(first_column, passage.column)
    line = without_end(lines[passage.line]) if passage.line < len(lines) else ""
    item = types.CompletionItem(
        label=label,
        filter_text=line[start : passage.column],
        sort_text=f"{rank:04}",
        text_edit=types.TextEdit(
            range=client_range(lines, (passage.line, start), (passage.line, passage.column), encoding),
            new_text=text,
        ),
        insert_text_format=types.InsertTextFormat.PlainText,
    )
    if spans:
        before = client_range(lines, (passage.first_line, first_column), (passage.line, start), encoding)
        item.additional_text_edits = [types.TextEdit(range=before, new_text="")]
    if edits.insert_as_is:
        item.insert_text_mode = types.InsertTextMode.AsIs
    return item


def _as_comment(prompt: str, passage: Passage) -> str:
    """The memories as comment lines, then the prompt under its mark; starts where the mark stood."""
    memories = prompt.removesuffix(passage.text)
    told = memories.strip().split("\n") if len(memories) < len(prompt) else []
    asked = passage.text.split("\n") if told else prompt.split("\n")
    indent = passage.leader[: len(passage.leader) - len(passage.leader.lstrip())]
    lines = [f"{passage.leader}{line}".rstrip() for line in told]
    lines.append(f"{indent}{passage.mark} {asked[0]}")
    lines += [f"{passage.leader}{line}".rstrip() for line in asked[1:]]
    return "\n".join(lines).removeprefix(indent)


def _describe(item: types.CompletionItem, text: str, features: ClientFeatures) -> None:
    if features.label_details:
        item.label_details = types.CompletionItemLabelDetails(description=text)
    else:
        item.detail = text
