"""Code of earlier answers that goes on, word for word, with the line that is being typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remanence.engine.messages import CodeBlock
from remanence.lsp.languages import canonical

_LEAST_TYPED = 8  # characters of a line, without its indentation
_LEAST_LETTERS = 5
_MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class Continuation:
    """What could stand behind the cursor, and the memories it comes from."""

    text: str
    memories: Sequence[str]


def is_worth_asking(typed: str) -> bool:
    """Whether so much of a line is there that another line which begins so is hardly chance."""
    said = typed.strip()
    return len(said) >= _LEAST_TYPED and sum(char.isalnum() for char in said) >= _LEAST_LETTERS


def continuation(typed: str, blocks: Sequence[CodeBlock], language: str) -> Continuation | None:
    """The rest of the first block's line that begins like the typed one, and what is nested in that line.

    Blocks of another language are passed over; `typed` is the line up to the cursor.
    """
    said = typed.lstrip()
    indent = typed[: len(typed) - len(said)]
    for block in blocks:
        if canonical(block.language) not in ("", canonical(language)):
            continue
        lines = block.code.split("\n")
        for at, line in enumerate(lines):
            text = line.strip()
            if not text.startswith(said):
                continue
            further = _nested(lines, at)
            if not further and len(text) == len(said):
                continue
            depth = _indent(line)
            told = [text[len(said) :], *(indent + more[depth:] if more.strip() else "" for more in further)]
            return Continuation("\n".join(told), [block.memory_id])
    return None


def _nested(lines: Sequence[str], at: int) -> list[str]:
    """The lines below that are nested deeper than the one at `at`, and the line that closes them."""
    depth = _indent(lines[at])
    found: list[str] = []
    for line in lines[at + 1 : at + _MOST_LINES]:
        if line.strip() and _indent(line) <= depth:
            if found and line.strip()[0] in ")]}":
                found.append(line)
            break
        found.append(line.rstrip())
    while found and not found[-1].strip():
        found.pop()
    return found


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())
