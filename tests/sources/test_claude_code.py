from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange, Status
from remanence.sources.claude_code import CLAUDE_CODE, locate, read
from remanence.sources.source import Failure

WriteLines = Callable[..., Path]
LONG = "The loop runs one time too often: its bound should be `len(rows)`."


def line(kind: str, uuid: str, parent: str | None, content: object, **more: object) -> dict[str, object]:
    second = sum(map(ord, uuid)) % 60
    return {
        "type": kind,
        "uuid": uuid,
        "parentUuid": parent,
        "sessionId": "s1",
        "cwd": "/project",
        "timestamp": f"2026-05-01T10:00:{second:02d}.000Z",
        "isSidechain": False,
        "message": {"role": kind, "content": content, **({"model": "demo"} if kind == "assistant" else {})},
        **more,
    }


def user(uuid: str, parent: str | None, content: object, **more: object) -> dict[str, object]:
    return line("user", uuid, parent, content, **more)


def assistant(uuid: str, parent: str | None, *blocks: object, **more: object) -> dict[str, object]:
    return line("assistant", uuid, parent, [text(b) if isinstance(b, str) else b for b in blocks], **more)


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


def call(path: str | None = None) -> dict[str, object]:
    return {"type": "tool_use", "id": "t", "name": "Edit", "input": {"file_path": path} if path else {}}


RESULT = [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]


def exchanges(path: Path) -> list[Exchange]:
    items = list(read(path))
    assert all(isinstance(item, Exchange) for item in items), items
    return [item for item in items if isinstance(item, Exchange)]


def test_the_final_answer_is_what_follows_the_last_tool_call(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u1", None, "Why does the test fail?"),
            assistant(
                "a1", "u1", {"type": "thinking", "thinking": "hm"}, "I'll look.", call("/project/a/x.py")
            ),
            user("u2", "a1", RESULT),
            assistant("a2", "u2", LONG),
        ]
    )

    [exchange] = exchanges(path)

    assert (exchange.question, exchange.answer) == ("Why does the test fail?", LONG)
    assert (exchange.conversation_id, exchange.turn_key) == ("s1", "u1")
    assert (exchange.workspace, exchange.model, exchange.tags) == ("/project", "demo", ("file:a/x.py",))
    assert exchange.asked_at is not None
    assert exchange.answered_at is not None
    assert exchange.status is Status.COMPLETE


def test_a_final_answer_of_next_to_nothing_is_told_with_all_the_rest(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u1", None, "Fix it."),
            assistant("a1", "u1", LONG),
            assistant("a2", "a1", call()),
            user("u2", "a2", RESULT),
            assistant("a3", "u2", "Done."),
        ]
    )

    assert [it.answer for it in exchanges(path)] == [f"{LONG}\n\nDone."]


def test_a_turn_that_ends_on_a_tool_call_or_an_interruption_is_partial(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u1", None, "First"),
            assistant("a1", "u1", LONG),
            user("u2", "a1", "[Request interrupted by user]"),
            user("u3", "u2", "Second"),
            assistant("a2", "u3", LONG, call()),
        ]
    )

    assert [(it.question, it.status) for it in exchanges(path)] == [
        ("First", Status.PARTIAL),
        ("Second", Status.PARTIAL),
    ]


def test_what_the_user_did_not_say_is_no_question(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u0", None, "Caveat: The messages below were generated", isMeta=True),
            user("u1", "u0", "<bash-input>ls</bash-input>"),
            user("u2", "u1", "<system-reminder>be brief</system-reminder>"),
            user("u3", "u2", "This session continues…", isCompactSummary=True),
            user("u4", "u3", "A task ended", origin={"kind": "task-notification"}),
            user(
                "u5",
                "u4",
                [text("<ide_opened_file>x.py</ide_opened_file>"), text("What is this?"), {"type": "image"}],
                origin={"kind": "human"},
            ),
            assistant("a1", "u5", LONG),
            assistant("a2", "a1", "No credit left.", isApiErrorMessage=True),
        ]
    )

    assert [(it.question, it.answer) for it in exchanges(path)] == [("What is this?\n[image]", LONG)]


