"""What each kind of completion puts into the document.

- An earlier question replaces the prompt typed so far, in a comment as comment lines.
- A code block is inserted below the line of the prompt, indented like it; in a chat or in prose as a
  fenced block. The prompt stays.
- The prompt with memory replaces the prompt. In a comment the memories become comment lines above it,
  for assistants that read the code before the cursor, and the mark stays on the prompt's own line.

LSP lets a completion replace part of one line only; what the prompt has on earlier lines is removed by
`additionalTextEdits`. All items replace from the same column and `filterText` is what was typed from
there: a menu has one start, and no client filters the items away.
"""

from __future__ import annotations

import re
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
_LAST = 9999


@dataclass(frozen=True, slots=True)
class Edits:
    """Where completions go: the document's lines, the prompt in them, the client's encoding."""

    lines: Sequence[str]
    passage: Passage
    encoding: Encoding

    @property
    def line(self) -> str:
        """The cursor's line."""
        return without_end(self.lines[self.passage.line]) if self.passage.line < len(self.lines) else ""

    @property
    def spans(self) -> bool:
        """Whether the prompt began on an earlier line."""
        return self.passage.first_line < self.passage.line

    @property
    def start(self) -> int:
        """The column in the cursor's line from which every item replaces: that of the comment's mark."""
        return min(self.passage.opened if self.spans else self.passage.outer, self.passage.column)


def question_item(
    memory: Memory, edits: Edits, rank: int, features: ClientFeatures, now_ms: int
) -> types.CompletionItem:
    """An earlier question, which continues or resembles the prompt."""
    passage = edits.passage
    lines = memory.question.strip().split("\n")
    joint = f"\n{passage.leader}" if passage.place is Place.COMMENT else "\n"
    mark = "" if edits.spans else edits.line[edits.start : passage.first_column]
    item = _item(edits, rank, one_line(memory.question, _LABEL_LENGTH), mark + joint.join(lines), features)
    item.additional_text_edits = _removed(edits, passage.first_column)
    item.kind = types.CompletionItemKind.Text
    item.command = helped("question", [memory.id])
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
    line = edits.line
    if passage.place is Place.COMMENT:
        indent = line[: len(line) - len(line.lstrip())]
        below = textwrap.indent(code, indent)
    else:
        fence = fence_for(code)
        below = f"\n{fence}{block.language}\n{code}\n{fence}\n"
    first = next((part.strip() for part in code.split("\n") if part.strip()), block.language)
    text = f"{line[edits.start :]}\n{below}"
    item = _item(edits, rank, one_line(first, _LABEL_LENGTH), text, features, end=len(line))
    item.kind = types.CompletionItemKind.Snippet
    item.data = {"memory": block.memory_id}
    item.command = helped("code block", [block.memory_id])
    _describe(item, one_line(block.question, _LABEL_LENGTH), features)
    return item


def enriched_item(
    enriched: EnrichPromptResponse, edits: Edits, rank: int, features: ClientFeatures
) -> types.CompletionItem:
    """The prompt with the memories that help to answer it."""
    passage = edits.passage
    text = _as_comment(enriched.prompt, passage) if passage.place is Place.COMMENT else enriched.prompt
    item = _item(edits, rank, "Prompt with memory", text, features)
    item.additional_text_edits = _removed(edits, passage.outer)
    item.kind = types.CompletionItemKind.Reference
    item.command = helped("prompt", [memory.id for memory in enriched.memories])
    count = len(enriched.memories)
    memories = "1 memory" if count == 1 else f"{count} memories"
    _describe(item, f"{memories}, about {enriched.tokens} tokens", features)
    return item


def unwritten_item(label: str, edits: Edits, features: ClientFeatures) -> types.CompletionItem:
    """An item that leaves the prompt as it stands; what it adds is yet to be written. It stands last."""
    item = _item(edits, _LAST, label, edits.line[edits.start : edits.passage.column], features)
    item.kind = types.CompletionItemKind.Event
    return item


def helped(kind: str, memories: Sequence[str]) -> types.Command:
    """What a client calls once it has put something in: so it is known which memories are of use."""
    argument = {"kind": kind, "memories": list(memories)}
    return types.Command("These memories helped", "remanence.accepted", arguments=[argument])


def _item(
    edits: Edits, rank: int, label: str, text: str, features: ClientFeatures, *, end: int | None = None
) -> types.CompletionItem:
    """An item that replaces the cursor's line from the common start to `end`, without it to the cursor."""
    line, start, column = edits.passage.line, edits.start, edits.passage.column
    end = column if end is None else end
    as_snippet = features.lines_need_snippets
    item = types.CompletionItem(
        label=label,
        filter_text=edits.line[start:column],
        sort_text=f"{rank:04}",
        text_edit=types.TextEdit(
            range=client_range(edits.lines, (line, start), (line, end), edits.encoding),
            new_text=_as_snippet(text, edits) if as_snippet else text,
        ),
        insert_text_format=types.InsertTextFormat.Snippet if as_snippet else types.InsertTextFormat.PlainText,
    )
    if features.insert_as_is:
        item.insert_text_mode = types.InsertTextMode.AsIs
    return item


def _removed(edits: Edits, first_column: int) -> list[types.TextEdit] | None:
    """The edit that takes away what the prompt has on earlier lines, from `first_column` of its first."""
    if not edits.spans:
        return None
    first, last = (edits.passage.first_line, first_column), (edits.passage.line, edits.start)
    return [types.TextEdit(range=client_range(edits.lines, first, last, edits.encoding), new_text="")]


def _as_snippet(text: str, edits: Edits) -> str:
    """The text as a snippet of nothing but itself; the client indents its further lines like the line
    that it goes into, so these lose that indentation."""
    opening = edits.lines[edits.passage.first_line]
    indent = opening[: len(opening) - len(opening.lstrip())]
    first, *further = text.split("\n")
    return re.sub(r"[\\$}]", r"\\\g<0>", "\n".join([first, *(line.removeprefix(indent) for line in further)]))


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
