"""What holds for every source."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.memory.exchange import Exchange, Status
from remanence.sources import SOURCES
from remanence.sources.recognise import recognise
from remanence.sources.source import Failure, Source

every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)

# The words the formats are made of, put together at random.
_KEYS = st.sampled_from(
    [
        "type",
        "uuid",
        "parentUuid",
        "message",
        "content",
        "role",
        "steps",
        "versions",
        "messages",
        "mapping",
        "author",
        "parts",
        "current_node",
        "payload",
        "item",
        "text",
        "question",
        "answer",
        "timestamp",
        "id",
    ]
)
_WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "text",
        "tool_use",
        "event_msg",
        "response_item",
        "user_message",
        "session_meta",
        "contentBlock",
        "thinking",
        "multimodal_text",
        "item_completed",
        "UserMessage",
        "thread_rolled_back",
    ]
)
_LEAF = st.one_of(_WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
_JSON = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=25,
)
_MARKDOWN = st.lists(
    st.sampled_from(
        [
            "# aider chat started at 2026-03-01 09:00:00",
            "#### hi  ",
            "#### hi",
            "> out  ",
            "> out",
            "",
            "```",
            "text",
        ]
    )
).map("\n".join)
_CONTENT = st.one_of(
    st.binary(max_size=400),
    st.lists(_JSON, max_size=5).map(lambda values: "\n".join(json.dumps(value) for value in values).encode()),
    _JSON.map(lambda value: json.dumps([{"mapping": value}]).encode()),
    _JSON.map(lambda value: json.dumps({"messages": value, "session": value, "items": value}).encode()),
    _MARKDOWN.map(str.encode),
    st.binary(max_size=60).map(lambda tail: b"\x1f\x8b\x08\x00" + tail),
    st.binary(max_size=60).map(lambda tail: b"PK\x03\x04" + tail),
)


@every_source
@settings(max_examples=60, deadline=None)
@given(content=_CONTENT, name=st.sampled_from(["x.jsonl", "x.json", "rollout-x.json"]))
def test_no_content_makes_a_reader_raise(source: Source, content: bytes, name: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        source.recognises(path, content)
        for item in source.read(path):
            assert isinstance(item, Exchange | Failure)
            if isinstance(item, Exchange):
                assert item.question.strip()
                assert (item.status is Status.UNANSWERED) is (not item.answer.strip())


@every_source
def test_a_missing_file_a_folder_and_an_empty_file_are_no_exchanges(source: Source, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path / "gone", tmp_path, tmp_path / "empty"):
        assert not [item for item in source.read(path) if isinstance(item, Exchange)]
    assert len(list(source.read(tmp_path / "gone"))) == 1


@every_source
def test_nothing_is_located_where_the_tool_was_never_used(source: Source, tmp_path: Path) -> None:
    assert source.locate({}, tmp_path) == []
    assert source.locate({}, tmp_path / "gone") == []


def test_names_are_unique_and_titles_are_given() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert all(source.title for source in SOURCES)


# The aider sample has 751 runs of `#### ` lines that are no command and have text after them. 11 of
# these are not exchanges: 4 headings in answers, 2 prompts quoted in answers, 5 outputs of aider or a shell.
@pytest.mark.e2e
@pytest.mark.skipif("REMANENCE_SHARED_DATA" not in os.environ, reason="REMANENCE_SHARED_DATA is not set")
@pytest.mark.parametrize(
    ("folder", "counts"),
    [
        ("aider", {"complete": 740, "unanswered": 132}),
        ("claude_code", {"complete": 4, "partial": 2, "unanswered": 2, "failure": 5}),
        ("codex", {"complete": 1}),
        ("own_shapes", {"complete": 3}),
    ],
)
def test_published_samples_are_read(folder: str, counts: dict[str, int]) -> None:
    root = Path(os.environ["REMANENCE_SHARED_DATA"]) / "samples" / folder
    found = Counter(
        item.status if isinstance(item, Exchange) else "failure"
        for source, path in recognise(root)
        for item in source.read(path)
    )
    assert found == counts