def test_a_command_that_asks_the_model_keeps_its_argument(write_lines: WriteLines) -> None:
    def command(name: str, arguments: str) -> str:
        return f"<command-name>/{name}</command-name>\n<command-args>{arguments}</command-args>"

    path = write_lines(
        [
            user("u1", None, "First"),
            assistant("a1", "u1", LONG),
            user("u2", "a1", command("model", "other")),
            user("u3", "u2", "<local-command-stdout>Set model</local-command-stdout>"),
            assistant("a2", "u3", "And one more thing."),
            user("u4", "a2", command("explain", "the parser")),
            user("u5", "u4", "Explain the parser in detail.", isMeta=True),
            assistant("a3", "u5", "The parser has two passes."),
            user("u6", "a3", command("init", "")),
            assistant("a4", "u6", "I wrote the file."),
        ]
    )

    assert [(it.question, it.answer, it.tags) for it in exchanges(path)] == [
        ("First", f"{LONG}\n\nAnd one more thing.", ()),
        ("the parser", "The parser has two passes.", ("cmd:explain",)),
    ]


def test_only_the_active_branch_is_read(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u1", None, "First"),
            assistant("a1", "u1", LONG),
            user("u2", "a1", "Abandoned"),
            assistant("a2", "u2", "Abandoned answer"),
            user("u3", "a1", "Instead"),
            assistant("a3", "u3", "Instead answer"),
            user("x1", "a3", "subagent", isSidechain=True),
            assistant("x2", "x1", "subagent answer", isSidechain=True),
        ]
    )

    assert [it.question for it in exchanges(path)] == ["First", "Instead"]


def test_an_edited_first_prompt_leaves_the_earlier_one_behind(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u1", None, "Draft"),
            assistant("a1", "u1", LONG),
            user("u2", None, "Edited"),
            assistant("a2", "u2", LONG),
        ]
    )

    assert [it.question for it in exchanges(path)] == ["Edited"]


def test_blocks_of_one_reply_are_kept_together(write_lines: WriteLines) -> None:
    one, other = assistant("a1", "u1", LONG), assistant("a2", "u1", "It is in `run()`.")
    for block in (one, other):
        block["message"]["id"] = "m1"  # type: ignore[index]
    path = write_lines([user("u1", None, "Where?"), one, other])

    assert [it.answer for it in exchanges(path)] == [f"{LONG}\n\nIt is in `run()`."]


def test_a_compaction_is_walked_across(write_lines: WriteLines) -> None:
    boundary = {
        "type": "system",
        "subtype": "compact_boundary",
        "uuid": "c1",
        "parentUuid": None,
        "logicalParentUuid": "a1",
        "sessionId": "s1",
    }
    path = write_lines(
        [
            user("u1", None, "Before"),
            assistant("a1", "u1", LONG),
            boundary,
            user("u2", "c1", "Summary of it all", isCompactSummary=True),
            user("u3", "u2", "After"),
            assistant("a2", "u3", LONG),
        ]
    )

    assert [it.question for it in exchanges(path)] == ["Before", "After"]


def test_file_order_is_the_chain_where_links_lead_nowhere(write_lines: WriteLines) -> None:
    path = write_lines(
        [
            user("u1", None, "One"),
            assistant("a1", None, LONG),
            user("u2", "lost", "Two"),
            assistant("a2", "gone", LONG),
        ]
    )

    assert [it.question for it in exchanges(path)] == ["One", "Two"]


def test_a_resumed_copy_names_its_turns_alike(write_lines: WriteLines) -> None:
    turn = [user("u1", None, "First"), assistant("a1", "u1", LONG)]
    later = [user("u2", "a1", "Next", sessionId="s2"), assistant("a2", "u2", LONG, sessionId="s2")]

    first = exchanges(write_lines(turn, "s1.jsonl"))
    resumed = exchanges(write_lines([*turn, *later], "s2.jsonl"))

    assert [(it.conversation_id, it.turn_key) for it in first] == [("s1", "u1")]
    assert [(it.conversation_id, it.turn_key) for it in resumed] == [("s1", "u1"), ("s2", "u2")]


