from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remanence.memory.exchange import Exchange, Status
from remanence.memory.timestamps import to_ms
from remanence.sources.codex import CODEX, locate, read
from remanence.sources.source import Failure

WriteLines = Callable[..., Path]
NAME = "rollout-2026-06-01T08-00-00-01900000-0000-7000-8000-000000000001.jsonl"
LONG = "Renamed `foo` to `bar` in the three files that use it."


def wrapped(kind: str, payload: dict[str, object], second: int = 0) -> dict[str, object]:
    return {"timestamp": f"2026-06-01T08:00:{second:02d}.000Z", "type": kind, "payload": payload}


def event(kind: str, second: int = 0, /, **fields: object) -> dict[str, object]:
    return wrapped("event_msg", {"type": kind, **fields}, second)


def response(role: str, text: str, **fields: object) -> dict[str, object]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **fields}


def item(kind: str, text: str, **fields: object) -> dict[str, object]:
    content = [{"type": "text", "text": text}]
    return event("item_completed", item={"type": kind, "content": content, **fields})


META = wrapped("session_meta", {"id": "019x", "cwd": "/w/app", "source": "cli", "originator": "codex-tui"})
CONTEXT = wrapped("turn_context", {"cwd": "/w/app", "model": "demo"})
CALL = wrapped("response_item", {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c"})


def exchanges(path: Path) -> list[Exchange]:
    items = list(read(path))
    assert all(isinstance(it, Exchange) for it in items), items
    return [it for it in items if isinstance(it, Exchange)]


def test_events_are_believed_and_not_counted_twice(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            META,
            CONTEXT,
            wrapped("response_item", response("user", "<environment_context>\n<cwd>/w/app</cwd>")),
            wrapped("response_item", response("user", "Rename foo")),
            event("user_message", 1, message="Rename foo", images=[], kind="plain"),
            event("agent_reasoning", 2, text="hm"),
            event("agent_message", 3, message="I'll look for its uses."),
            wrapped("response_item", response("assistant", "I'll look for its uses.")),
            CALL,
            event("agent_message", 7, message=LONG),
            wrapped("response_item", response("assistant", LONG)),
        ],
        NAME,
    )

    [exchange] = exchanges(path)

    assert (exchange.question, exchange.answer, exchange.status) == ("Rename foo", LONG, Status.COMPLETE)
    assert (exchange.conversation_id, exchange.workspace, exchange.model) == ("019x", "/w/app", "demo")
    assert exchange.asked_at == to_ms("2026-06-01T08:00:01Z")
    assert exchange.answered_at == to_ms("2026-06-01T08:00:07Z")


def test_the_last_message_of_a_completed_task_is_the_answer(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            META,
            event("user_message", message="Rename foo"),
            event(
                "agent_message", message="Looking at the whole tree for uses of it now.", phase="commentary"
            ),
            event("task_complete", last_agent_message=LONG),
        ],
        NAME,
    )

    assert [(it.answer, it.status) for it in exchanges(path)] == [(LONG, Status.COMPLETE)]


def test_commentary_alone_and_an_aborted_turn_are_partial(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            META,
            event("user_message", message="First"),
            event("agent_message", message="Looking.", phase="commentary"),
            event("user_message", message="Second"),
            event("agent_message", message=LONG),
            event("turn_aborted", reason="interrupted"),
        ],
        NAME,
    )

    assert [(it.answer, it.status) for it in exchanges(path)] == [
        ("Looking.", Status.PARTIAL),
        (LONG, Status.PARTIAL),
    ]


def test_turns_that_were_taken_back_are_gone(write_lines: WriteLines) -> None:
    turns = [
        record
        for name in ("First", "Second", "Third")
        for record in (event("user_message", message=name), event("agent_message", message=LONG))
    ]
    path = write_lines([META, *turns, event("thread_rolled_back", num_turns=2)], NAME)

    assert [it.question for it in exchanges(path)] == ["First"]


def test_a_paginated_history_is_read_from_its_items(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            META,
            item("UserMessage", "Rename foo", id="item-1"),
            item("Reasoning", "hm"),
            item("AgentMessage", "I'll look.", phase="commentary"),
            item("CommandExecution", ""),
            item("AgentMessage", LONG, phase="final_answer"),
            wrapped("response_item", response("assistant", LONG)),
        ],
        NAME,
    )

    assert [(it.question, it.answer, it.turn_key) for it in exchanges(path)] == [
        ("Rename foo", LONG, "item-1")
    ]


def test_api_items_are_read_where_there_is_nothing_else(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            META,
            wrapped("response_item", response("user", "# AGENTS.md instructions for /w/app")),
            wrapped("response_item", response("user", "<user_instructions>\nbe brief")),
            wrapped("response_item", response("user", "Rename foo")),
            wrapped("response_item", response("assistant", LONG)),
            wrapped("response_item", response("developer", "be brief")),
        ],
        NAME,
    )

    assert [(it.question, it.answer) for it in exchanges(path)] == [("Rename foo", LONG)]


