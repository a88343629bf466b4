"""textDocument/inlineCompletion over a real server and engine, with no model set: memory alone goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, remember, until
from lsprotocol import types

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = "import os\n\ndef parse_inv"
REST = "oice_total(text):\n    return Decimal(text.replace(',', ''))"
Trigger = types.InlineCompletionTriggerKind


def knows_inline(capabilities: types.ClientCapabilities) -> None:
    assert capabilities.text_document is not None
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    options = {"inlineCompletion": {"debounceMs": 60}}
    async with editor_window(new_home(), adjust=knows_inline, options=options) as window:
        await remember(window)
        yield window


async def proposed(
    window: Window,
    uri: str,
    text: str,
    trigger: Trigger = Trigger.Invoked,
    *,
    selected: types.SelectedCompletionInfo | None = None,
    behind: int = 0,
) -> types.InlineCompletionItem | None:
    """What is proposed at the end of a document (of the client's UTF-8 columns), `behind` before it."""
    lines = text.split("\n")
    position = types.Position(len(lines) - 1, len(lines[-1].encode()) - behind)
    result = await window.client.text_document_inline_completion_async(
        types.InlineCompletionParams(
            context=types.InlineCompletionContext(trigger, selected),
            text_document=types.TextDocumentIdentifier(uri),
            position=position,
        )
    )
    if result is None:
        return None
    assert isinstance(result, types.InlineCompletionList)
    [item] = result.items
    return item


async def test_it_is_announced_only_to_clients_that_know_it(
    window: Window, new_home: Callable[[], Home]
) -> None:
    assert window.initialized.capabilities.inline_completion_provider is not None
    async with editor_window(new_home()) as other:
        assert other.initialized.capabilities.inline_completion_provider is None


@pytest.mark.parametrize("trigger", list(Trigger))
async def test_code_of_an_earlier_answer_goes_on_where_the_line_begins_like_it(
    window: Window, trigger: Trigger
) -> None:
    uri = window.open(f"file:///p/{trigger.name}.py", SHORT)
    item = await proposed(window, uri, SHORT, trigger)
    assert item is not None
    assert item.insert_text == REST
    assert item.range == types.Range(types.Position(2, 13), types.Position(2, 13))


async def test_the_code_around_the_line_helps_to_find_it(window: Window) -> None:
    text = "def parse_invoice_total(text):\n    return Deci"
    uri = window.open("file:///p/inside.py", text)
    item = await proposed(window, uri, text)
    assert item is not None
    assert item.insert_text == "mal(text.replace(',', ''))"


async def test_accepting_tells_which_memories_helped(window: Window) -> None:
    uri = window.open("file:///p/accepted.py", SHORT)
    item = await proposed(window, uri, SHORT)
    assert item is not None
    assert item.command is not None
    assert item.command.command == "remanence.accepted"
    [argument] = item.command.arguments or []
    assert argument["kind"] == "inline"
    assert (await window.command("accepted", argument))["counted"] == 1


async def test_what_the_menu_has_chosen_is_part_of_the_line(window: Window) -> None:
    text = "parse_in"
    uri = window.open("file:///p/menu.py", text)
    chosen = types.SelectedCompletionInfo(
        range=types.Range(types.Position(0, 0), types.Position(0, 8)), text="def parse_inv"
    )
    item = await proposed(window, uri, text, selected=chosen)
    assert item is not None
    assert item.insert_text == f"def parse_inv{REST}"
    assert item.range == chosen.range


async def test_columns_are_those_of_the_client(window: Window) -> None:
    text = "é = '😀'; def parse_inv"  # the code before it is another statement: nothing begins so
    uri = window.open("file:///p/units.py", text)
    assert await proposed(window, uri, text) is None
    text = "\u3000def parse_inv"
    uri = window.open("file:///p/wide.py", text)
    item = await proposed(window, uri, text)
    assert item is not None
    assert item.range == types.Range(types.Position(0, 16), types.Position(0, 16))


@pytest.mark.parametrize(
    ("name", "language", "text"),
    [
        ("comment.py", "python", "#? def parse_invoice_total"),
        ("notes.md", "markdown", "def parse_invoice_total"),
        ("notes.tex", "latex", "def parse_invoice_total"),
        ("chat", "codecompanion", "def parse_invoice_total"),
        ("empty.py", "python", ""),
        ("blank.py", "python", "\n\n   "),
        ("other.go", "go", "def parse_invoice"),
        ("unlike.py", "python", "return parse_invoice"),
        ("little.py", "python", "def p"),
    ],
)
async def test_nothing_is_proposed_where_nothing_fits(
    window: Window, name: str, language: str, text: str
) -> None:
    uri = window.open(f"file:///p/{name}", text, language)
    assert await proposed(window, uri, text) is None


async def test_code_in_a_fence_of_markdown_is_code(window: Window) -> None:
    text = "Some words.\n\n```python\ndef parse_inv"
    uri = window.open("file:///p/fence.md", text, "markdown")
    item = await proposed(window, uri, text)
    assert item is not None
    assert item.insert_text == REST


async def test_nothing_is_proposed_in_the_middle_of_a_word_while_typing(window: Window) -> None:
    uri = window.open("file:///p/middle.py", SHORT)
    assert await proposed(window, uri, SHORT, Trigger.Automatic, behind=2) is None


async def test_a_newer_request_takes_the_place_of_the_older_ones(window: Window) -> None:
    uri = window.open("file:///p/newer.py", SHORT)
    asked = [asyncio.ensure_future(proposed(window, uri, SHORT, Trigger.Automatic)) for _ in range(5)]
    *older, newest = await asyncio.gather(*asked)
    assert older == [None] * 4
    assert newest is not None


async def test_requests_for_two_documents_do_not_end_each_other(window: Window) -> None:
    uris = [window.open(f"file:///p/beside-{at}.py", SHORT) for at in range(2)]
    both = await asyncio.gather(*(proposed(window, uri, SHORT, Trigger.Automatic) for uri in uris))
    assert all(item is not None for item in both)


async def test_an_answer_for_a_document_that_has_changed_is_dropped(window: Window) -> None:
    uri = window.open("file:///p/stale.py", SHORT)
    asked = asyncio.ensure_future(proposed(window, uri, SHORT, Trigger.Automatic))
    await asyncio.sleep(0)
    window.change(uri, SHORT + "o")
    assert await asked is None


async def test_a_document_closed_meanwhile_gets_nothing(window: Window) -> None:
    uri = window.open("file:///p/closed.py", SHORT)
    asked = asyncio.ensure_future(proposed(window, uri, SHORT, Trigger.Automatic))
    await asyncio.sleep(0)
    window.close(uri)
    assert await asked is None


async def test_that_no_model_is_set_is_only_logged_while_typing(new_home: Callable[[], Home]) -> None:
    async with editor_window(new_home(), adjust=knows_inline) as window:
        await remember(window)
        for at in range(2):
            uri = window.open(f"file:///p/{at}.py", SHORT)
            assert await proposed(window, uri, SHORT, Trigger.Automatic)

        async def logged() -> list[str]:
            return [
                each.message for each in window.client.log_messages if "no language model" in each.message
            ]

        assert len(await until(logged)) == 1
        assert window.client.messages == []


async def test_an_option_turns_it_off(new_home: Callable[[], Home]) -> None:
    options = {"inlineCompletion": {"enabled": False}}
    async with editor_window(new_home(), adjust=knows_inline, options=options) as window:
        await remember(window)
        uri = window.open("file:///p/off.py", SHORT)
        assert await proposed(window, uri, SHORT) is None
