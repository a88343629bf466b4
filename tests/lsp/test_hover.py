"""textDocument/hover over a real server and a real engine, as each editor sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from editor_window import CLIENTS, Window, editor_window, remember
from lsprotocol import types

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

URI = "file:///p/app.py"
CODE = """\
import decimal
# why retry the websocket connection with backoff
total = parse_invoice_total(text)
x = "😋😋" + parse_invoice_total

zyzzyva_marker = 1
return total
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=CLIENTS)
async def window(request: pytest.FixtureRequest, new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    """A window with exchanges remembered and `CODE` open."""
    async with editor_window(new_home(), request.param) as window:
        await remember(window)
        window.open(URI, CODE)
        yield window


def value_of(hover: types.Hover | None) -> str:
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    assert hover.contents.kind is types.MarkupKind.Markdown
    return hover.contents.value


async def test_an_identifier_shows_what_was_said_about_it(window: Window) -> None:
    hover = await window.hover(URI, 2, 12)
    value = value_of(hover)
    assert "**Why does parse_invoice_total raise decimal.InvalidOperation?**" in value
    assert "Strip it before calling Decimal" in value
    assert "ago · aider · qwen2.5-coder" in value
    assert hover is not None
    assert hover.range == types.Range(types.Position(2, 8), types.Position(2, 27))


async def test_a_comment_shows_what_was_said_about_it(window: Window) -> None:
    value = value_of(await window.hover(URI, 1, 10))
    assert "**How do I retry a websocket connection with exponential backoff?**" in value


async def test_an_emoji_before_the_symbol_moves_the_range_as_the_encoding_counts(window: Window) -> None:
    encoding = window.initialized.capabilities.position_encoding
    start = {"utf-8": 17, "utf-16": 13, "utf-32": 11}[types.PositionEncodingKind(encoding).value]
    hover = await window.hover(URI, 3, start + 1)
    assert "parse_invoice_total" in value_of(hover)
    assert hover is not None
    assert hover.range == types.Range(types.Position(3, start), types.Position(3, start + 19))


@pytest.mark.parametrize(("line", "character"), [(4, 0), (2, 6), (6, 2), (5, 17), (99, 0)])
async def test_space_punctuation_keywords_and_numbers_show_nothing(
    window: Window, line: int, character: int
) -> None:
    assert await window.hover(URI, line, character) is None


async def test_what_is_remembered_is_shown_escaped(window: Window) -> None:
    value = value_of(await window.hover(URI, 5, 3))
    assert r"\[this\]\(command\:evil)" in value
    assert r"\<img src=x>" in value


async def test_a_document_that_is_not_open_shows_nothing(window: Window) -> None:
    assert await window.hover("file:///p/other.py", 0, 1) is None


async def test_hover_follows_incremental_edits_past_a_form_feed(window: Window) -> None:
    uri = window.open("file:///p/feed.py", "a = 1\n\x0c\nb = 2\n")
    window.change(uri, "parse_invoice_total", types.Range(types.Position(2, 4), types.Position(2, 5)))
    hover = await window.hover(uri, 2, 8)
    assert "parse_invoice_total" in value_of(hover)
    assert hover is not None
    assert hover.range == types.Range(types.Position(2, 4), types.Position(2, 23))


async def test_untitled_documents_have_hovers(window: Window) -> None:
    uri = window.open("untitled:Untitled-1", "parse_invoice_total()")
    assert "parse_invoice_total" in value_of(await window.hover(uri, 0, 3))
    window.close(uri)


async def test_notebook_cells_have_hovers(window: Window) -> None:
    cell = types.TextDocumentItem("vscode-notebook-cell:/p/n.ipynb#c1", "python", 1, "parse_invoice_total(1)")
    window.client.notebook_document_did_open(
        types.DidOpenNotebookDocumentParams(
            notebook_document=types.NotebookDocument(
                uri="file:///p/n.ipynb",
                notebook_type="jupyter-notebook",
                version=1,
                cells=[types.NotebookCell(kind=types.NotebookCellKind.Code, document=cell.uri)],
            ),
            cell_text_documents=[cell],
        )
    )
    assert "parse_invoice_total" in value_of(await window.hover(cell.uri, 0, 3))