def test_bare_lines_of_the_first_era_are_read(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            {"id": "old", "timestamp": "2025-07-01T08:00:00Z", "instructions": None, "git": {}},
            {"record_type": "state"},
            response("user", "<environment_context>\n  <cwd>/w/old</cwd>\n</environment_context>"),
            response("user", "Rename foo"),
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "name": "shell"},
            {"type": "ghost_snapshot"},
            response("assistant", LONG),
        ],
        NAME,
    )

    [exchange] = exchanges(path)

    assert (exchange.question, exchange.answer) == ("Rename foo", LONG)
    assert (exchange.conversation_id, exchange.workspace) == ("old", "/w/old")
    assert exchange.asked_at == to_ms("2025-07-01T08:00:00Z")


def test_the_oldest_files_are_one_json_object(write_json: Callable[..., Path]) -> None:
    session = {"id": "oldest", "timestamp": "2025-05-01T08:00:00Z", "instructions": ""}
    items = [response("user", "Rename foo"), response("assistant", LONG)]
    path = write_json({"session": session, "items": items}, "rollout-2025-05-01-oldest.json")

    assert [(it.question, it.answer, it.conversation_id) for it in exchanges(path)] == [
        ("Rename foo", LONG, "oldest")
    ]
    path.write_bytes(path.read_bytes()[:-9])
    assert [type(it) for it in read(path)] == [Failure]


def test_the_users_own_words_are_kept_of_what_the_editor_wrote(write_lines: WriteLines) -> None:
    message = (
        "# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nRename foo\n"
    )
    path = write_lines(
        [
            META,
            event("user_message", message="<environment_context>", kind="environment_context"),
            event("user_message", message=message, images=["data:image/png;base64,AAAA"]),
            event("agent_message", message=LONG),
        ],
        NAME,
    )

    assert [it.question for it in exchanges(path)] == ["Rename foo\n\n[image]"]


def test_a_fork_keeps_its_own_name_and_a_subagent_is_skipped(write_lines: WriteLines) -> None:
    turn = [event("user_message", message="Rename foo"), event("agent_message", message=LONG)]
    parent = wrapped("session_meta", {"id": "parent", "cwd": "/w/parent", "source": "cli"})
    fork = wrapped("session_meta", {"id": "fork", "cwd": "/w/app", "forked_from_id": "parent"})
    subagent = wrapped("session_meta", {"id": "sub", "source": {"subagent": "review"}})

    [exchange] = exchanges(write_lines([fork, parent, *turn], NAME))
    assert (exchange.conversation_id, exchange.workspace) == ("fork", "/w/app")
    assert exchanges(write_lines([subagent, parent, *turn], NAME)) == []


def test_equal_questions_are_told_apart_and_keep_their_names_when_the_file_grows(
    write_lines: WriteLines,
) -> None:
    turn = [event("user_message", message="continue"), event("agent_message", message=LONG)]

    assert [it.occurrence for it in exchanges(write_lines([META, *turn, *turn], NAME))] == [0, 1]
    assert [it.occurrence for it in exchanges(write_lines([META, *turn, *turn, *turn], NAME))] == [0, 1, 2]


def test_a_compressed_rollout_is_located_only_without_its_plain_sibling(tmp_path: Path) -> None:
    folder = tmp_path / ".codex" / "sessions" / "2026" / "06" / "01"
    folder.mkdir(parents=True)
    archived = tmp_path / ".codex" / "archived_sessions"
    archived.mkdir()
    plain, packed = folder / "rollout-a.jsonl", archived / "rollout-b.jsonl.zst"
    for path in (plain, folder / "rollout-a.jsonl.zst", packed, folder / "notes.jsonl"):
        path.touch()

    assert locate({}, tmp_path) == [plain, packed]
    assert locate({"CODEX_HOME": str(tmp_path / "none")}, tmp_path) == []


def test_a_compressed_rollout_that_cannot_be_read_is_one_failure_in_words(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\x00" * 20)

    [failure] = read(path)

    assert isinstance(failure, Failure)
    assert failure.reason.endswith(".")


@pytest.mark.parametrize(
    ("name", "head", "recognised"),
    [
        (NAME, b"", True),
        ("a.jsonl", b'{"timestamp":"x","type":"session_meta","payload":{}}\n', True),
        ("a.jsonl", b'{"timestamp":"x","type":"session_meta","payload":{"instructions":"' + b"x" * 999, True),
        ("a.jsonl", b'{"id":"a","timestamp":"x","instructions":null}\n', True),
        ("a.jsonl", b'{"type":"user","parentUuid":null}\n', False),
    ],
)
def test_a_rollout_is_recognised_by_its_name_or_first_line(name: str, head: bytes, recognised: bool) -> None:
    assert CODEX.recognises(Path(name), head) is recognised
