"""textDocument/codeAction: what is offered where, and that each action's command does what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, remember, until
from lsprotocol import types
from lsprotocol.converters import get_converter

from remanence.lsp.code_action import KINDS
from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = """\
import time

# How long does the pump wait between two strokes?
def stroke_delay(pressure):
    return 0.4 if pressure > 3 else 0.9


class Pump:
    def run(self):
        time.sleep(stroke_delay(2))
"""
URI = "file:///p/pump%20room/pump.py"
Automatic, Invoked = types.CodeActionTriggerKind.Automatic, types.CodeActionTriggerKind.Invoked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with editor_window(new_home(), "neovim") as window:
        await remember(window)
        read_actions(window)
        window.open(URI, CODE)
        yield window


def read_actions(window: Window) -> None:
    """lsprotocol 2025.0.0 reads every code action as a command that is named by its own text."""
    window.client.protocol._converter.register_structure_hook(types.Command | types.CodeAction, _action)


def _action(given: dict[str, Any], _: object) -> types.Command | types.CodeAction:
    kind = types.Command if isinstance(given["command"], str) else types.CodeAction
    return get_converter().structure(given, kind)


async def actions(
    window: Window,
    start: tuple[int, int],
    end: tuple[int, int] | None = None,
    *,
    uri: str = URI,
    only: list[str] | None = None,
    trigger: types.CodeActionTriggerKind | None = None,
    diagnostics: list[types.Diagnostic] | None = None,
) -> dict[str, Any]:
    """The actions by their titles; each one's command and its argument."""
    found = await window.client.text_document_code_action_async(
        types.CodeActionParams(
            text_document=types.TextDocumentIdentifier(uri),
            range=types.Range(types.Position(*start), types.Position(*(end or start))),
            context=types.CodeActionContext(diagnostics or [], only, trigger),
        )
    )
    offered: dict[str, Any] = {}
    for each in found or []:
        command = each.command if isinstance(each, types.CodeAction) else each
        assert isinstance(command, types.Command)
        [argument] = command.arguments or []
        offered[each.title] = (command.command, argument)
    return offered


async def test_a_selection_is_explained_and_remembered(window: Window) -> None:
    offered = await actions(window, (3, 0), (5, 0))
    assert list(offered) == ["Explain with memory", "Remember this"]
    command, asked = offered["Explain with memory"]
    assert command == "remanence.ask"
    assert (
        "```python\ndef stroke_delay(pressure):\n    return 0.4 if pressure > 3 else 0.9\n```"
        in asked["prompt"]
    )
    assert (asked["symbol"], asked["uri"], asked["languageId"]) == ("stroke_delay", URI, "python")
    command, remembered = offered["Remember this"]
    assert command == "remanence.capture"
    assert remembered["question"] == "How long does the pump wait between two strokes?"
    assert remembered["answer"].startswith("```python\ndef stroke_delay")


async def test_a_comment_that_is_selected_asks_for_the_code_below_it(window: Window) -> None:
    _, remembered = (await actions(window, (2, 0), (5, 0)))["Remember this"]
    assert remembered["question"] == "How long does the pump wait between two strokes?"
    assert "#" not in remembered["answer"]


async def test_code_without_a_comment_is_asked_for_by_the_name_it_stands_in(window: Window) -> None:
    _, remembered = (await actions(window, (9, 0), (9, 34)))["Remember this"]
    assert remembered["question"] == "What does `run` look like in pump.py?"


async def test_a_docstring_asks_for_its_function(window: Window) -> None:
    text = 'def drain():\n    """Empties the sump before the frost."""\n    valve.open()\n'
    uri = window.open("file:///p/doc.py", text)
    _, remembered = (await actions(window, (0, 0), (3, 0), uri=uri))["Remember this"]
    assert remembered["question"] == "Empties the sump before the frost."


async def test_a_symbol_under_the_cursor_is_explained_with_its_lines(window: Window) -> None:
    offered = await actions(window, (9, 22))
    assert list(offered) == ["Explain with memory"]
    _, asked = offered["Explain with memory"]
    assert asked["prompt"].startswith("Explain `stroke_delay` as it is used here.")
    assert "time.sleep(stroke_delay(2))" in asked["prompt"]


async def test_nothing_is_offered_over_nothing(window: Window) -> None:
    assert await actions(window, (1, 0)) == {}
    assert await actions(window, (400, 7)) == {}
    assert await actions(window, (0, 0), uri="file:///never/opened.py") == {}


async def test_a_comment_that_is_selected_is_asked(window: Window) -> None:
    _, asked = (await actions(window, (2, 0), (2, 50)))["Ask with memory"]
    assert asked["prompt"] == "How long does the pump wait between two strokes?"


