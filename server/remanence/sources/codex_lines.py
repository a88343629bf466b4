"""Codex's lines of every era, brought to one small vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from remanence.memory.timestamps import to_ms
from remanence.sources.json_values import integer, mapping, mappings, optional, sequence, string
from remanence.sources.source import Failure
from remanence.sources.text_files import BEING_WRITTEN, lines, parse_json, records, whole

Voice = Literal["events", "items", "responses"]
Kind = Literal["session", "context", "user", "answer", "commentary", "final", "tool", "aborted", "rollback"]

_WORKSPACE = re.compile(r"<cwd>([^<\n]{1,4096})</cwd>")
_REQUEST = "## My request for Codex:"
_INJECTED = (
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "<collaboration_mode>",
    "<multi_agent_mode>",
    "<apps_instructions>",
    "<turn_aborted>",
    "# AGENTS.md",
)
_CALLS = {"function_call", "custom_tool_call", "local_shell_call", "web_search_call"}
_QUIET_ITEMS = {"reasoning", "plan", "contextcompaction", "hookprompt"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing a rollout says. `voice` is who says it, where the same is said by several."""

    kind: Kind
    at: int | None = None
    text: str = ""
    voice: Voice = "events"
    key: str | None = None
    model: str | None = None
    workspace: str | None = None
    is_subagent: bool = False
    turns: int = 0


def voice_of(path: Path) -> Voice:
    """Whose user messages to believe: events where there are any, then items, then API items."""
    voice: Voice = "responses"
    for line in lines(path):
        if isinstance(line, Failure) or ("user_message" not in line.text and "UserMessage" not in line.text):
            continue
        try:
            fields = mapping(parse_json(line.text))
        except ValueError:
            continue
        payload = mapping(fields.get("payload"))
        if fields.get("type") == "event_msg" and payload.get("type") == "user_message":
            return "events"
        if payload.get("type") == "item_completed" and _item_kind(payload) == "usermessage":
            voice = "items"
    return voice


def entries(path: Path) -> Iterator[Entry | Failure]:
    """What one rollout says, in order. Lines of unknown types are left out."""
    if path.name.endswith(".json"):
        yield from _single(path)
        return
    for record in records(path):
        if isinstance(record, Failure):
            yield record
        else:
            yield from _entries(record.fields)


def _single(path: Path) -> Iterator[Entry | Failure]:
    """The oldest files: one JSON object of a session and its items."""
    text = whole(path)
    if isinstance(text, Failure):
        yield text
        return
    try:
        content = mapping(parse_json(text))
    except ValueError:
        yield Failure("the file", BEING_WRITTEN)
        return
    yield from _entries(mapping(content.get("session")))
    for item in mappings(content.get("items")):
        yield from _entries(item)


def _entries(line: dict[str, object]) -> Iterator[Entry]:
    at = to_ms(line.get("timestamp"))
    payload, kind = line.get("payload"), line.get("type")
    if not isinstance(payload, dict):
        if kind is None and "id" in line and "timestamp" in line:
            yield Entry("session", at, key=optional(line.get("id")))
        else:
            yield from _response(line, at)
        return
    fields = mapping(line["payload"])
    if kind == "session_meta":
        yield Entry(
            "session",
            at,
            key=optional(fields.get("id")),
            workspace=optional(fields.get("cwd")),
            is_subagent="subagent" in mapping(fields.get("source")) or fields.get("source") == "subagent",
        )
    elif kind == "turn_context":
        yield Entry("context", at, model=optional(fields.get("model")), workspace=optional(fields.get("cwd")))
    elif kind == "event_msg":
        yield from _event(fields, at)
    elif kind == "response_item":
        yield from _response(fields, at)


def _event(fields: dict[str, object], at: int | None) -> Iterator[Entry]:
    match fields.get("type"):
        case "user_message" if fields.get("kind") in (None, "plain"):
            images = len(sequence(fields.get("images"))) + len(sequence(fields.get("local_images")))
            text = "\n".join([string(fields.get("message")), *["[image]"] * images])
            yield Entry("user", at, request_of(text))
        case "agent_message":
            yield Entry(_said(fields), at, string(fields.get("message")))
        case "task_complete" | "turn_complete":
            yield Entry("final", at, string(fields.get("last_agent_message")))
        case "turn_aborted":
            yield Entry("aborted", at)
        case "thread_rolled_back":
            yield Entry("rollback", at, turns=max(0, integer(fields.get("num_turns")) or 0))
        case "item_completed":
            yield from _item(fields, at)
        case _:
            pass


def _item(fields: dict[str, object], at: int | None) -> Iterator[Entry]:
    item, kind = mapping(fields.get("item")), _item_kind(fields)
    text = string(item.get("text")) or _content(item.get("content"))
    if kind == "usermessage":
        yield Entry("user", at, request_of(text), voice="items", key=optional(item.get("id")))
    elif kind == "agentmessage":
        yield Entry(_said(item), at, text, voice="items")
    elif kind not in _QUIET_ITEMS:
        yield Entry("tool", at)


def _response(item: dict[str, object], at: int | None) -> Iterator[Entry]:
    """An item as the API knows it."""
    kind, role = string(item.get("type")), item.get("role")
    if kind in _CALLS:
        yield Entry("tool", at)
    elif kind == "message" and role == "assistant":
        yield Entry(_said(item), at, _content(item.get("content")), voice="responses")
    elif kind == "message" and role == "user":
        text = _content(item.get("content"))
        if text.startswith("<environment_context>") and (found := _WORKSPACE.search(text)):
            yield Entry("context", at, workspace=found[1].strip())
        yield Entry("user", at, request_of(text), voice="responses", key=optional(item.get("id")))


def request_of(text: str) -> str:
    """The user's own words in a message, without what the editor put before them; maybe none."""
    _, found, request = text.partition(_REQUEST)
    text = (request if found else text).strip()
    return "" if text.startswith(_INJECTED) else text


def _said(fields: dict[str, object]) -> Kind:
    return "commentary" if fields.get("phase") == "commentary" else "answer"


def _item_kind(fields: dict[str, object]) -> str:
    return string(mapping(fields.get("item")).get("type")).replace("_", "").lower()


def _content(content: object) -> str:
    if isinstance(content, str):
        return content.strip()
    parts = [
        "[image]" if "image" in string(part.get("type")) else string(part.get("text"))
        for part in mappings(content)
    ]
    return "\n".join(part for part in parts if part.strip()).strip()
