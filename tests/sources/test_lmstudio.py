from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remanence.memory.exchange import Exchange, Status
from remanence.sources.lmstudio import LMSTUDIO, locate, read
from remanence.sources.source import Failure

WriteJson = Callable[..., Path]
NAME = "conversations/1760000000000.conversation.json"


def user(*texts: str, selected: int = 0) -> dict[str, object]:
    versions = [
        {"type": "singleStep", "role": "user", "content": [{"type": "text", "text": text}]} for text in texts
    ]
    return {"versions": versions, "currentlySelected": selected}


def step(text: str, at: int | None = None, **more: object) -> dict[str, object]:
    identifier = {"stepIdentifier": f"{at}-0.5"} if at else {}
    return {"type": "contentBlock", **identifier, "content": [{"type": "text", "text": text}], **more}


def assistant(*steps: dict[str, object], selected: int = 0) -> dict[str, object]:
    version = {"type": "multiStep", "role": "assistant", "senderInfo": {"senderName": "demo"}, "steps": steps}
    return {"versions": [version], "currentlySelected": selected}


def conversation(*messages: object, **more: object) -> dict[str, object]:
    return {"name": "CSV help", "createdAt": 1760000000000, "messages": messages, **more}


def exchanges(path: Path) -> list[Exchange]:
    items = list(read(path))
    assert all(isinstance(item, Exchange) for item in items), items
    return [item for item in items if isinstance(item, Exchange)]


def test_thinking_is_dropped_and_the_selected_version_is_taken(write_json: WriteJson) -> None:
    path = write_json(
        conversation(
            user("draft", "How to read a CSV?", selected=1),
            assistant(
                step("hmm", 1760000004000, style={"type": "thinking", "ended": True}),
                step("hm, again", prefix="<think>"),
                step("Use csv.reader.", 1760000006000, genInfo={"identifier": "demo-7b"}),
                {"type": "debugInfoBlock", "debugInfo": "x"},
            ),
        ),
        NAME,
    )

    [exchange] = exchanges(path)

    assert (exchange.question, exchange.answer) == ("How to read a CSV?", "Use csv.reader.")
    assert (exchange.model, exchange.conversation_title) == ("demo-7b", "CSV help")
    assert (exchange.asked_at, exchange.answered_at) == (1760000000000, 1760000006000)
    assert (exchange.conversation_id, exchange.turn_key, exchange.occurrence) == ("1760000000000", None, 0)


def test_inline_thinking_is_dropped_and_a_reply_cut_while_thinking_is_no_answer(
    write_json: WriteJson,
) -> None:
    path = write_json(
        conversation(
            user("One"),
            assistant(step("<think>hm</think>\n\nForty-two.")),
            user("Two"),
            assistant(step("<think>and so on")),
        ),
        NAME,
    )

    assert [(it.answer, it.status) for it in exchanges(path)] == [
        ("Forty-two.", Status.COMPLETE),
        ("", Status.UNANSWERED),
    ]


@pytest.mark.parametrize("selected", [7, -3, None, "one"])
def test_a_version_that_does_not_exist_is_the_nearest_one(write_json: WriteJson, selected: object) -> None:
    message = user("only")
    message["currentlySelected"] = selected
    path = write_json(conversation(message, {"versions": []}, assistant(step("Answer."))), NAME)

    assert [it.question for it in exchanges(path)] == ["only"]


def test_later_turns_are_dated_by_their_answers(write_json: WriteJson) -> None:
    took = {"stats": {"totalTimeSec": 2.5}}
    path = write_json(
        conversation(
            user("One"),
            assistant(step("First.", 1760000006000)),
            user("Two"),
            assistant(step("Second.", 1760000020000, genInfo=took)),
            createdAt=0,
        ),
        NAME,
    )

    assert [(it.asked_at, it.answered_at) for it in exchanges(path)] == [
        (1760000000000, 1760000006000),
        (1760000017500, 1760000020000),
    ]


def test_a_reply_the_user_stopped_is_partial(write_json: WriteJson) -> None:
    stopped = step("Well,", genInfo={"stats": {"stopReason": "userStopped"}})
    path = write_json(conversation(user("One"), assistant(stopped)), NAME)

    assert [it.status for it in exchanges(path)] == [Status.PARTIAL]