async def test_a_prompt_at_the_cursor_is_asked(window: Window) -> None:
    uri = window.open("file:///p/prompt.py", "x = 1\n#? why does the websocket drop\n")
    _, asked = (await actions(window, (1, 12), uri=uri))["Ask with memory"]
    assert asked["prompt"] == "why does the websocket drop"
    assert asked["show"] is True


async def test_what_the_editor_complains_of_is_asked(window: Window) -> None:
    where = types.Range(types.Position(9, 8), types.Position(9, 12))
    diagnostic = types.Diagnostic(range=where, message="time.sleep takes a float")
    offered = await actions(window, (9, 9), diagnostics=[diagnostic])
    _, asked = offered["Ask with memory"]
    assert asked["prompt"].startswith("How do I fix this?\n\ntime.sleep takes a float\n\n```python\n")
    assert "The editor says: time.sleep takes a float" in offered["Explain with memory"][1]["prompt"]


async def test_prose_asks_and_is_remembered_under_its_heading(window: Window) -> None:
    text = "# Winter\n\nDrain the sump before the frost.\n"
    uri = window.open("file:///p/notes.md", text, "markdown")
    offered = await actions(window, (2, 0), (2, 32), uri=uri)
    assert offered["Ask with memory"][1]["prompt"] == "Drain the sump before the frost."
    _, remembered = offered["Remember this"]
    assert (remembered["question"], remembered["answer"]) == ("Winter", "Drain the sump before the frost.")
    _, remembered = (await actions(window, (0, 0), (3, 0), uri=uri))["Remember this"]
    assert (remembered["question"], remembered["answer"]) == ("Winter", "Drain the sump before the frost.")


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["quickfix"], []),
        (["source.organizeImports", "refactor"], []),
        (["remanence.explain"], ["Explain with memory"]),
        (["quickfix", "remanence"], ["Explain with memory", "Remember this"]),
        ([""], ["Explain with memory", "Remember this"]),
        ([], []),
    ],
)
async def test_only_the_kinds_that_are_asked_for_are_offered(
    window: Window, only: list[str], expected: list[str]
) -> None:
    assert list(await actions(window, (3, 0), (5, 0), only=only)) == expected


async def test_a_cursor_that_only_moves_is_offered_nothing(window: Window) -> None:
    assert await actions(window, (9, 22), trigger=Automatic) == {}
    assert await actions(window, (9, 22), trigger=Invoked) != {}
    assert await actions(window, (3, 0), (5, 0), trigger=Automatic) != {}


async def test_the_kinds_are_announced_and_a_client_of_commands_gets_commands(
    window: Window, new_home: Callable[[], Home]
) -> None:
    provider = window.initialized.capabilities.code_action_provider
    assert isinstance(provider, types.CodeActionOptions)
    assert list(provider.code_action_kinds or []) == KINDS

    def commands_only(capabilities: types.ClientCapabilities) -> None:
        assert capabilities.text_document is not None
        assert capabilities.text_document.code_action is not None
        capabilities.text_document.code_action.code_action_literal_support = None

    async with editor_window(new_home(), adjust=commands_only) as other:
        read_actions(other)
        other.open(URI, CODE)
        found = await other.client.text_document_code_action_async(
            types.CodeActionParams(
                text_document=types.TextDocumentIdentifier(URI),
                range=types.Range(types.Position(3, 0), types.Position(5, 0)),
                context=types.CodeActionContext([]),
            )
        )
        assert found
        assert all(isinstance(each, types.Command) for each in found)


async def test_each_command_does_what_its_title_says(window: Window) -> None:
    offered = await actions(window, (3, 0), (5, 0))
    command, argument = offered["Remember this"]
    captured = await window.command(command.removeprefix("remanence."), argument)
    memory = await window.command("memory", {"id": captured["id"]})
    assert (memory["tool"], memory["uri"]) == ("editor", URI)
    command, argument = offered["Explain with memory"]
    window.client.messages.clear()
    await window.command(command.removeprefix("remanence."), argument)

    async def told() -> list[str]:
        return [each.message for each in window.client.messages]

    assert await until(told)


async def test_any_selection_of_any_text_is_answered(window: Window) -> None:
    text = "x = '😀é'\r\n\u2028\r\n`code` ```\r\n\tif x:\r\n"
    for language in ("python", "markdown", "", "html"):
        uri = window.open(f"file:///p/odd.{language}", text, language)
        for start in range(6):
            for end in range(start, 6):
                await actions(window, (start, 1), (end, 7), uri=uri)
