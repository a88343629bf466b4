"""Requests and answers of OpenAI's API: chat completions, completions, responses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import msgspec
from msgspec import Raw

from remanence.proxy.answers import Said
from remanence.proxy.chat_messages import read_messages
from remanence.proxy.json_members import is_list, is_object, items_of, members_of, raw, string_of
from remanence.proxy.plain_prompts import read_plain
from remanence.proxy.prompts import Prompt, Turn, asking_nothing, prompt_of


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
    prompt: Prompt | None = None
    if is_list(given) and given is not None:
        items = items_of(given)
        prompt = read_messages(
            items, model, lambda changed: bytes(raw({**members, "input": changed})), system
        )
        if prompt is None and not any(map(_is_users, items)):
            prompt = asking_nothing(model, body)
    elif (text := string_of(given)) is not None:
        turns = [Turn("system", system), Turn("user", text)]
        prompt = prompt_of(turns, 1, model, lambda block: bytes(raw({**members, "input": raw(block + text)})))
    follows, kept_in = string_of(members.get("previous_response_id")), _kept_in(members.get("conversation"))
    return prompt and replace(prompt, follows=follows or "", kept_in=kept_in)


def _kept_in(conversation: Raw | None) -> str:
    """The conversation that the server keeps, by its id, which may stand in an object."""
    if conversation is None or not is_object(conversation):
        return string_of(conversation) or ""
    return string_of(members_of(conversation).get("id")) or ""


def _is_users(item: Raw) -> bool:
    return string_of(members_of(item).get("role")) == "user"


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
    id: str | None = None
    output: list[_Item] = []
    model: str | None = None
    status: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: Any = None
    response: _Response | None = None


_SERVERS_OWN = {  # tools that the server uses by itself, before it answers
    *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"),
}
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
    return Said(id=event.response.id if event.response is not None else None)


def _said(response: _Response) -> Said:
    texts = [_text(item.content) for item in response.output if item.type == "message"]
    return Said(
        "\n\n".join(text for text in texts if text),
        response.model,
        response.id,
        is_finished=response.status in (None, "completed", "incomplete"),
        calls_tools=any(
            item.type.endswith("_call") and item.type not in _SERVERS_OWN for item in response.output
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