def test_messages_in_quick_succession_are_one_question(write_lines: WriteLines) -> None:
    late = user("u3", "u2", "Hours later", timestamp="2026-05-01T13:00:00.000Z")
    path = write_lines(
        [user("u1", None, "Look at this"), user("u2", "u1", "and explain"), late, assistant("a1", "u3", LONG)]
    )

    assert [(it.question, it.status) for it in exchanges(path)] == [
        ("Look at this\n\nand explain", Status.UNANSWERED),
        ("Hours later", Status.COMPLETE),
    ]


def test_the_title_is_the_one_given_to_this_session(write_lines: WriteLines) -> None:
    turn = [user("u1", None, "First"), assistant("a1", "u1", LONG)]
    foreign = {"type": "summary", "summary": "Another session", "leafUuid": "elsewhere"}
    own = {"type": "summary", "summary": "This session", "leafUuid": "a1"}
    named = {"type": "custom-title", "customTitle": "My name for it"}

    assert exchanges(write_lines([foreign, *turn]))[0].conversation_title is None
    assert exchanges(write_lines([foreign, *turn, own]))[0].conversation_title == "This session"
    assert exchanges(write_lines([*turn, own, named]))[0].conversation_title == "My name for it"


def test_bad_lines_are_failures_and_the_rest_is_read(write_lines: WriteLines) -> None:
    broken = user("u2", "a1", "x")
    broken["message"] = "error"
    path = write_lines(
        [
            "{not json",
            "[1]",
            user("u1", None, "First"),
            assistant("a1", "u1", LONG),
            broken,
            {"silly": "this"},
        ]
    )

    items = list(read(path))

    assert [item.question for item in items if isinstance(item, Exchange)] == ["First"]
    assert [item for item in items if isinstance(item, Failure)] == [
        Failure("line 1", "It is not JSON."),
        Failure("line 2", "It is not a JSON object."),
        Failure("line 5", "A message without content."),
    ]


def test_a_line_being_written_is_waited_for(write_lines: WriteLines) -> None:
    path = write_lines([user("u1", None, "First"), assistant("a1", "u1", LONG)])
    whole = path.read_bytes()

    path.write_bytes(whole[:-40])
    assert [(it.question, it.status) for it in exchanges(path)] == [("First", Status.UNANSWERED)]
    path.write_bytes(whole[:-1])  # complete but for its newline
    assert [it.answer for it in exchanges(path)] == [LONG]


def test_a_cycle_of_parents_ends(write_lines: WriteLines) -> None:
    path = write_lines([user("u1", "a1", "First"), assistant("a1", "u1", LONG)])

    assert [it.question for it in exchanges(path)] == ["First"]


def test_sessions_are_located_without_those_of_subagents(write_lines: WriteLines, tmp_path: Path) -> None:
    own = write_lines([], ".claude/projects/-project/s1.jsonl")
    write_lines([], ".claude/projects/-project/agent-1.jsonl")
    write_lines([], ".claude/projects/-project/s1/subagents/agent-2.jsonl")
    moved = write_lines([], "moved/projects/-project/s2.jsonl")

    assert locate({}, tmp_path) == [own]
    assert locate({"CLAUDE_CONFIG_DIR": str(tmp_path / "moved")}, tmp_path) == [moved]
    assert locate({}, tmp_path / "nobody") == []


@pytest.mark.parametrize(
    ("head", "recognised"),
    [
        (b'{"type":"summary","summary":"x","leafUuid":"y"}\n', True),
        (b'{"type":"file-history-snapshot","messageId":"m"}\n', True),
        (b'{"type":"user","parentUuid":null,"message":{"content":"' + b"x" * 900, True),
        (b'{"type":"session_meta","payload":{}}\n', False),
        (b'{"question":"a","answer":"b"}\n', False),
    ],
)
def test_a_session_is_recognised_by_its_first_lines(head: bytes, recognised: bool) -> None:
    assert CLAUDE_CODE.recognises(Path("s1.jsonl"), head) is recognised


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant"]), st.sampled_from("abcdef"), st.sampled_from("abcdefz")
        ),
        max_size=12,
    )
)
def test_any_tree_of_messages_is_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("trees") / "s1.jsonl"
    records = [line(kind, uuid, parent, f"{kind} {uuid}") for kind, uuid, parent in links]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))

    keys = [it.turn_key for it in exchanges(path)]

    assert len(keys) == len(set(keys))
