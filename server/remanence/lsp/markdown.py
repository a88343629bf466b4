"""Memories as the client can show them: Markdown, or plain text where it did not announce Markdown.

Memory is data: its words are escaped, so that nothing remembered becomes a link, an image or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from lsprotocol import types

from remanence.engine.messages import Memory
from remanence.engine.model_messages import AskResponse
from remanence.lsp.fences import fence_for, fenced_lines

SCHEME = "remanence"

_SCHEMES = (
    "command",
    "data",
    "file",
    "javascript",
    "mailto",
    "remanence",
    "vscode",
    "vscode-insiders",
    "xmpp",
)
_LINKED = "|".join(f"(?<=\\b{scheme})" for scheme in _SCHEMES)
_STRUCTURE = re.compile(
    r"(?=[\\`*\[\]<|~(!&_:])"  # says no at once of nearly every character: a twentieth of the time
    r"(?:[\\`*\[\]<|~]|(?<=\])\(|!(?=\[)|&(?=#?\w+;)"
    rf"|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?i:{_LINKED}):(?=\S))"
)
_LINE_START = re.compile(r"^(\s*)(#|>|[-+](?=\s|$)|[-=]{2,}|\d+(?=[.)](?:\s|$)))", re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s")
_MINUTE = 60_000
_AGES = (
    (365 * 1440, "year"),
    (30 * 1440, "month"),
    (7 * 1440, "week"),
    (1440, "day"),
    (60, "hour"),
    (1, "minute"),
)
_QUESTION_LENGTH = 160
_EXCERPT_LENGTH = 400
_KEYWORDS_SHOWN = 6
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Rendering:
    """What the client can show. `links`: it can open a memory as a document of its own."""

    kind: types.MarkupKind
    links: bool = False

    @property
    def is_markdown(self) -> bool:
        return self.kind is types.MarkupKind.Markdown


def hover_text(
    memories: Sequence[Memory], rendering: Rendering, now_ms: int, *, said: str | None = None
) -> types.MarkupContent:
    """The memories one under the other: question, extract of the answer, where it comes from. `said`,
    already rendered, goes before them."""
    parts = [_hover_markdown(memory, rendering, now_ms) for memory in memories]
    if not rendering.is_markdown:
        parts = [_hover_plain(memory, now_ms) for memory in memories]
    if said is not None:
        parts.insert(0, said)
    return types.MarkupContent(kind=rendering.kind, value="\n\n---\n\n".join(parts))


def documentation(memory: Memory, rendering: Rendering | None, now_ms: int) -> types.MarkupContent | str:
    """A memory beside a completion item; a plain string where the client announced no format."""
    facts = " · ".join(provenance(memory, now_ms))
    if rendering is None or not rendering.is_markdown:
        text = f"{one_line(memory.question)}\n\n{memory.answer}\n\n{facts}".strip()
        return text if rendering is None else types.MarkupContent(kind=rendering.kind, value=text)
    value = (
        f"**{escape(one_line(memory.question))}**\n\n{answer_markdown(memory.answer)}\n\n*{escape(facts)}*"
    )
    return types.MarkupContent(kind=types.MarkupKind.Markdown, value=value)


def document(memory: Memory, now_ms: int) -> str:
    """A whole memory as a Markdown document: read as text, so its words stand as they were said."""
    facts = [f"- {fact}" for fact in provenance(memory, now_ms)]
    if memory.keywords:
        facts.append(f"- Keywords: {', '.join(memory.keywords)}")
    if memory.uri:
        facts.append(f"- Asked from: {memory.uri}")
    if memory.superseded_by:
        facts.append(f"- A newer answer replaces this one: {memory_uri(memory.superseded_by)}")
    return "\n".join(
        [
            f"# {one_line(memory.question, _QUESTION_LENGTH)}",
            "",
            *facts,
            "",
            "## Question",
            "",
            memory.question.strip(),
            "",
            "## Answer",
            "",
            memory.answer.strip(),
            "",
        ]
    )


def answer_document(prompt: str, end: AskResponse) -> str:
    """An answer to a prompt as a Markdown document, with the addresses of the memories that went into it."""
    by = f"by {end.model}" if end.model else "by memory alone"
    lines = [f"# {one_line(prompt, _QUESTION_LENGTH)}", "", end.answer.strip(), "", f"*{by}*", ""]
    if end.memories:
        lines += ["## Memories", "", *(f"- {memory_uri(memory.id)}" for memory in end.memories), ""]
    return "\n".join(lines)


def said_by_model(model: str, answer: str, rendering: Rendering) -> str:
    """What a model says in a hover, above the memories. Its words are escaped like theirs."""
    if not rendering.is_markdown:
        return f"{model}: {answer.strip()}"
    return f"{answer_markdown(answer.strip())}\n\n*{escape(model)}*"


def answer_markdown(answer: str) -> str:
    """An answer with its code blocks kept as code and every other line escaped."""
    lines = answer.split("\n")
    fenced = fenced_lines(lines)
    parts: list[str] = []
    at = 0
    while at < len(lines):
        if not fenced[at]:
            parts.append(escape(lines[at]))
            at += 1
            continue
        end = at + 1
        mark = re.match(r" *(`+|~+)", lines[at])
        while mark and end < len(lines) and fenced[end] and not _closes(lines[end], mark.group(1)):
            end += 1
        language = re.sub(r"[^\w+#.-]", "", lines[at].strip(" `~"))
        code = "\n".join(lines[at + 1 : end])
        parts.append(f"{fence_for(code)}{language}\n{code}\n{fence_for(code)}")
        at = end + 1
    return "\n".join(parts).strip()


def escape(text: str) -> str:
    """Text that a Markdown renderer shows as it is written. Inline code stays inline code."""
    parts: list[str] = []
    at = 0
    for span in _CODE_SPAN.finditer(text):
        parts += [_escape_words(text[at : span.start()], at == 0), span.group()]
        at = span.end()
    parts.append(_escape_words(text[at:], at == 0))
    return "".join(parts)


def one_line(text: str, length: int = 120) -> str:
    """The text on one line, cut at a word and marked with an ellipsis where it is longer."""
    flat = " ".join(text.split())
    if len(flat) <= length:
        return flat
    cut = flat[: length - 1].rsplit(" ", 1)[0] or flat[: length - 1]
    return f"{cut} …"


def age(asked_at: int, now_ms: int) -> str:
    """How long ago in words, in the largest whole unit: `3 weeks ago`."""
    minutes = max(0, now_ms - asked_at) // _MINUTE
    for size, unit in _AGES:
        if minutes >= size:
            count = minutes // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def provenance(memory: Memory, now_ms: int) -> list[str]:
    """When, with which tool and which model, how often it was of use; what is not known is left out."""
    moment = memory.asked_at or memory.answered_at
    used = f"used {memory.used} time{'s' if memory.used > 1 else ''}" if memory.used else None
    known = (age(moment, now_ms) if moment else None, memory.tool, memory.model, used)
    return [fact for fact in known if fact]


def memory_uri(memory_id: str, question: str = "") -> str:
    """The document of a memory, for clients that read `remanence:` documents from the server.

    The id finds it; the question, where it is known, gives the document a name that can be read.
    """
    name = document_name(question)
    folder = f"{SCHEME}:/memory/{quote(memory_id, safe='')}"
    return f"{folder}/{name}.md" if name else f"{folder}.md"


def document_name(question: str) -> str:
    """A question's words as a part of a document's address; empty where it has none."""
    name = "-".join(_WORD.findall(question.lower()))
    if len(name) > _NAME_LENGTH:
        name = name[: _NAME_LENGTH + 1].rpartition("-")[0] or name[:_NAME_LENGTH]
    return quote(name, safe="")


def _hover_markdown(memory: Memory, rendering: Rendering, now_ms: int) -> str:
    facts = [escape(fact) for fact in provenance(memory, now_ms)]
    facts += [f"`{word}`" for word in _shown_keywords(memory)]
    if rendering.links:
        facts.append(f"[whole answer]({memory_uri(memory.id, memory.question)})")
    lines = [f"**{escape(one_line(memory.question, _QUESTION_LENGTH))}**"]
    if extract := _extract(memory):
        lines.append(escape(extract))
    lines.append(" · ".join(facts))
    return "\n\n".join(lines)


def _hover_plain(memory: Memory, now_ms: int) -> str:
    facts = [*provenance(memory, now_ms), *_shown_keywords(memory)]
    lines = [one_line(memory.question, _QUESTION_LENGTH), _extract(memory), " · ".join(facts)]
    return "\n".join(line for line in lines if line)


def _extract(memory: Memory) -> str:
    """The engine's excerpt, on one line, not longer than a hover is read; cut after a sentence."""
    flat = " ".join((memory.excerpt or memory.answer).split())
    if len(flat) <= _EXCERPT_LENGTH:
        return flat
    ends = [match.start() for match in _SENTENCE.finditer(flat[:_EXCERPT_LENGTH])]
    return flat[: ends[-1]] if ends else one_line(flat, _EXCERPT_LENGTH)


def _shown_keywords(memory: Memory) -> list[str]:
    words = [" ".join(word.replace("`", "").split()) for word in memory.keywords[:_KEYWORDS_SHOWN]]
    return [word for word in words if word]


def _escape_words(text: str, starts_line: bool) -> str:
    escaped = _STRUCTURE.sub(r"\\\g<0>", text)
    return _LINE_START.sub(_escaped_start, escaped) if starts_line else escaped


def _escaped_start(match: re.Match[str]) -> str:
    space, start = match.groups()
    return f"{space}{start}\\" if start.isdigit() else f"{space}\\{start}"


def _closes(line: str, mark: str) -> bool:
    return re.match(rf"^ {{0,3}}{re.escape(mark)}{re.escape(mark[0])}*[ \t]*$", line) is not None
