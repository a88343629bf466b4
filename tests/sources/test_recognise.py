from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from remanence.sources.aider import AIDER
from remanence.sources.jsonl import JSONL
from remanence.sources.recognise import recognise

EXCHANGE = json.dumps({"question": "q", "answer": "a"}) + "\n"
CHATS = json.dumps([{"mapping": {"n": {"message": None}}}])
CONTENTS = {
    "aider/.aider.chat.history.md": "# aider chat started at 2026-03-01 09:00:00\n",
    "chatgpt/conversations-000.json": CHATS,
    "claude/projects/-p/s1.jsonl": '{"type":"user","parentUuid":null,"uuid":"u"}\n',
    "codex/sessions/2026/06/rollout-x.jsonl": '{"type":"session_meta","payload":{}}\n',
    "lm/conversations/1.conversation.json": '{"messages":[]}',
    "more.jsonl": EXCHANGE,
}
OTHERS = {
    "README.md": "# aider chat started\n",
    "package.json": "{}",
    "node_modules/x/more.jsonl": EXCHANGE,
    "a/b/c/d/e/more.jsonl": EXCHANGE,
    "auth.json": CHATS,
    "notes.txt": EXCHANGE,
}


def put(root: Path, contents: dict[str, str]) -> None:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_a_folder_is_searched_for_every_known_format(tmp_path: Path) -> None:
    put(tmp_path, CONTENTS | OTHERS)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("conversations.json", CHATS)

    found = {str(path.relative_to(tmp_path)): source.name for source, path in recognise(tmp_path)}

    assert found == {
        "aider/.aider.chat.history.md": "aider",
        "chatgpt/conversations-000.json": "chatgpt",
        "claude/projects/-p/s1.jsonl": "claude_code",
        "codex/sessions/2026/06/rollout-x.jsonl": "codex",
        "export.zip": "chatgpt",
        "lm/conversations/1.conversation.json": "lmstudio",
        "more.jsonl": "jsonl",
    }


def test_a_chosen_source_takes_a_file_as_it_is_and_searches_a_folder_for_its_own(tmp_path: Path) -> None:
    put(tmp_path, CONTENTS)
    odd = tmp_path / "odd.txt"
    odd.touch()

    assert list(recognise(odd)) == []
    assert list(recognise(odd, JSONL)) == [(JSONL, odd)]
    assert list(recognise(tmp_path, AIDER)) == [(AIDER, tmp_path / "aider" / ".aider.chat.history.md")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "more.jsonl")

    assert list(recognise(tmp_path)) == []


def test_links_are_not_followed_into_circles(tmp_path: Path) -> None:
    put(tmp_path, {"a/more.jsonl": EXCHANGE})
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)

    assert [path for _, path in recognise(tmp_path)] == [tmp_path / "a" / "more.jsonl"]
