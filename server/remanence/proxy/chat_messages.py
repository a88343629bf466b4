"""Chat messages as OpenAI and Ollama write them: `{role, content}`, content a text or a list of parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Raw

from remanence.memory.prompt import strip_memory
from remanence.proxy.json_members import is_list, items_of, members_of, raw, string_of, with_member
from remanence.proxy.prompts import Prompt, Turn, holds_block, is_tool_result, last_question, prompt_of

_TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as it is written and as it is read."""

    written: Raw
    turn: Turn


def read_messages(
    written: Sequence[Raw], model: str, put_back: Callable[[Raw], bytes], system: str = ""
) -> Prompt | None:
    """The prompt in a list of messages; `put_back` gives the request's body with another list.

    `system` is what the request says to the model elsewhere. Raises Unreadable.
    """
    messages = [_read(each) for each in written]
    asking = last_question([message.turn for message in messages])
    if asking is None:
        return None

    def rewritten(block: str) -> bytes:
        changed = [
            _without_block(message) if number < asking and message.turn.role == "user" else message.written
            for number, message in enumerate(messages)
        ]
        if block:
            changed[asking] = _with_block(messages[asking].written, block)
        return put_back(raw(changed))

    turns = [Turn("system", system), *(message.turn for message in messages)]
    return prompt_of(turns, asking + 1, model, rewritten)


def _read(written: Raw) -> Message:
    members = members_of(written)
    role = string_of(members.get("role")) or ""
    texts = _texts(members.get("content"))
    if role == "user" and len(texts) > 1:  # each part of a message may be what a tool gave
        texts = [text for text in texts if not is_tool_result(text)] or texts
    return Message(written, Turn(role, "\n\n".join(texts) if texts else None))


def _texts(content: Raw | None) -> list[str]:
    if is_list(content) and content is not None:
        return [text for part in items_of(content) if (text := _part_text(part)) is not None]
    text = string_of(content)
    return [] if text is None else [text]


def _part_text(part: Raw) -> str | None:
    members = members_of(part)
    return string_of(members.get("text")) if string_of(members.get("type")) in _TEXT_PARTS else None


def _with_block(written: Raw, block: str) -> Raw:
    """The message with a block before its text, or before the first of its text parts."""
    return _changed(written, lambda text: block + text, only_first=True)


def _without_block(message: Message) -> Raw:
    if not holds_block(message.turn.text or ""):
        return message.written
    return _changed(message.written, strip_memory, only_first=False)


def _changed(written: Raw, change: Callable[[str], str], *, only_first: bool) -> Raw:
    content = members_of(written)["content"]
    text = string_of(content)
    if text is not None:
        return with_member(written, "content", raw(change(text)))
    parts: list[Raw] = []
    done = False
    for part in items_of(content):
        said = _part_text(part)
        skipped = said is None or (only_first and (done or is_tool_result(said)))
        parts.append(part if skipped else with_member(part, "text", raw(change(said or ""))))
        done = done or not skipped
    return with_member(written, "content", raw(parts))
