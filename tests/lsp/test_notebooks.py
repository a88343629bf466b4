"""Hover and completion in the cells of a notebook, over a real server and a real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, remember
from lsprotocol import types

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTEBOOK = "file:///p/analysis.ipynb"
CODE = "vscode-notebook-cell:/p/analysis.ipynb#W0sZmlsZQ%3D%3D"
PROSE = "vscode-notebook-cell:/p/analysis.ipynb#W1sZmlsZQ%3D%3D"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    """A window with exchanges remembered and a notebook of two cells open."""
    async with editor_window(new_home(), "visual_studio_code") as window:
        await remember(window)
        cells = [
            types.TextDocumentItem(CODE, "python", 1, "parse_invoice_total(1)\n#? How do I retry a web"),
            types.TextDocumentItem(PROSE, "markdown", 1, "# Retries\n\nHow do I retry a web"),
        ]
        kinds = [types.NotebookCellKind.Code, types.NotebookCellKind.Markup]
        window.client.notebook_document_did_open(
            types.DidOpenNotebookDocumentParams(
                notebook_document=types.NotebookDocument(
                    uri=NOTEBOOK,
                    notebook_type="jupyter-notebook",
                    version=1,
                    cells=[
                        types.NotebookCell(kind, cell.uri) for kind, cell in zip(kinds, cells, strict=True)
                    ],
                ),
                cell_text_documents=cells,
            )
        )
        yield window


def change(window: Window, cell: str, version: int, text: str, at: types.Range) -> None:
    """Edit a part of a cell."""
    window.client.notebook_document_did_change(
        types.DidChangeNotebookDocumentParams(
            notebook_document=types.VersionedNotebookDocumentIdentifier(version=version, uri=NOTEBOOK),
            change=types.NotebookDocumentChangeEvent(
                cells=types.NotebookDocumentCellChanges(
                    text_content=[
                        types.NotebookDocumentCellContentChanges(
                            document=types.VersionedTextDocumentIdentifier(version=version, uri=cell),
                            changes=[types.TextDocumentContentChangePartial(range=at, text=text)],
                        )
                    ]
                )
            ),
        )
    )


async def hovered(window: Window, cell: str, line: int, character: int) -> str:
    hover = await window.hover(cell, line, character)
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    return hover.contents.value


async def test_a_name_in_a_code_cell_has_a_hover(window: Window) -> None:
    assert "Strip it before calling Decimal" in await hovered(window, CODE, 0, 3)


@pytest.mark.parametrize(("cell", "line", "end", "mark"), [(CODE, 1, 23, "#? "), (PROSE, 2, 20, "")])
async def test_a_prompt_in_a_cell_is_completed_there(
    window: Window, cell: str, line: int, end: int, mark: str
) -> None:
    completions = await window.complete(cell, line, end)
    assert completions is not None
    question = next(item for item in completions.items if item.label.startswith("How do I retry"))
    assert question.text_edit == types.TextEdit(
        range=types.Range(types.Position(line, 0), types.Position(line, end)),
        new_text=f"{mark}How do I retry a websocket connection with exponential backoff?",
    )
    assert "Prompt with memory" in [item.label for item in completions.items]


async def test_a_code_cell_is_no_prose(window: Window) -> None:
    assert await window.complete(CODE, 0, 10) is None


async def test_hover_and_completion_follow_edits_of_a_cell(window: Window) -> None:
    end = types.Position(2, 20)
    change(window, PROSE, 2, "socket with parse_invoice_total", types.Range(end, end))
    assert "parse_invoice_total" in await hovered(window, PROSE, 2, 40)
    completions = await window.complete(PROSE, 2, 26)
    assert completions is not None
    assert {item.filter_text for item in completions.items} == {"How do I retry a websocket"}
