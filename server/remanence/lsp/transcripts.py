"""Chat transcripts in Markdown, read back as exchanges. Pure: text in, exchanges out.

Five shapes are recognised, each by its structure and never by a file's name: CodeCompanion's chat
buffer, aider's history file, gp.nvim's chat file, what VS Code copies of a Copilot chat, and labelled
turns (`## User`/`## Assistant`, `**You:**`/`**ChatGPT:**` and the like). Anything else is an ordinary
document and yields nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from remanence.lsp.aider_transcript import aider_turns, is_aider_history
from remanence.lsp.fences import fenced_lines
from remanence.lsp.turns import Turn, numbered
from remanence.lsp.vscode_chat_copy import copied_turns


class Role(Enum):
    USER = auto()
    ASSISTANT = auto()
    SYSTEM = auto()


@dataclass(frozen=True, slots=True)
class TurnMark:
    """A line that opens a turn. `style` is the kind of label, `detail` what it says in parentheses,
    `rest` what follows it on the same line."""

    line: int
    role: Role
    style: str
    name: str
    detail: str | None = None
    rest: str = ""


_USERS = frozenset({"user", "you", "me", "human", "you said", "prompt", "question"})
_ASSISTANTS = frozenset({
    "assistant", "chatgpt", "chatgpt said", "claude", "copilot", "github copilot", "codecompanion", "ai",
    "bot", "gemini", "cursor", "deepseek", "mistral", "le chat", "llama", "llm", "model", "gpt", "gpt-4",
    "gpt-4o", "gpt-5", "response", "answer", "ollama",
})  # fmt: skip
_TOOLS = {
    "chatgpt said": "chatgpt",
    "copilot": "copilot",
    "github copilot": "copilot",
    **{name: name for name in ("chatgpt", "claude", "codecompanion", "cursor", "gemini", "ollama")},
}
_DISTINCTIVE = frozenset({"codecompanion", "chatgpt", "chatgpt said", "github copilot"})
"""No section of an ordinary document is named so beside one named after the user."""
_COMMON = frozenset({"prompt", "question", "response", "answer", "model", "ai", "bot"})
"""Sections of ordinary documents are named so too: these count only where a chat goes back and forth."""

_HEADING = re.compile(
    r"^(#{1,6})[ \t]+(?:[^\w\s#`*\[(]+[ \t]+)?"  # an emoji may come before the name
    r"([A-Za-z](?:[\w .-]{0,30}[\w-])?)[ \t]*(?:\(([^()]*)\))?[ \t]*:?[ \t]*#*$"
)
_BOLD = re.compile(r"^\*\*([A-Za-z](?:[\w .-]{0,30}[\w-])?)(?::\*\*|\*\*:|\*\*[ \t]*$)[ \t]*(.*)$")
_ANY_HEADING = re.compile(r"^(#{1,6})[ \t]+\S")
_RULE = re.compile(r"^(?:-{3,}|\*{3,}|_{3,}|─{3,})\s*$")
_SHARED = re.compile(r"^> (?:Context|Sharing|References):", re.IGNORECASE)
_REASONING = re.compile(r"^### Reasoning[ \t]*$.*?^### Response[ \t]*$", re.MULTILINE | re.DOTALL)

_GP_MARK = re.compile(r"^(💬|🗨|🤖|🔒):?[ \t]*(?:\[[^\]]*\])?[ \t]*(.*)$")
_GP_TOPIC = re.compile(r"^(?:# topic:|topic:)", re.MULTILINE)
_GP_MODEL = re.compile(r"^(?:- )?model:[ \t]*(?:\{.*?\"model\"\s*:\s*\"([^\"]+)\".*|(\S+))", re.MULTILINE)


def parse_transcript(text: str) -> list[Turn]:
    """The exchanges of a transcript in order; an empty list for every other text."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if is_aider_history(lines):
        return list(numbered(aider_turns(lines)))
    fenced = fenced_lines(lines)
    if _is_gp(lines):
        return list(numbered(_gp(lines, fenced)))
    return list(numbered(copied_turns(lines))) or list(numbered(_labelled(lines, fenced)))


def turn_mark(line: str, at: int = 0) -> TurnMark | None:
    """The turn that a line opens, where it is a label of the kind chats put over each turn."""
    if match := _HEADING.match(line):
        level, name, detail = match.groups()
        style, rest = f"h{len(level)}", ""
    elif match := _BOLD.match(line):
        name, rest = match.groups()
        style, detail = "bold", None
    else:
        return None
    name = name.lower()
    if name in _USERS:
        role = Role.USER
    elif name in _ASSISTANTS:
        role = Role.ASSISTANT
    elif name == "system":
        role = Role.SYSTEM
    else:
        return None
    return TurnMark(at, role, style, name, (detail or "").strip() or None, rest)


