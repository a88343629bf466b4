"""What a request asks, whatever its shape: the question, its conversation, and how a block goes before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remanence.memory.prompt import strip_memory
from remanence.sources.cleaning import drop_injected, without_images

# Agents without tool calls of their own write what a tool gave into the user's role (Cline, Roo).
_TOOL_RESULT = re.compile(r"\s*\[[a-z_]+(?: for '[^\n]*')?\] Result:")
_SURROUNDINGS = ("<environment_details>", "</environment_details>")
_WRAPPINGS = ("task", "feedback", "user_message")
# What tools ask for themselves: titles, commit messages, summaries. It is nobody's memory.
_CHORE = re.compile(
    r"\s*(?:You are an expert software engineer that generates concise"  # aider
    r"|\*Briefly\* summarize this partial conversation"
    r"|You are a title generator|Generate a title for this conversation"
    r"|### Task:\s+(?:Generate|Suggest|Analyze|You are an autocompletion))"  # Open WebUI
)
_DIGITS = re.compile(r"\d+")
_LEAST_REMINDER = 100  # characters
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request's last question. `said` is what the assistant has answered to it so far, in the steps
    of an agent. `takes_block` is false where the question brings memories of its own.

    `rewritten` gives the request's body with a block of memories (or nothing) before the question, and
    without our blocks in earlier messages.

    Where the server keeps the conversation, `follows` names the answer that this goes on from, or `kept_in`
    the conversation; `told` are the ids of the memories that were put into it before. Then the question may
    be empty: the request only says what a tool gave.
    """

    question: str
    said: tuple[str, ...]
    conversation_id: str
    turn_key: str
    model: str
    takes_block: bool
    has_old_blocks: bool
    rewritten: Callable[[str], bytes]
    follows: str = ""
    kept_in: str = ""
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Turn:
    """A message as far as it matters here: who says it, and its text, None where it has none."""

    role: str
    text: str | None


def prompt_of(
    turns: Sequence[Turn], asking: int, model: str, rewritten: Callable[[str], bytes]
) -> Prompt | None:
    """The prompt whose question is the turn numbered `asking`; None where nothing is asked there."""
    text = turns[asking].text or ""
    system = next((turn.text for turn in turns if turn.role in ("system", "developer") and turn.text), "")
    question = _without_reminder(_asked(strip_memory(text)), system)
    if not question.strip() or _CHORE.match(question) or _CHORE.match(system):
        return None
    users = [
        strip_memory(turn.text)
        for turn in turns[: asking + 1]
        if turn.role == "user" and turn.text and not is_tool_result(turn.text)
    ]
    # Dates and times, which many a system prompt holds, must not make a new conversation of each request.
    first = key_of(_DIGITS.sub("0", system), users[0])
    return Prompt(
        question=question,
        said=tuple(turn.text for turn in turns[asking + 1 :] if turn.role == "assistant" and turn.text),
        conversation_id=first,
        turn_key=key_of(*users),
        model=model,
        takes_block=not holds_block(text),
        has_old_blocks=any(holds_block(turn.text or "") for turn in turns[:asking] if turn.role == "user"),
        rewritten=rewritten,
    )


def asking_nothing(model: str, body: bytes) -> Prompt:
    """A request that only goes on with what was asked before."""
    return Prompt("", (), "", "", model, takes_block=False, has_old_blocks=False, rewritten=lambda _: body)


def last_question(turns: Sequence[Turn]) -> int | None:
    """The number of the last turn in which the user asks; what a tool gave is no question."""
    for number in range(len(turns) - 1, -1, -1):
        turn = turns[number]
        if turn.role == "user" and not (turn.text and is_tool_result(turn.text)):
            return number
    return None


def is_tool_result(text: str) -> bool:
    return _TOOL_RESULT.match(text) is not None


def holds_block(text: str) -> bool:
    return strip_memory(text) != text


def _asked(text: str) -> str:
    """The user's own words, without what the tool wrote around them."""
    text = _without_surroundings(drop_injected(without_images(text))).strip()
    for tag in _WRAPPINGS:
        opening, closing = f"<{tag}>", f"</{tag}>"
        if text.startswith(opening) and (end := text.find(closing)) >= 0:
            text = f"{text[len(opening) : end].strip()}\n\n{text[end + len(closing) :].strip()}".strip()
    return text


def _without_surroundings(text: str) -> str:
    opening, closing = _SURROUNDINGS
    kept: list[str] = []
    start = 0
    while (begin := text.find(opening, start)) >= 0 and (end := text.find(closing, begin)) >= 0:
        kept.append(text[start:begin])
        start = end + len(closing)
    return "".join([*kept, text[start:]])


def _without_reminder(text: str, system: str) -> str:
    """Without a closing passage that the system prompt holds too: some tools repeat their rules after the
    question (aider)."""
    end = begin = len(text)
    while (begin := text.rfind("\n\n", 0, begin)) > 0 and text[begin:].strip() in system:
        end = begin
    return text[:end] if len(text) - end >= _LEAST_REMINDER else text


def key_of(*texts: str) -> str:
    """One name for some texts in their order, of 32 characters."""
    joined = _SEPARATOR.join(texts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]
