"""remanence.ask over a real server, engine and language model: streamed, cancelled, remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from editor_window import Window, remember, until
from lsprotocol import types
from model_window import FACT, LONG, MODEL, Parts, ask, model_window
from pygls.exceptions import JsonRpcException

import tiny_llama
from remanence.paths import Home
from slow_endpoint import SlowEndpoint, slow_endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def slow() -> Iterator[SlowEndpoint]:
    with slow_endpoint() as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home], slow: SlowEndpoint) -> AsyncIterator[Window]:
    async with model_window(new_home(), slow=slow) as window:
        yield window


async def state_of_model(window: Window) -> str:
    model = next(each for each in (await window.command("models"))["models"] if each["id"] == MODEL)
    return model["state"]


async def test_the_answer_streams_to_the_clients_token_and_comes_whole(window: Window) -> None:
    parts = Parts(window, "beside")
    end = await ask(window, {"prompt": FACT.question}, "ask-0", partialResultToken="beside")
    assert end.answer == FACT.answer
    assert end.model == MODEL
    assert parts.answer == FACT.answer
    assert parts.states[0] == f"loading {MODEL}"


async def test_the_token_may_stand_in_the_object_too(window: Window) -> None:
    parts = Parts(window, "inside")
    end = await window.command("ask", {"prompt": FACT.question, "partialResultToken": "inside"})
    assert parts.answer == end["answer"] == FACT.answer
    assert parts.states == []


async def test_without_a_token_the_answers_last_words_stand_in_a_progress(window: Window) -> None:
    window.client.progress_reports.clear()
    await window.command("ask", {**LONG, "maxTokens": 40})

    async def ended() -> list[Any]:
        return [said for said in window.client.progress_reports.values() if said]

    [said] = await until(ended)
    messages = [each.message for each in said if isinstance(each, types.WorkDoneProgressReport)]
    assert any(message and "tick tick" in message for message in messages)


async def test_question_and_answer_become_a_memory_unless_told_otherwise(window: Window) -> None:
    end = await window.command("ask", {"prompt": FACT.question})
    memory = await window.command("memory", {"id": end["exchangeId"]})
    assert (memory["question"], memory["answer"]) == (FACT.question, FACT.answer)
    assert memory["model"] == MODEL
    end = await window.command("ask", {"prompt": FACT.question, "remember": False})
    assert end["exchangeId"] is None


async def cancelled(asking: asyncio.Future[Any]) -> JsonRpcException:
    with pytest.raises(JsonRpcException) as caught:
        await asking
    return caught.value


async def streaming(parts: Parts) -> None:
    async def begun() -> str:
        return parts.answer

    await until(begun)


async def nobody_listens(slow: SlowEndpoint) -> bool:
    return slow.listening == 0


async def test_a_long_answer_comes_in_pieces(window: Window) -> None:
    parts = Parts(window, "pieces")
    end = await window.command("ask", {**LONG, "maxTokens": 30, "partialResultToken": "pieces"})
    assert parts.answer == end["answer"] == "tick " * 30
    assert len(parts.values) > 5


async def test_cancelling_the_request_ends_the_generation(window: Window, slow: SlowEndpoint) -> None:
    parts = Parts(window, "cancelled")
    before = (await window.command("status"))["exchanges"]
    asking = ask(window, LONG, "ask-1", partialResultToken="cancelled")
    await streaming(parts)
    assert slow.listening == 1
    window.client.cancel_request(types.CancelParams(id="ask-1"))
    assert (await cancelled(asking)).code == types.LSPErrorCodes.RequestCancelled
    await until(lambda: nobody_listens(slow))
    written = parts.answer
    assert (await window.command("ask", {"prompt": FACT.question, "remember": False}))[
        "answer"
    ] == FACT.answer
    assert parts.answer == written
    assert (await window.command("status"))["exchanges"] == before


async def test_cancelling_the_progress_ends_the_generation(window: Window, slow: SlowEndpoint) -> None:
    parts = Parts(window, "parts")
    window.client.progress_reports["mine"] = []
    asking = asyncio.ensure_future(
        window.command("ask", {**LONG, "workDoneToken": "mine", "partialResultToken": "parts"})
    )
    await streaming(parts)
    window.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token="mine"))
    error = await cancelled(asking)
    assert error.code == types.LSPErrorCodes.ServerCancelled
    assert isinstance(window.client.progress_reports["mine"][-1], types.WorkDoneProgressEnd)
    await until(lambda: nobody_listens(slow))


async def test_a_window_that_is_closed_ends_its_generation(
    new_home: Callable[[], Home], slow: SlowEndpoint
) -> None:
    async with model_window(new_home(), slow=slow) as window:
        parts = Parts(window, "closed")
        asking = ask(window, LONG, "ask-1", partialResultToken="closed")
        await streaming(parts)
        await window.client.shutdown_session()
        await asyncio.wait((asking,), timeout=5)
    await until(lambda: nobody_listens(slow))


async def test_an_unknown_model_is_refused_in_words(window: Window) -> None:
    error = await cancelled(asyncio.ensure_future(window.command("ask", {"prompt": "x", "model": "nobody"})))
    assert error.code in (types.LSPErrorCodes.RequestFailed, types.ErrorCodes.InvalidParams)
    assert "nobody" in error.message


async def test_models_are_loaded_and_unloaded_on_request(window: Window) -> None:
    await window.command("ask", {"prompt": FACT.question})
    assert await state_of_model(window) == "loaded"
    await window.command("models", {"action": "unload", "id": MODEL})
    assert await state_of_model(window) == "unloaded"
    await window.command("models", {"action": "load", "id": MODEL})
    assert await state_of_model(window) == "loaded"


async def test_the_options_hold_for_a_question_that_does_not_say_otherwise(
    new_home: Callable[[], Home],
) -> None:
    options = {"ask": {"maxTokens": 5, "remember": False, "tokenBudget": 300}}
    async with model_window(new_home(), options=options) as window:
        await remember(window)
        end = await window.command("ask", {"prompt": tiny_llama.ENDLESS, "withMemory": False})
        assert end["finish"] == "length"
        assert end["exchangeId"] is None
        end = await window.command("ask", {"prompt": FACT.question, "maxTokens": 50, "remember": True})
        assert end["finish"] == "stop"
        assert end["exchangeId"] is not None


async def test_what_the_memory_monitor_warns_of_is_told_once(new_home: Callable[[], Home]) -> None:
    async with model_window(new_home(), warn_mb=1) as window:
        for _ in range(2):
            await window.command("ask", {"prompt": FACT.question})

        async def told() -> list[str]:
            return [each.message for each in window.client.messages if each.type == types.MessageType.Warning]

        assert len(await until(told, 60)) == 1
