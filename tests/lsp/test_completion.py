"""textDocument/completion and completionItem/resolve over a real server and a real engine."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import attrs
import pytest
import pytest_asyncio
from editor_window import CLIENTS, Window, editor_window, remember
from lsprotocol import types

from remanence.lsp.position import column, split_lines
from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "How do I retry a websocket connection with exponential backoff?"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=CLIENTS)
async def window(request: pytest.FixtureRequest, new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with editor_window(new_home(), request.param) as window:
        await remember(window)
        yield window


async def offered(window: Window, uri: str, text: str, language: str) -> list[types.CompletionItem]:
    """What is offered at the end of `text`, in the order of `sortText`."""
    window.open(uri, text, language)
    lines = text.split("\n")
    completions = await window.complete(uri, len(lines) - 1, len(lines[-1]))
    assert completions is not None
    assert completions.is_incomplete
    return sorted(completions.items, key=lambda item: item.sort_text or "")


def inserted(item: types.CompletionItem, line: str) -> str:
    """What a client makes of an item's text: snippets lose their escapes and are indented like the line."""
    assert isinstance(item.text_edit, types.TextEdit)
    text = item.text_edit.new_text
    if item.insert_text_format is not types.InsertTextFormat.Snippet:
        return text
    assert re.search(r"(?<!\\)(?:\\\\)*[$}]", text) is None
    indent = line[: len(line) - len(line.lstrip())]
    return re.sub(r"\\([\\$}])", r"\1", text).replace("\n", f"\n{indent}")


def applied(text: str, item: types.CompletionItem) -> str:
    """The document after the client accepted the item (ASCII text: each unit is a character)."""
    assert isinstance(item.text_edit, types.TextEdit)
    lines = split_lines(text)
    main = attrs.evolve(item.text_edit, new_text=inserted(item, lines[item.text_edit.range.start.line]))
    starts = [sum(len(line) for line in lines[:at]) for at in range(len(lines) + 1)]
    for edit in sorted(
        [main, *(item.additional_text_edits or [])],
        key=lambda edit: (edit.range.start.line, edit.range.start.character),
        reverse=True,
    ):
        start = starts[edit.range.start.line] + edit.range.start.character
        end = starts[edit.range.end.line] + edit.range.end.character
        text = text[:start] + edit.new_text + text[end:]
    return text


def named(items: list[types.CompletionItem], label: str) -> types.CompletionItem:
    return next(item for item in items if item.label.startswith(label))


async def test_a_marked_comment_is_continued_by_an_earlier_question(window: Window) -> None:
    text = "x = 1\n    #? How do I retry a web"
    item = named(await offered(window, "file:///p/a.py", text, "python"), "How do I retry")
    assert item.filter_text == "#? How do I retry a web"
    assert applied(text, item) == f"x = 1\n    #? {QUESTION}"


async def test_all_items_start_in_one_column_and_no_client_filters_them_away(window: Window) -> None:
    text = "x = 1\n    #? why does parse_invoice_total raise"
    items = await offered(window, "file:///p/one.py", text, "python")
    starts = [item.text_edit.range.start for item in items if isinstance(item.text_edit, types.TextEdit)]
    assert {"Prompt with memory", "def parse_invoice_total(text):"} < {item.label for item in items}
    assert starts == [types.Position(1, 4)] * len(items)
    assert {item.filter_text for item in items} == {"#? why does parse_invoice_total raise"}


async def test_a_prompt_over_several_comment_lines_is_replaced_as_a_whole(window: Window) -> None:
    text = "x = 1\n#? How do I retry\n# a websocket conn"
    item = named(await offered(window, "file:///p/b.py", text, "python"), "How do I retry")
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.range.start.line == item.text_edit.range.end.line == 2
    assert item.filter_text == "a websocket conn"
    assert applied(text, item) == f"x = 1\n#? {QUESTION}"


async def test_the_prompt_with_memory_becomes_comment_lines_above_the_marked_prompt(window: Window) -> None:
    text = "  #? retry the websocket connection with backoff"
    item = named(await offered(window, "file:///p/c.py", text, "python"), "Prompt with memory")
    lines = applied(text, item).split("\n")
    assert lines[-1] == text
    assert all(line.startswith("  #") for line in lines)
    assert any("cap it at a minute" in line for line in lines)