def _labelled(lines: Sequence[str], fenced: Sequence[bool]) -> Iterator[Turn]:
    marks = [mark for at, line in enumerate(lines) if not fenced[at] and (mark := turn_mark(line, at))]
    marks = [mark for mark in marks if mark.style == marks[0].style]
    while marks and marks[0].role is Role.SYSTEM:
        marks.pop(0)
    if not _goes_back_and_forth(marks) or not _is_chat(lines, fenced, marks):
        return
    names = [mark.name for mark in marks if mark.role is Role.ASSISTANT]
    tool = next((_TOOLS[name] for name in names if name in _TOOLS), "chat")
    question = ""
    for index, mark in enumerate(marks):
        is_last = index + 1 == len(marks)
        end = len(lines) if is_last else marks[index + 1].line
        body = _body([mark.rest, *lines[mark.line + 1 : end]])
        if mark.role is Role.USER:
            question = _without_shared(body)
            continue
        answer = _REASONING.sub("", body).strip()
        yield Turn(question=question, answer=answer, tool=tool, finished=not is_last, model=mark.detail)
        question = ""


def _goes_back_and_forth(marks: Sequence[TurnMark]) -> bool:
    """User first, then each turn the other's. Only an assistant speaks twice in a row (tools between)."""
    roles = [mark.role for mark in marks]
    if len(roles) < 2 or roles[0] is not Role.USER or Role.SYSTEM in roles:
        return False
    return not any(a is b is Role.USER for a, b in pairwise(roles))


def _is_chat(lines: Sequence[str], fenced: Sequence[bool], marks: Sequence[TurnMark]) -> bool:
    """Whether labelled turns are a chat rather than sections of a document.

    A single exchange must be all there is at its heading level: a document with a section "User"
    beside one named "Assistant" has others too. More exchanges may have headings inside answers.
    """
    exchanges = sum(mark.role is Role.ASSISTANT for mark in marks)
    if exchanges < 2 and any(mark.name in _COMMON for mark in marks):
        return False
    if any(mark.name in _DISTINCTIVE for mark in marks):
        return True
    level = marks[0].style
    sections = [
        at
        for at, line in enumerate(lines)
        if not fenced[at] and turn_mark(line) is None and (heading := _ANY_HEADING.match(line))
        if f"h{len(heading.group(1))}" == level
    ]
    return not any(at < marks[0].line for at in sections) if exchanges >= 2 else not sections


def _body(lines: Sequence[str]) -> str:
    """The text of a turn without the rules that exports put between turns."""
    kept = list(lines)
    while kept and (not kept[-1].strip() or _RULE.match(kept[-1])):
        kept.pop()
    start = next((at for at, line in enumerate(kept) if line.strip() and not _RULE.match(line)), len(kept))
    return "\n".join(kept[start:]).strip()


def _without_shared(question: str) -> str:
    """A question without the block in which CodeCompanion lists what was shared along."""
    lines = question.split("\n")
    if not _SHARED.match(lines[0]):
        return question
    start = next((at for at, line in enumerate(lines) if line.strip() and line[0] != ">"), len(lines))
    return "\n".join(lines[start:]).strip()


def _is_gp(lines: Sequence[str]) -> bool:
    """gp.nvim's header names the topic and ends with a rule; turns open with 💬 and 🤖."""
    rule = _gp_rule(lines)
    return bool(rule and _GP_TOPIC.search("\n".join(lines[:rule])))


def _gp_rule(lines: Sequence[str]) -> int:
    return next((at for at, line in enumerate(lines) if at and line.rstrip() == "---"), 0)


def _gp(lines: Sequence[str], fenced: Sequence[bool]) -> Iterator[Turn]:
    rule = _gp_rule(lines)
    named = _GP_MODEL.search("\n".join(lines[:rule]))
    model = next((group for group in named.groups() if group), None) if named else None
    opened = [
        (at, match.group(1), match.group(2))
        for at, line in enumerate(lines)
        if at > rule and not fenced[at] and (match := _GP_MARK.match(line))
    ]
    question = ""
    for index, (at, sign, rest) in enumerate(opened):
        is_last = index + 1 == len(opened)
        body = _body([rest, *lines[at + 1 : len(lines) if is_last else opened[index + 1][0]]])
        if sign in "💬🗨":
            question = body
        elif sign == "🤖":
            yield Turn(question=question, answer=body, tool="gp.nvim", finished=not is_last, model=model)
            question = ""
