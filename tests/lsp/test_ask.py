"""remanence.ask over a real server and engine, with no model set: memory alone answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from editor_window import EXCHANGES, Window, editor_window, remember, until
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACKOFF = {"prompt": "How do I retry a websocket connection with exponential backoff?"}


def with_documents(capabilities: types.ClientCapabilities) -> None:
    assert capabilities.workspace is not None
    capabilities.workspace.text_document_content = types.TextDocumentContentClientCapabilities()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with editor_window(new_home(), "visual_studio_code", adjust=with_documents) as window:
        await remember(window)
        yield window


async def test_without_a_model_the_answer_is_what_memory_says(window: Window) -> None:
    answered = await window.command("ask", BACKOFF)
    assert "cap it at a minute" in answered["answer"]
    assert answered["memories"]
    assert answered["model"] is None
    assert answered["exchangeId"] is None


async def test_that_no_model_is_set_is_said_once(window: Window) -> None:
    for _ in range(2):
        await window.command("ask", BACKOFF)
    said = [message for message in window.client.messages if "no language model" in message.message]
    assert [message.type for message in said] == [types.MessageType.Info]


async def test_a_client_that_shows_progress_sees_the_question_begin_and_end(window: Window) -> None:
    window.client.progress_reports.clear()
    await window.command("ask", BACKOFF)

    async def ended() -> list[Any]:
        return [said for said in window.client.progress_reports.values() if said]

    [said] = await until(ended)
    assert isinstance(said[0], types.WorkDoneProgressBegin)
    assert said[0].cancellable
    assert isinstance(said[-1], types.WorkDoneProgressEnd)


@pytest.mark.parametrize("beside", [True, False])
async def test_the_progress_that_the_client_names_is_used(window: Window, beside: bool) -> None:
    token = f"mine-{beside}"
    window.client.progress_reports.clear()
    window.client.progress_reports[token] = []
    params = types.ExecuteCommandParams(
        command="remanence.ask",
        arguments=[BACKOFF if beside else {**BACKOFF, "workDoneToken": token}],
        work_done_token=token if beside else None,
    )
    await window.client.workspace_execute_command_async(params)
    assert list(window.client.progress_reports) == [token]
    kinds = [type(said) for said in window.client.progress_reports[token]]
    assert kinds[0] is types.WorkDoneProgressBegin
    assert kinds[-1] is types.WorkDoneProgressEnd


async def test_an_answer_to_be_shown_opens_as_a_document_of_the_server(window: Window) -> None:
    window.client.shown_documents.clear()
    await window.command("ask", {**BACKOFF, "show": True})

    async def opened() -> list[types.ShowDocumentParams]:
        return list(window.client.shown_documents)

    [shown] = await until(opened)
    assert shown.uri.startswith("remanence:/answer/")
    assert shown.uri.endswith("/how-do-i-retry-a-websocket-connection-with-exponential.md")
    content = await window.client.workspace_text_document_content_async(
        types.TextDocumentContentParams(shown.uri)
    )
    assert content.text.startswith("# How do I retry a websocket connection")
    assert "cap it at a minute" in content.text
    assert "- remanence:/memory/" in content.text


async def test_an_answer_to_be_shown_is_a_message_where_no_document_can_be(
    new_home: Callable[[], Home],
) -> None:
    async with editor_window(new_home(), "emacs") as window:
        await remember(window)
        await window.command("ask", {**BACKOFF, "show": True})

        async def told() -> list[str]:
            return [each.message for each in window.client.messages if "cap it at a minute" in each.message]

        assert await until(told)


async def test_a_selection_that_is_remembered_says_so_when_asked_to(window: Window) -> None:
    window.client.messages.clear()
    exchange = {"question": "Which bolt holds the capstan?", "answer": "An M12.", "tool": "editor"}
    await window.command("capture", {**exchange, "show": True})
    assert [each.message for each in window.client.messages] == [
        "Remanence: remembered: Which bolt holds the capstan?"
    ]


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        (None, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({**BACKOFF, "tokenBudget": "much"}, "tokenBudget"),
        ({**BACKOFF, "show": "yes"}, "show"),
        ({**BACKOFF, "partialResultToken": {}}, "partialResultToken"),
        ({**BACKOFF, "modle": "x"}, "modle"),
    ],
)
async def test_a_wrong_field_is_named(window: Window, argument: object, field: str) -> None:
    with pytest.raises(JsonRpcException) as caught:
        await window.command("ask", argument)
    assert caught.value.code == types.ErrorCodes.InvalidParams
    assert field in caught.value.message


async def test_what_was_accepted_is_counted(window: Window) -> None:
    [memory] = (await window.command("recall", {"query": "websocket backoff", "limit": 1}))["memories"]
    assert memory["question"] == EXCHANGES[1]["question"]
    accepted = await window.command("accepted", {"kind": "inline", "memories": [memory["id"], "nobody"]})
    assert accepted == {"counted": 1}


async def test_a_question_under_way_does_not_keep_the_server_from_ending(
    new_home: Callable[[], Home],
) -> None:
    async with editor_window(new_home(), "neovim") as window:
        asked = asyncio.ensure_future(window.command("ask", BACKOFF))
        await asyncio.sleep(0)
        await window.client.shutdown_session()
        await asyncio.wait((asked,), timeout=5)
        assert window.process.returncode is not None or await window.process.wait() == 0