async def test_code_of_an_earlier_answer_goes_below_the_marked_prompt(window: Window) -> None:
    text = "    #? why does parse_invoice_total raise"
    item = named(await offered(window, "file:///p/code.py", text, "python"), "def parse_invoice_total(text):")
    below = "    def parse_invoice_total(text):\n        return Decimal(text.replace(',', ''))"
    assert applied(text, item) == f"{text}\n{below}"


async def test_code_in_another_language_is_not_offered(window: Window) -> None:
    items = await offered(window, "file:///p/code.ts", "//? why does parse_invoice_total raise", "typescript")
    assert not [item for item in items if item.label.startswith("def ")]


async def test_a_chat_prompt_is_replaced_by_the_prompt_with_memory(window: Window) -> None:
    text = "## Me\n\nretry the websocket\nconnection with backoff"
    item = named(await offered(window, "file:///chat", text, "codecompanion"), "Prompt with memory")
    result = applied(text, item)
    assert result.startswith("## Me\n\n<")
    assert result.endswith("\n\nretry the websocket\nconnection with backoff")
    assert "cap it at a minute" in result


async def test_markdown_prose_is_a_prompt_too(window: Window) -> None:
    text = "# Notes\n\n- How do I retry a web"
    item = named(await offered(window, "file:///p/notes.md", text, "markdown"), "How do I retry")
    assert applied(text, item) == f"# Notes\n\n- {QUESTION}"


@pytest.mark.parametrize(
    ("text", "language"),
    [("x = retry_web", "python"), ("# How do I retry", "python"), ("```\nHow do I retry", "markdown")],
)
async def test_elsewhere_nothing_is_offered(window: Window, text: str, language: str) -> None:
    uri = window.open("file:///p/elsewhere", text, language)
    lines = text.split("\n")
    assert await window.complete(uri, len(lines) - 1, len(lines[-1])) is None
    window.close(uri)


async def test_an_emoji_before_the_prompt_moves_its_range_as_the_encoding_counts(window: Window) -> None:
    text = "## Me\n\n- 😋 How do I retry a web"
    encoding = window.initialized.capabilities.position_encoding
    end = {"utf-8": 27, "utf-16": 25, "utf-32": 24}[types.PositionEncodingKind(encoding).value]
    uri = window.open("file:///emoji", text, "codecompanion")
    completions = await window.complete(uri, 2, end)
    assert completions is not None
    item = named(list(completions.items), "How do I retry")
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.range == types.Range(types.Position(2, 2), types.Position(2, end))
    assert column(text.split("\n")[2], end, encoding) == 24


async def test_documentation_is_there_at_once_or_when_resolved_as_the_client_announced(
    window: Window,
) -> None:
    item = named(
        await offered(window, "file:///p/d.md", "How do I retry a web", "markdown"), "How do I retry"
    )
    assert window.client.capabilities is not None
    completion = window.client.capabilities.text_document.completion  # type: ignore[union-attr]
    support = completion.completion_item  # type: ignore[union-attr]
    assert support is not None
    assert support.resolve_support is not None
    lazy = "documentation" in support.resolve_support.properties
    assert (item.documentation is None) == lazy
    edit = item.text_edit
    resolved = await window.client.completion_item_resolve_async(item)
    assert resolved.text_edit == edit
    documentation = resolved.documentation
    if support.documentation_format:
        assert isinstance(documentation, types.MarkupContent)
        assert documentation.kind is types.MarkupKind.Markdown
        documentation = documentation.value
    assert isinstance(documentation, str)
    assert "Double the delay after each failure" in documentation


async def test_an_item_whose_memory_is_forgotten_resolves_to_itself(window: Window) -> None:
    item = types.CompletionItem(label="gone", data={"memory": "0" * 32})
    assert await window.client.completion_item_resolve_async(item) == item


async def test_notebook_cells_and_untitled_documents_complete(window: Window) -> None:
    items = await offered(window, "untitled:Untitled-2", "#? How do I retry a web", "python")
    assert named(items, "How do I retry")


async def test_accepting_an_item_tells_which_memories_helped(window: Window) -> None:
    text = "#? why does parse_invoice_total raise"
    items = await offered(window, "file:///p/helped.py", text, "python")
    kinds: list[str] = []
    for item in items:
        assert item.command is not None
        [argument] = item.command.arguments or []
        kinds.append(argument["kind"])
        counted = await window.command(item.command.command.removeprefix("remanence."), argument)
        assert counted["counted"] == len(argument["memories"]) > 0
    assert set(kinds) == {"question", "code block", "prompt"}
