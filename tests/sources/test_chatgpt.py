from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange, Status
from remanence.sources.chatgpt import CHATGPT, read
from remanence.sources.source import Failure

WriteJson = Callable[..., Path]
Node = dict[str, object]


def node(name: str, parent: str | None, role: str = "", *parts: object, **more: object) -> tuple[str, Node]:
    message: Node | None = None
    if role:
        content = {"content_type": "text" if all(isinstance(p, str) for p in parts) else "multimodal_text"}
        message = {
            "author": {"role": role},
            "content": {**content, "parts": parts},
            "recipient": "all",
            **more,
        }
    return name, {"id": name, "parent": parent, "children": [], "message": message}


def conversation(*nodes: tuple[str, Node], current: str | None = None, **more: object) -> Node:
    return {
        "title": "Pins",
        "create_time": 1760000000.5,
        "conversation_id": "cv1",
        "current_node": current or nodes[-1][0],
        "mapping": dict(nodes),
        **more,
    }


TURN = (
    node("n0", None),
    node("n1", "n0", "user", "How do I pin numpy?", create_time=1760000001.0),
    node(
        "n2",
        "n1",
        "assistant",
        "Write `numpy==1.26`.",
        create_time=1760000005.0,
        metadata={"model_slug": "gpt-x"},
    ),
)


def exchanges(path: Path) -> list[Exchange]:
    items = list(read(path))
    assert all(isinstance(item, Exchange) for item in items), items
    return [item for item in items if isinstance(item, Exchange)]


def test_a_turn_is_read_with_its_names_and_times(write_json: WriteJson) -> None:
    [exchange] = exchanges(write_json([conversation(*TURN)]))

    assert (exchange.question, exchange.answer) == ("How do I pin numpy?", "Write `numpy==1.26`.")
    assert (exchange.conversation_id, exchange.turn_key) == ("cv1", "n1")
    assert (exchange.conversation_title, exchange.model) == ("Pins", "gpt-x")
    assert (exchange.asked_at, exchange.answered_at) == (1760000001000, 1760000005000)


def test_only_the_branch_on_display_is_read(write_json: WriteJson) -> None:
    edited = node("n3", "n0", "user", "How do I pin it in uv?"), node("n4", "n3", "assistant", "uv add …")

    shown = exchanges(write_json([conversation(*TURN, *edited, current="n2")]))
    other = exchanges(write_json([conversation(*TURN, *edited, current="n4")]))

    assert [it.question for it in shown] == ["How do I pin numpy?"]
    assert [it.question for it in other] == ["How do I pin it in uv?"]


@pytest.mark.parametrize("current", ["gone", 3, None])
def test_without_a_current_node_the_newest_leaf_is_on_display(write_json: WriteJson, current: object) -> None:
    regenerated = node("n9", "n1", "assistant", "Older reply.", create_time=1760000002.0)
    content = conversation(regenerated, *TURN)
    content["current_node"] = current

    assert [it.answer for it in exchanges(write_json([content]))] == ["Write `numpy==1.26`."]


def test_what_is_not_shown_is_not_read(write_json: WriteJson) -> None:
    hidden = {"metadata": {"is_visually_hidden_from_conversation": True}}
    chain = [
        node("s", None, "system", "You are helpful."),
        node("c", "s", "user", "About me", **hidden),
        node("q", "c", "user", "What is the weather?"),
        node("t1", "q", "assistant", "search('weather')", recipient="browser"),
        node("t2", "t1", "tool", "sunny"),
        node("t3", "t2", "assistant", "Let me think.", channel="analysis"),
        node("t4", "t3", "assistant", "Discarded.", weight=0),
        node("a", "t4", "assistant", "Sunny \ue200cite\ue202turn0search1\ue201all day citeturn0search2."),
    ]
    thoughts = node("th", "t4", "assistant", "x")
    thoughts[1]["message"]["content"] = {"content_type": "thoughts", "thoughts": []}  # type: ignore[index]
    chain.insert(-1, thoughts)
    chain[-1][1]["parent"] = "th"

    [exchange] = exchanges(write_json([conversation(*chain)]))

    assert (exchange.question, exchange.answer) == ("What is the weather?", "Sunny all day .")


