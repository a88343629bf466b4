"""Chats open in the editor become memories, through the server's own notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, until
from lsprotocol import types

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = """\
## Me

Which {word} comes first?

## CodeCompanion (ollama)

The first {word} is the alpha"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with editor_window(new_home()) as window:
        yield window


async def found(window: Window, word: str) -> list[dict[str, Any]]:
    recalled = await window.command("recall", {"query": word, "limit": 50, "mode": "lexical"})
    return [memory for memory in recalled["memories"] if word in memory["question"]]


async def test_a_growing_answer_is_one_memory_that_grows(window: Window) -> None:
    uri = window.open("file:///p/chat-1", CHAT.format(word="quokka"), "codecompanion")
    [before] = await until(lambda: found(window, "quokka"))
    assert (before["tool"], before["model"], before["conversationId"]) == ("codecompanion", "ollama", uri)
    end = types.Position(6, len("The first quokka is the alpha"))
    window.change(uri, " quokka, of course.\n\n## Me\n", types.Range(end, end))
    [after] = await until(lambda: grown(window, "quokka", before["answer"]))
    assert after["id"] == before["id"]
    assert after["answer"] == "The first quokka is the alpha quokka, of course."


async def grown(window: Window, word: str, answer: str) -> list[dict[str, Any]]:
    memories = await found(window, word)
    return memories if memories and memories[0]["answer"] != answer else []


async def test_saving_captures_at_once(window: Window) -> None:
    uri = window.open("file:///p/notes.md", "# Nothing yet\n", "markdown")
    window.change(uri, "## User\n\nWhich numbat comes first?\n\n## Assistant\n\nThe oldest numbat.\n")
    window.save(uri)
    [memory] = await until(lambda: found(window, "numbat"))
    assert memory["answer"] == "The oldest numbat."


async def test_closing_captures_what_was_said_last(window: Window) -> None:
    uri = window.open("file:///p/chat-2", CHAT.format(word="dunnart"), "codecompanion")
    window.close(uri)
    assert await until(lambda: found(window, "dunnart"))


async def test_an_ordinary_document_is_never_captured(window: Window) -> None:
    text = "# Roles\n\n## User\n\nThe bettong.\n\n## Assistant\n\nHelps.\n\n## Admin\n\nOwns all.\n"
    window.save(window.open("file:///p/roles.md", text, "markdown"))
    window.save(window.open("file:///p/code.py", CHAT.format(word="bettong"), "python"))
    window.save(window.open("file:///p/chat-3", CHAT.format(word="bilby"), "codecompanion"))
    assert await until(lambda: found(window, "bilby"))
    assert await found(window, "bettong") == []


async def test_reopening_a_chat_remembers_nothing_twice(window: Window) -> None:
    for _ in range(2):
        uri = window.open("file:///p/chat-4", CHAT.format(word="potoroo"), "codecompanion")
        window.save(uri)
        assert len(await until(lambda: found(window, "potoroo"))) == 1
        window.close(uri)


async def test_aider_sessions_of_one_file_are_conversations_of_their_own(window: Window) -> None:
    session = (
        "# aider chat started at 2026-01-0{day} 10:00:00\n\n#### which wombat?\n\nThe {day}.\n\n> Tokens\n\n"
    )
    text = "".join(session.format(day=day) for day in (2, 3))
    window.save(window.open("file:///p/.aider.chat.history.md", text, "markdown"))

    async def both() -> list[dict[str, Any]]:
        memories = await found(window, "wombat")
        return memories if len(memories) == 2 else []

    memories = await until(both)
    assert {memory["conversationId"] for memory in memories} == {"2026-01-02 10:00:00", "2026-01-03 10:00:00"}


async def test_importing_a_history_that_was_open_remembers_nothing_twice(
    window: Window, tmp_path: Path
) -> None:
    history = tmp_path / ".aider.chat.history.md"
    turn = "#### which echidna?\n\nThe {which} of them all, as far as anyone can tell today.\n\n> Tokens\n\n"
    history.write_text(
        "\n# aider chat started at 2026-01-04 10:00:00\n\n"
        + turn.format(which="first")
        + turn.format(which="last")
    )
    window.save(window.open(history.as_uri(), history.read_text(), "markdown"))

    async def both() -> list[dict[str, Any]]:
        memories = await found(window, "echidna")
        return memories if len(memories) == 2 else []

    captured = await until(both)
    job = await window.command("import", {"source": "aider", "path": str(history)})

    async def done() -> bool:
        [state] = (await window.command("jobs", {"jobId": job["jobId"]}))["jobs"]
        return state["state"] == "done"

    await until(done)
    assert sorted(memory["id"] for memory in await found(window, "echidna")) == sorted(
        memory["id"] for memory in captured
    )


async def test_capture_is_switched_off_by_an_option(home: Home) -> None:
    async with editor_window(home, options={"capture": {"transcripts": False}}) as window:
        window.save(window.open("file:///p/chat", CHAT.format(word="quoll"), "codecompanion"))
        await window.command("capture", {"question": "Is the kowari captured?", "answer": "By hand."})
        assert await until(lambda: found(window, "kowari"))
        assert await found(window, "quoll") == []


async def test_a_shutdown_captures_what_was_waiting(home: Home) -> None:
    async with editor_window(home) as window:
        await window.command("status")
        window.open("file:///p/chat", CHAT.format(word="bandicoot"), "codecompanion")
    async with editor_window(home) as window:
        assert len(await found(window, "bandicoot")) == 1
