"""Requests and answers of OpenAI's API: chat completions, completions, responses."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from remanence.proxy.answers import Said
from remanence.proxy.chat_messages import read_messages
from remanence.proxy.json_members import is_list, items_of, members_of, raw, string_of
from remanence.proxy.plain_prompts import read_plain
from remanence.proxy.prompts import Prompt, Turn, prompt_of


def read_chat(body: bytes) -> Prompt | None:
    """`/v1/chat/completions`. Raises Unreadable."""
    members = members_of(body)
    return read_messages(
        items_of(members.get("messages", Raw(b"[]"))),
        string_of(members.get("model")) or "",
        lambda messages: bytes(raw({**members, "messages": messages})),
    )


def read_completion(body: bytes) -> Prompt | None:
    """`/v1/completions`. Raises Unreadable."""
    return read_plain(members_of(body))


def read_response(body: bytes) -> Prompt | None:
    """`/v1/responses`. Raises Unreadable."""
    members = members_of(body)
    model = string_of(members.get("model")) or ""
    system = string_of(members.get("instructions")) or ""
    given = members.get("input")
    if is_list(given) and given is not None:
        return read_messages(
            items_of(given), model, lambda items: bytes(raw({**members, "input": items})), system
        )
    text = string_of(given)
    if text is None:
        return None

    def rewritten(block: str) -> bytes:
        return bytes(raw({**members, "input": raw(block + text)}))

    return prompt_of([Turn("system", system), Turn("user", text)], 1, model, rewritten)


class _Part(msgspec.Struct):
    """A message or a delta; `content` is None, a text, or parts that some servers write."""

    content: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Part | None = None
    delta: _Part | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None


_completion = msgspec.json.Decoder(_Completion)


def said_in_completion(written: bytes) -> Said:
    """What one object says, the whole or a chunk of a stream. Raises msgspec.DecodeError."""
    completion = _completion.decode(written)
    text = ""
    calls_tools = is_finished = False
    for choice in completion.choices:
        if choice.index:  # one answer is kept, the first
            continue
        part = choice.delta or choice.message or _Part()
        text += _text(part.content) or choice.text or ""
        calls_tools = calls_tools or bool(part.tool_calls or part.function_call)
        is_finished = is_finished or choice.finish_reason is not None
    return Said(text, completion.model, is_finished=is_finished, calls_tools=calls_tools)


class _Item(msgspec.Struct):
    type: str = ""
    content: Any = None


class _Response(msgspec.Struct):
    output: list[_Item] = []
    model: str | None = None
    status: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    response: _Response | None = None


_response = msgspec.json.Decoder(_Response)
_event = msgspec.json.Decoder(_Event)


def said_in_response(written: bytes) -> Said:
    """What a whole response says. Raises msgspec.DecodeError."""
    return _said(_response.decode(written))


def said_in_event(written: bytes) -> Said:
    """What one event of a response's stream says. Raises msgspec.DecodeError."""
    event = _event.decode(written)
    if event.type == "response.output_text.delta" and isinstance(event.delta, str):
        return Said(event.delta)
    if event.response is not None and event.type in ("response.completed", "response.incomplete"):
        return msgspec.structs.replace(_said(event.response), replaces=True)
    return Said()


def _said(response: _Response) -> Said:
    texts = [_text(item.content) for item in response.output if item.type == "message"]
    return Said(
        "\n\n".join(text for text in texts if text),
        response.model,
        is_finished=response.status in (None, "completed", "incomplete"),
        calls_tools=any(
            item.type.endswith("_call") and item.type != "web_search_call" for item in response.output
        ),
    )


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast(dict[str, Any], part) for part in cast(list[object], content) if isinstance(part, dict)]
    texts = [part.get("text") for part in parts if part.get("type") in ("text", "output_text")]
    return "".join(text for text in texts if isinstance(text, str))