def test_images_speech_and_code_are_told_in_text(write_json: WriteJson) -> None:
    spoken = {"content_type": "audio_transcription", "text": "what is this"}
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    code = node("a", "q", "assistant", "x")
    code[1]["message"]["content"] = {"content_type": "code", "language": "python", "text": "x = 1"}  # type: ignore[index]
    path = write_json([conversation(node("q", None, "user", picture, spoken), code)])

    assert [(it.question, it.answer) for it in exchanges(path)] == [
        ("[image]\nwhat is this", "```python\nx = 1\n```")
    ]


def test_an_unfinished_reply_is_partial_and_none_is_unanswered(write_json: WriteJson) -> None:
    cut = node("a", "q", "assistant", "It is", status="in_progress")
    path = write_json(
        [conversation(node("q", None, "user", "One?"), cut), conversation(node("q", None, "user", "Two?"))]
    )

    assert [it.status for it in exchanges(path)] == [Status.PARTIAL, Status.UNANSWERED]


def test_a_conversation_without_a_name_gets_one_that_stays(write_json: WriteJson) -> None:
    unnamed = conversation(*TURN)
    del unnamed["conversation_id"]
    other = {**unnamed, "create_time": 1760000100.0}

    first, second, third = exchanges(write_json([unnamed, unnamed, other]))

    assert first.conversation_id == second.conversation_id != third.conversation_id


def test_temporary_chats_are_left_alone(write_json: WriteJson) -> None:
    assert exchanges(write_json([conversation(*TURN, is_temporary_chat=True)])) == []


def test_shards_in_a_zip_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in (1, 0):
            shard = [conversation(*TURN, conversation_id=f"cv{number}")]
            archive.writestr(f"data/conversations-00{number}.json", json.dumps(shard))
        archive.writestr("__MACOSX/data/conversations-000.json", "junk")
        archive.writestr("user.json", "{}")

    assert CHATGPT.recognises(path, path.read_bytes()[:100])
    assert [it.conversation_id for it in exchanges(path)] == ["cv0", "cv1"]


def test_a_zip_of_something_else_is_not_recognised(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "x")

    assert not CHATGPT.recognises(path, path.read_bytes())
    path.write_bytes(path.read_bytes()[:20])
    assert not CHATGPT.recognises(path, path.read_bytes())


def test_what_precedes_a_break_in_the_file_is_read(write_json: WriteJson) -> None:
    path = write_json([conversation(*TURN), conversation(*TURN)])
    path.write_bytes(path.read_bytes()[:-10])

    first, failure = read(path)

    assert isinstance(first, Exchange)
    assert failure == Failure(
        "after conversation 1", "The file is being written; it'll be read at the next sync."
    )


def test_other_json_is_a_failure_and_a_mark_or_bad_bytes_are_not(write_json: WriteJson) -> None:
    path = write_json([{"chat_messages": []}, conversation(*TURN)])
    assert [type(item) for item in read(path)] == [Failure, Exchange]

    content = json.dumps([conversation(*TURN)]).encode().replace(b"pin numpy", b"pin \xff numpy\x00")
    path.write_bytes(b"\xef\xbb\xbf" + content)
    assert [it.question for it in exchanges(path)] == ["How do I pin \ufffd numpy?"]


def test_a_single_conversation_is_read(write_json: WriteJson) -> None:
    assert len(exchanges(write_json(conversation(*TURN)))) == 1


def test_conversations_are_recognised_by_their_tree(write_json: WriteJson) -> None:
    path = write_json([conversation(*TURN)], "conversations.json")

    assert CHATGPT.recognises(path, path.read_bytes())
    assert not CHATGPT.recognises(path, b'[{"uuid":"u","chat_messages":[]}]')


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from([*"abcdefz", None])),
        min_size=1,
    ),
    st.sampled_from([*"abcdefz", None]),
)
def test_any_tree_of_messages_is_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory,
    links: dict[str, tuple[str, str | None]],
    current: str | None,
) -> None:
    nodes = [node(name, parent, role, f"{role} {name}") for name, (role, parent) in links.items()]
    path = tmp_path_factory.mktemp("trees") / "conversations.json"
    path.write_text(json.dumps([{**conversation(*nodes), "current_node": current}]))

    keys = [it.turn_key for it in exchanges(path)]

    assert len(keys) == len(set(keys))
