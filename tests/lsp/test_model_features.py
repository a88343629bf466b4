"""What a language model adds to inline completion, completion and hover, with a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from editor_window import Window, remember, until
from lsprotocol import types
from model_window import FACT, MODEL, model_window, slow_window

from remanence.paths import Home
from slow_endpoint import SlowEndpoint, slow_endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE, AFTER, GAP = FACT.gap
OPTIONS = {
    "hover": {"model": True, "modelMs": 20_000},
    "completion": {"model": True},
    "inlineCompletion": {"maxTokens": 12, "debounceMs": 20},
    "ask": {"maxTokens": 40},
}
LABEL = "Answer of the language model"


@pytest.fixture(scope="module")
def slow() -> Iterator[SlowEndpoint]:
    with slow_endpoint() as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with model_window(new_home(), options=OPTIONS) as window:
        await window.command("status")  # from then on the engine is reached
        yield window


async def proposed(
    window: Window, uri: str, line: int, character: int, kind: types.InlineCompletionTriggerKind
) -> types.InlineCompletionItem | None:
    result = await window.client.text_document_inline_completion_async(
        types.InlineCompletionParams(
            context=types.InlineCompletionContext(kind),
            text_document=types.TextDocumentIdentifier(uri),
            position=types.Position(line, character),
        )
    )
    assert result is None or isinstance(result, types.InlineCompletionList)
    return result.items[0] if result else None


async def items(window: Window, uri: str, line: int, character: int) -> dict[str, types.CompletionItem]:
    completed = await window.complete(uri, line, character)
    return {item.label: item for item in completed.items} if completed else {}


async def test_the_model_fills_the_gap_at_the_cursor(window: Window) -> None:
    uri = window.open("file:///p/gap.py", BEFORE + AFTER)
    item = await proposed(window, uri, 1, 11, types.InlineCompletionTriggerKind.Invoked)
    assert item is not None
    assert item.insert_text == GAP
    assert item.range == types.Range(types.Position(1, 11), types.Position(1, 11))


async def test_while_typing_it_waits_and_does_the_same(window: Window) -> None:
    uri = window.open("file:///p/typing.py", BEFORE + AFTER)
    item = await proposed(window, uri, 1, 11, types.InlineCompletionTriggerKind.Automatic)
    assert item is not None
    assert item.insert_text == GAP


async def test_a_newer_request_ends_the_older_generation(
    new_home: Callable[[], Home], slow: SlowEndpoint
) -> None:
    options = {"inlineCompletion": {"maxTokens": 4000, "debounceMs": 0}}
    async with slow_window(new_home(), slow, options) as window:
        uri = window.open("file:///p/newer.py", BEFORE + AFTER)

        async def under_way(count: int) -> bool:
            return len(slow.asked) == count and slow.listening == 1

        kind = types.InlineCompletionTriggerKind.Invoked
        first = asyncio.ensure_future(proposed(window, uri, 1, 11, kind))
        await until(lambda: under_way(1))
        second = asyncio.ensure_future(proposed(window, uri, 1, 11, kind))
        assert await first is None
        await until(lambda: under_way(2))
        await window.client.shutdown_session()
        await asyncio.wait((second,), timeout=5)

        async def nobody() -> bool:
            return slow.listening == 0

        await until(nobody)


async def test_the_models_item_is_listed_last_and_written_when_it_is_looked_at(window: Window) -> None:
    prompt = f"#? {FACT.question}"
    uri = window.open("file:///p/asked.py", f"{prompt}\nx = 1\n")
    listed = await items(window, uri, 0, len(prompt))
    item = listed[LABEL]
    assert item is max(listed.values(), key=lambda each: each.sort_text or "")
    assert item.additional_text_edits is None
    assert item.text_edit is not None
    assert item.text_edit.new_text == prompt
    written = await window.client.completion_item_resolve_async(item)
    [edit] = written.additional_text_edits or []
    assert edit.range == types.Range(types.Position(1, 0), types.Position(1, 0))
    assert edit.new_text == f"# {FACT.answer}\n"
    assert isinstance(written.documentation, types.MarkupContent)
    assert FACT.answer.split()[0] in written.documentation.value
    again = await window.client.completion_item_resolve_async(item)
    assert list(again.additional_text_edits or []) == [edit]


async def test_in_prose_the_answer_goes_below_as_it_is(window: Window) -> None:
    uri = window.open("file:///p/asked.md", FACT.question, "markdown")
    item = (await items(window, uri, 0, len(FACT.question)))[LABEL]
    written = await window.client.completion_item_resolve_async(item)
    [edit] = written.additional_text_edits or []
    end = types.Position(0, len(FACT.question))
    assert edit.range == types.Range(end, end)
    assert edit.new_text == f"\n\n{FACT.answer}"


async def test_an_item_whose_line_has_moved_is_left_as_it_was(window: Window) -> None:
    prompt = f"#? {FACT.question}"
    uri = window.open("file:///p/changed.py", f"{prompt}\n")
    item = (await items(window, uri, 0, len(prompt)))[LABEL]
    window.change(uri, f"x = 1\n{prompt}\n")
    assert (await window.client.completion_item_resolve_async(item)).additional_text_edits is None


async def test_the_model_says_something_in_a_hover(window: Window) -> None:
    uri = window.open("file:///p/hover.py", f"port = {FACT.service}\n")
    hover = await window.hover(uri, 0, 8)
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    assert hover.contents.value.endswith(f"*{MODEL}*")


async def test_memories_are_shown_while_the_model_is_still_writing(
    new_home: Callable[[], Home], slow: SlowEndpoint
) -> None:
    options = {"hover": {"model": True, "modelMs": 50}}
    async with slow_window(new_home(), slow, options) as window:
        await remember(window)
        uri = window.open("file:///p/app.py", "parse_invoice_total(text)\n")

        async def words() -> str:
            hover = await window.hover(uri, 0, 3)
            assert hover is not None
            assert isinstance(hover.contents, types.MarkupContent)
            return hover.contents.value

        first = await words()
        assert "InvalidOperation" in first
        assert "tick" not in first

        async def said_later() -> bool:
            return "tick tick" in await words()

        await until(said_later)
        assert len(slow.asked) == 1  # hovering again asked nothing anew


async def test_without_these_options_no_model_is_asked(
    new_home: Callable[[], Home], slow: SlowEndpoint
) -> None:
    async with slow_window(new_home(), slow, None) as window:
        await remember(window)
        prompt = "#? why does parse_invoice_total fail"
        uri = window.open("file:///p/app.py", f"parse_invoice_total(text)\n{prompt}\n")
        assert await window.hover(uri, 0, 3) is not None
        listed = await items(window, uri, 1, len(prompt))
        assert listed
        assert LABEL not in listed
        for item in listed.values():
            await window.client.completion_item_resolve_async(item)
        assert slow.asked == []