def test_an_edited_question_leaves_the_earlier_one_unanswered(write_json: WriteJson) -> None:
    path = write_json(conversation(user("One"), user("Two"), assistant(step("Yes."))), NAME)

    assert [(it.question, it.status) for it in exchanges(path)] == [
        ("One", Status.UNANSWERED),
        ("Two", Status.COMPLETE),
    ]


def test_glue_tool_calls_and_attachments_are_not_text(write_json: WriteJson) -> None:
    question = user("What is this?")
    question["versions"][0]["content"].append({"type": "file", "fileType": "image"})  # type: ignore[index]
    glue = {"type": "contentBlock", "content": [{"type": "text", "text": "<s>", "isStructural": True}]}
    called = {"type": "contentBlock", "content": [{"type": "toolCallRequest", "name": "look"}]}
    final = "It is a photograph of a cat on a keyboard."
    path = write_json(
        conversation(
            question, assistant(step("I'll look."), glue, called, {"type": "toolStatus"}, step(final))
        ),
        NAME,
    )

    assert [(it.question, it.answer) for it in exchanges(path)] == [("What is this?\n[image]", final)]


def test_older_shapes_are_read(write_json: WriteJson) -> None:
    single = {"type": "singleStep", "role": "assistant", "content": "Plain text."}
    path = write_json(
        conversation(
            {"versions": [{"role": "user", "content": "Plain question"}], "currentlySelected": 0},
            {"versions": [single], "currentlySelected": 0},
        ),
        NAME,
    )

    assert [(it.question, it.answer) for it in exchanges(path)] == [("Plain question", "Plain text.")]


def test_moving_a_conversation_to_a_folder_only_changes_its_tag(write_json: WriteJson) -> None:
    content = conversation(user("One"), assistant(step("Yes.")))

    [before] = exchanges(write_json(content, NAME))
    [after] = exchanges(write_json(content, "conversations/Work. /Python/1760000000000.conversation.json"))

    assert (before.tags, after.tags) == ((), ("folder:Work. ", "folder:Python"))
    assert before.conversation_id == after.conversation_id


def test_deleting_an_early_turn_does_not_rename_the_later_ones(write_json: WriteJson) -> None:
    one, two = (user("One"), assistant(step("1."))), (user("Two"), assistant(step("2.")))

    before = exchanges(write_json(conversation(*one, *two), NAME))[1]
    [after] = exchanges(write_json(conversation(*two), NAME))

    assert (before.question, before.occurrence) == (after.question, after.occurrence)


def test_a_half_written_file_is_one_failure_that_says_so(write_json: WriteJson) -> None:
    path = write_json(conversation(user("One")), NAME)
    path.write_bytes(path.read_bytes()[:-5])

    assert list(read(path)) == [
        Failure("the file", "The file is being written; it'll be read at the next sync.")
    ]


def test_the_home_is_found_as_lm_studio_finds_it(write_json: WriteJson, tmp_path: Path) -> None:
    def put(folder: str) -> Path:
        return write_json(conversation(), f"{folder}/conversations/a folder/1.conversation.json")

    newer = put(".lmstudio")
    assert locate({}, tmp_path) == [newer]
    older = put(".cache/lm-studio")
    assert locate({}, tmp_path) == [older]
    pointed = put("pointed")
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'pointed'}\n")
    assert locate({}, tmp_path) == [pointed]
    named = put("named")
    (named.parent / "1.conversation.json.lock").touch()
    assert locate({"LMSTUDIO_HOME": str(tmp_path / "named")}, tmp_path) == [named]


@pytest.mark.parametrize(
    ("name", "head", "recognised"),
    [
        ("1.conversation.json", b'{"name":null,', True),
        ("renamed.json", b'{"messages":[{"versions":[],"currentlySelected":0}]}', True),
        ("other.json", b'{"messages":[{"role":"user"}]}', False),
        ("1.conversation.json", b"[", False),
    ],
)
def test_a_conversation_is_recognised(name: str, head: bytes, recognised: bool) -> None:
    assert LMSTUDIO.recognises(Path(name), head) is recognised
