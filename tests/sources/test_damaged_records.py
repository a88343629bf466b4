"""A valid conversation with any one of its values replaced by any other: read or refused, never raised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange
from remanence.sources import SOURCES
from remanence.sources.source import Failure, Source

_STAMP = "2026-05-01T10:00:00.000Z"


def _claude(kind: str, uuid: str, parent: str | None, *blocks: object) -> dict[str, object]:
    return {
        "type": kind,
        "uuid": uuid,
        "parentUuid": parent,
        "logicalParentUuid": None,
        "sessionId": "s",
        "cwd": "/p",
        "timestamp": _STAMP,
        "isSidechain": False,
        "message": {"id": "m", "model": "demo", "content": list(blocks)},
    }


def _text(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


def _codex(kind: str, **payload: object) -> dict[str, object]:
    return {"timestamp": _STAMP, "type": kind, "payload": payload}


_VERSIONS = [
    {"versions": [{"role": "user", "content": [_text("Q")]}], "currentlySelected": 0},
    {
        "versions": [
            {
                "role": "assistant",
                "senderInfo": {"senderName": "demo"},
                "steps": [
                    {
                        "type": "contentBlock",
                        "stepIdentifier": "1760000006000-0.1",
                        "content": [_text("A")],
                        "genInfo": {"identifier": "demo", "stats": {"stopReason": "x", "totalTimeSec": 1.5}},
                        "style": {"type": "plain"},
                        "prefix": "",
                    }
                ],
            }
        ],
        "currentlySelected": 0,
    },
]
_NODES = {
    "n1": {
        "parent": None,
        "children": ["n2"],
        "message": {
            "author": {"role": "user"},
            "create_time": 1760000000.5,
            "content": {"content_type": "text", "parts": ["Q"]},
            "metadata": {},
        },
    },
    "n2": {
        "parent": "n1",
        "children": [],
        "message": {
            "author": {"role": "assistant"},
            "content": {
                "content_type": "multimodal_text",
                "parts": ["A", {"content_type": "image_asset_pointer"}],
            },
            "recipient": "all",
            "metadata": {"model_slug": "demo"},
        },
    },
}
_EVENTS: list[object] = [
    _codex("session_meta", id="s", cwd="/p", source="cli"),
    _codex("turn_context", model="demo", cwd="/p"),
    _codex("event_msg", type="user_message", message="Q", images=[], local_images=[]),
    _codex("response_item", type="message", role="assistant", content=[_text("A")]),
    _codex("event_msg", type="agent_message", message="A", phase="final_answer"),
    _codex("event_msg", type="thread_rolled_back", num_turns=0),
    _codex("event_msg", type="task_complete", last_agent_message="A"),
]
_VALID: dict[str, list[object]] = {
    "claude_code": [
        _claude("user", "u1", None, _text("Q")),
        _claude("assistant", "a1", "u1", _text("A"), {"type": "tool_use", "input": {"file_path": "/p/x.py"}}),
    ],
    "codex": _EVENTS,
    "lmstudio": [{"name": "T", "createdAt": 1, "lastUsedModel": {"identifier": "m"}, "messages": _VERSIONS}],
    "chatgpt": [{"title": "T", "create_time": 1, "id": "c", "current_node": "n2", "mapping": _NODES}],
    "jsonl": [{"id": "1", "question": "Q", "answer": "A", "timestamp": _STAMP, "conversation_id": "c"}],
}
_OTHER = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.sampled_from(["", " ", "\ud800", "\x00", "n1", "u1", "-1"]),
    st.text(max_size=4),
    st.sampled_from([[], {}, [[]], [None], {"": {}}, ["x", 1]]),
)


def _places(value: object, way: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield way
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*way, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*way, index))


def _replaced(value: object, way: tuple[object, ...], other: object) -> object:
    if not way:
        return other
    if isinstance(value, dict):
        return {
            key: _replaced(inner, way[1:], other) if key == way[0] else inner for key, inner in value.items()
        }
    assert isinstance(value, list)
    return [_replaced(inner, way[1:], other) if at == way[0] else inner for at, inner in enumerate(value)]


def _items(source: Source, conversation: object) -> list[object]:
    records = conversation if isinstance(conversation, list) else [conversation]
    text = json.dumps(records[0] if len(records) == 1 else records)
    if source.name in ("claude_code", "codex", "jsonl"):
        text = "".join(f"{json.dumps(record)}\n" for record in records)
    with TemporaryDirectory() as folder:
        path = Path(folder, "x.jsonl")
        path.write_text(text)
        return list(source.read(path))


_TREES = [source for source in SOURCES if source.name in _VALID]


@pytest.mark.parametrize("source", _TREES, ids=lambda source: source.name)
def test_the_undamaged_conversation_is_one_answered_exchange(source: Source) -> None:
    [exchange] = _items(source, _VALID[source.name])
    assert isinstance(exchange, Exchange)
    assert exchange.question == "Q"
    assert exchange.answer.startswith("A")


@pytest.mark.parametrize("source", _TREES, ids=lambda source: source.name)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_may_be_anything(source: Source, data: st.DataObject) -> None:
    valid = _VALID[source.name]
    way = data.draw(st.sampled_from(sorted(_places(valid), key=repr)))
    damaged = _replaced(valid, way, data.draw(_OTHER))

    for item in _items(source, damaged):
        assert isinstance(item, Exchange | Failure)
        if isinstance(item, Exchange):
            assert item.question.strip()
            assert isinstance(item.model, str | None)
            assert isinstance(item.workspace, str | None)
