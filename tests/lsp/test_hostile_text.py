"""Any text in a document, under the cursor or in a command: an answer, and the server lives on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, remember

from hostile_texts import HOSTILE
from remanence.lsp.under_cursor import subject_at
from remanence.paths import Home

LINE = 4900  # characters: longer lines are not asked about


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with editor_window(new_home()) as window:
        await remember(window)
        yield window


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", HOSTILE)
async def test_hover_and_completion_answer(window: Window, name: str) -> None:
    text = "".join(" " if character in "\r\n" else character for character in HOSTILE[name])
    lines = [text[:LINE], text, f"# {text[:LINE]}", "", "parse_invoice_total"]
    uri = window.open("file:///p/hostile.py", "\n".join(lines))
    for line, character in ((0, 0), (0, LINE // 2), (1, 3), (2, 5)):
        await window.hover(uri, line, character)
    await window.complete(uri, 0, LINE)
    assert await window.hover(uri, 4, 3) is not None
    window.close(uri)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", HOSTILE)
async def test_commands_answer(window: Window, name: str) -> None:
    text = HOSTILE[name]
    for mode in ("hybrid", "dense", "lexical"):
        recalled = await window.command("recall", {"query": text, "mode": mode})
        assert isinstance(recalled["memories"], list)
    enriched = await window.command("enrichPrompt", {"prompt": text})
    assert len(enriched["prompt"]) >= len(text)


@pytest.mark.parametrize("language", ["python", "plaintext", "markdown", "javascript"])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_asked_about_a_line_is_short(name: str, language: str) -> None:
    around = HOSTILE[name].splitlines() or [""]
    lines = [*around[:500], HOSTILE[name][:LINE].replace("\n", " "), *around[:500]]
    for column in (0, 3, LINE // 2):
        subject = subject_at(lines, len(around[:500]), column, language)
        assert subject is None or (0 < len(subject.query) <= 400 and subject.start <= column <= subject.end)
