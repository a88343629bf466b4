"""Requests and answers of Ollama's API: chat and generate."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from remanence.proxy.answers import Said
from remanence.proxy.chat_messages import read_messages
from remanence.proxy.json_members import is_true, items_of, members_of, raw, string_of
from remanence.proxy.plain_prompts import read_plain
from remanence.proxy.prompts import Prompt


def read_chat(body: bytes) -> Prompt | None:
    """`/api/chat`. Raises Unreadable."""
    members = members_of(body)
    return read_messages(
        items_of(members.get("messages", Raw(b"[]"))),
        string_of(members.get("model")) or "",
        lambda messages: bytes(raw({**members, "messages": messages})),
    )


def read_generate(body: bytes) -> Prompt | None:
    """`/api/generate`. Raises Unreadable."""
    members = members_of(body)
    if is_true(members.get("raw")):  # a template filled in by the client
        return None
    return read_plain(members, string_of(members.get("system")) or "")


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: Any = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    response: str | None = None
    model: str | None = None
    done: bool = False


_line = msgspec.json.Decoder(_Line)


def said_in_line(written: bytes) -> Said:
    """What one object says, the whole or a line of a stream. Raises msgspec.DecodeError."""
    line = _line.decode(written)
    message = line.message or _Message()
    return Said(
        (message.content or "") + (line.response or ""),
        line.model,
        is_finished=line.done,
        calls_tools=bool(message.tool_calls),
    )
