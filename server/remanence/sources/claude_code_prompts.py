"""What the user really said in a Claude Code line, told from all that is logged on the user's side."""

from __future__ import annotations

import re
from dataclasses import dataclass

from remanence.sources.cleaning import drop_injected
from remanence.sources.json_values import mapping, mappings, optional, string

_COMMAND = re.compile(r"<command-name>\s*/?([^<\s]{1,80})\s*</command-name>")
_INJECTED = (
    "<bash-input>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<task-notification>",
    "<local-command-",
    "Caveat: The messages below",
    "[Request interrupted",
)
_NOT_TYPED = ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question, or what a slash command was given. A command without arguments has no text."""

    text: str
    is_command: bool = False
    tags: tuple[str, ...] = ()


def prompt_of(line: dict[str, object]) -> Prompt | None:
    """The user's words in this line; None where a tool or Claude Code itself speaks."""
    if any(line.get(mark) is True for mark in _NOT_TYPED):
        return None
    kind = mapping(line.get("origin")).get("kind")
    if kind is not None and kind != "human":
        return None
    text = _text(mapping(line.get("message")).get("content"))
    if text.startswith(("<command-name>", "<command-message>")):
        return _command(text)
    text = drop_injected(text)
    return None if not text or text.startswith(_INJECTED) else Prompt(text)


def is_interruption(content: object) -> bool:
    return _text(content).startswith("[Request interrupted")


def is_local_output(content: object) -> bool:
    """Whether this is the output of a slash command that ran without the model."""
    return _text(content).startswith(("<local-command-stdout>", "<local-command-stderr>"))


def _command(text: str) -> Prompt:
    name = _COMMAND.search(text)
    given = text.partition("<command-args>")[2].partition("</command-args>")[0]
    tags = (f"cmd:{name[1]}",) if name else ()
    return Prompt(given.strip(), is_command=True, tags=tags)


def _text(content: object) -> str:
    """Texts, and marks where something was attached; tool results have none."""
    if isinstance(content, str):
        return content.strip()
    parts: list[str] = []
    for block in mappings(content):
        kind = block.get("type")
        if kind == "text":
            parts.append(drop_injected(string(block.get("text"))))
        elif kind == "image":
            parts.append("[image]")
        elif kind == "document":
            title = optional(block.get("title"))
            parts.append(f"[file: {title}]" if title else "[file]")
    return "\n".join(part for part in parts if part.strip()).strip()
