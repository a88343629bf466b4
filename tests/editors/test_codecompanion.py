"""CodeCompanion's chats are remembered turn by turn. The plugin is stood in for (see the stand-in's words);
Neovim, the extension and the server are real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neovim_session import Session, end, start

pytestmark = pytest.mark.e2e

STAND_IN = Path(__file__).parent / "codecompanion_stand_in"


@pytest.fixture
def session(editor_environment: Path) -> Iterator[Session]:
    """Neovim 0.11, which CodeCompanion needs, with its extension for Remanence turned on."""
    session = start("wheel", editor_environment)
    session.nvim.command(f"set runtimepath^={STAND_IN}")
    session.lua("require('remanence').setup()")
    session.lua("require('codecompanion._extensions.remanence').setup({})")
    session.edit(session.write("invoice.py", "total = 1\n"))
    yield session
    end(session)


def new_chat(session: Session, chat_id: int = 7) -> int:
    return session.lua(
        "return require('codecompanion').chat(..., { bufnr = vim.api.nvim_get_current_buf() })", chat_id
    )


def say(session: Session, chat: int, role: str, content: str | None, **options: Any) -> None:
    message = {"role": role} if content is None else {"role": role, "content": content}
    session.lua(
        "local bufnr, message, opts = ...; require('codecompanion').add_message(bufnr, message, opts)",
        chat,
        message,
        options or {"visible": True},
    )


def finish(session: Session, chat: int) -> None:
    session.lua("require('codecompanion').done(...)", chat)


def remembered(session: Session, query: str) -> list[dict[str, Any]]:
    """What recall finds among CodeCompanion's exchanges, superseded ones left out."""
    found = session.answered("recall", {"query": query, "tool": "codecompanion"})["memories"]
    found = [memory for memory in found if memory.get("supersededBy") is None]
    return [memory for memory in found if any(word in memory["question"] for word in query.split())]


def captured(session: Session, query: str) -> dict[str, Any]:
    return session.until(lambda: remembered(session, query), f"{query} remembered")[0]


def test_a_turn_is_remembered_with_where_it_was_asked(session: Session) -> None:
    chat = new_chat(session)
    session.lua("require('codecompanion').set_model(...)", chat, "qwen2.5-coder:7b")
    say(session, chat, "system", "You are an AI programming assistant.", visible=False)
    say(
        session,
        chat,
        "user",
        "Contents of invoice.py",
        visible=False,
        context={"id": "<buf>invoice.py</buf>"},
    )
    say(session, chat, "user", "Explain the marmalade allocator")
    say(session, chat, "llm", "It hands out jars.")
    finish(session, chat)

    memory = captured(session, "marmalade allocator")
    assert memory["question"] == "Explain the marmalade allocator"
    assert memory["answer"] == "It hands out jars."
    assert memory["model"] == "qwen2.5-coder:7b"
    assert memory["workspace"] == str(session.project)
    assert memory["uri"] == (session.project / "invoice.py").as_uri()
    assert memory["languageId"] == "python"


def test_a_tool_loop_is_one_answer(session: Session) -> None:
    chat = new_chat(session)
    say(session, chat, "user", "Count the periwinkle fixtures")
    say(session, chat, "llm", "Let me look.")
    say(session, chat, "llm", None, visible=False)
    say(session, chat, "tool", "fixtures: 12")
    say(session, chat, "llm", "There are twelve.")
    finish(session, chat)

    assert captured(session, "periwinkle fixtures")["answer"] == "Let me look.\n\nThere are twelve."


def test_each_turn_of_a_chat_is_an_exchange_of_one_conversation(session: Session) -> None:
    chat = new_chat(session)
    for question, answer in (("First about walrus locks", "One."), ("Then about walrus queues", "Two.")):
        say(session, chat, "user", question)
        say(session, chat, "llm", answer)
        finish(session, chat)

    memories = session.until(lambda: len(m := remembered(session, "walrus")) == 2 and m, "both turns")
    assert {memory["answer"] for memory in memories} == {"One.", "Two."}
    assert len({memory["conversationId"] for memory in memories}) == 1


def test_a_regenerated_answer_takes_the_place_of_the_first(session: Session) -> None:
    chat = new_chat(session)
    say(session, chat, "user", "Name the gooseberry port")
    say(session, chat, "llm", "8080.")
    session.lua("require('codecompanion').done(...)", chat)
    captured(session, "gooseberry port")
    session.lua("require('codecompanion').regenerate(...)", chat)
    say(session, chat, "llm", "It is 9090, as configured.")
    finish(session, chat)

    session.until(
        lambda: (
            [m["answer"] for m in remembered(session, "gooseberry port")] == ["It is 9090, as configured."]
        ),
        "only the second answer",
    )


def test_a_cleared_chat_does_not_overwrite_its_earlier_turns(session: Session) -> None:
    chat = new_chat(session)
    say(session, chat, "user", "What is a tamarind cache")
    say(session, chat, "llm", "Sour.")
    finish(session, chat)
    session.lua("require('codecompanion').clear(...)", chat)
    say(session, chat, "user", "What is a tamarind index")
    say(session, chat, "llm", "Sweet.")
    finish(session, chat)

    answers = session.until(
        lambda: len(m := remembered(session, "tamarind")) == 2 and {x["answer"] for x in m}, "both turns"
    )
    assert answers == {"Sour.", "Sweet."}


def test_a_saved_chat_keeps_its_name_in_the_next_neovim(session: Session) -> None:
    chat = new_chat(session)
    session.lua("require('codecompanion').save_as(...)", chat, "1767225600")
    say(session, chat, "user", "Where does the quokka daemon log")
    say(session, chat, "llm", "To the journal.")
    finish(session, chat)

    assert captured(session, "quokka daemon")["conversationId"] == "1767225600"


def test_a_stopped_turn_is_not_remembered(session: Session) -> None:
    chat = new_chat(session)
    say(session, chat, "user", "Say something about the ocelot parser")
    finish(session, chat)
    say(session, chat, "user", "Say it about the lynx parser then")
    say(session, chat, "llm", "It reads.")
    finish(session, chat)

    captured(session, "lynx parser")
    assert all("ocelot" not in memory["question"] for memory in remembered(session, "ocelot parser"))
