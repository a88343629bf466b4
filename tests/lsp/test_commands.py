"""workspace/executeCommand over a real server and a real engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from editor_window import EXCHANGES, Window, editor_window, remember, until
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.lsp.commands import COMMANDS
from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(
    new_home: Callable[[], Home], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Window]:
    """A window on a project folder, with exchanges remembered."""
    project = tmp_path_factory.mktemp("project")
    async with editor_window(new_home(), "visual_studio_code", folders=[project]) as window:
        await remember(window)
        yield window


async def refused(window: Window, name: str, *arguments: object) -> JsonRpcException:
    with pytest.raises(JsonRpcException) as caught:
        await window.command(name, *arguments)
    return caught.value


async def test_every_command_is_announced(window: Window) -> None:
    provider = window.initialized.capabilities.execute_command_provider
    assert provider is not None
    assert set(provider.commands) == set(COMMANDS)


async def test_recall_gives_what_was_captured(window: Window) -> None:
    recalled = await window.command("recall", {"query": "websocket backoff", "limit": 1})
    [memory] = recalled["memories"]
    assert memory["question"] == EXCHANGES[1]["question"]
    assert (memory["tool"], memory["model"]) == ("claude_code", "claude-demo")
    assert recalled["tookMs"] >= 0


async def test_a_memory_is_given_by_its_id(window: Window) -> None:
    [memory] = (await window.command("recall", {"query": "websocket backoff", "limit": 1}))["memories"]
    assert (await window.command("memory", {"id": memory["id"]}))["answer"] == EXCHANGES[1]["answer"]


async def test_the_same_exchange_is_remembered_once(window: Window) -> None:
    assert (await window.command("capture", EXCHANGES[1]))["status"] == "duplicate"


async def test_what_is_captured_from_a_document_belongs_to_its_folder(window: Window) -> None:
    captured = await window.command(
        "capture",
        {"question": "Where am I asked from, quokka?", "answer": "Here.", "uri": "untitled:Untitled-9"},
    )
    memory = await window.command("memory", {"id": captured["id"]})
    assert Path(memory["workspace"]).name.startswith("project")
    outside = await window.command(
        "capture",
        {"question": "And from outside, quokka?", "answer": "There.", "uri": "file:///elsewhere/a.py"},
    )
    assert (await window.command("memory", {"id": outside["id"]})).get("workspace") is None


async def test_a_prompt_is_enriched_under_its_budget(window: Window) -> None:
    enriched = await window.command(
        "enrichPrompt", {"prompt": "retry the websocket connection with backoff", "tokenBudget": 300}
    )
    assert enriched["prompt"].endswith("retry the websocket connection with backoff")
    assert enriched["memories"]
    assert enriched["tokens"] <= 300


async def test_what_is_forgotten_is_gone(window: Window) -> None:
    captured = await window.command("capture", {"question": "forget the axolotl?", "answer": "yes, axolotl."})
    assert (await window.command("forget", {"ids": [captured["id"]]}))["forgotten"] == 1
    error = await refused(window, "memory", {"id": captured["id"]})
    assert error.code == types.LSPErrorCodes.RequestFailed


@pytest.mark.parametrize("name", ["status", "jobs", "sources"])
@pytest.mark.parametrize("arguments", [(), (None,), ({},)])
async def test_commands_without_obligatory_fields_need_no_argument(
    window: Window, name: str, arguments: tuple[object, ...]
) -> None:
    assert await window.command(name, *arguments)


@pytest.mark.parametrize(
    ("name", "argument", "field"),
    [
        ("recall", {"query": 3}, "query"),
        ("recall", {"query": "x", "limit": 0}, "limit"),
        ("recall", {"query": "x", "mode": "psychic"}, "mode"),
        ("recall", {}, "query"),
        ("recall", {"query": "x", "qurey": "y"}, "qurey"),
        ("capture", {"question": "x"}, "answer"),
        ("capture", {"question": "x", "answer": "y", "tags": ["a", 1]}, "tags[1]"),
        ("capture", {"question": "x", "answer": "y", "askedAt": "yesterday-ish"}, "askedAt"),
        ("enrichPrompt", {"prompt": "x", "tokenBudget": "much"}, "tokenBudget"),
        ("forget", {}, "ids"),
        ("cancel", None, "jobId"),
    ],
)
async def test_a_wrong_argument_is_refused_by_the_name_of_its_field(
    window: Window, name: str, argument: object, field: str
) -> None:
    error = await refused(window, name, argument)
    assert error.code == types.ErrorCodes.InvalidParams
    assert field in error.message
    assert window.client.messages == []


@pytest.mark.parametrize("arguments", [("text",), (["a"],), ({"query": "a"}, {"query": "b"})])
async def test_an_argument_that_is_no_object_or_one_too_many_is_refused(
    window: Window, arguments: tuple[object, ...]
) -> None:
    assert (await refused(window, "recall", *arguments)).code == types.ErrorCodes.InvalidParams


async def test_an_unknown_command_is_refused(window: Window) -> None:
    assert (await refused(window, "levitate")).code == types.ErrorCodes.MethodNotFound


async def test_a_request_that_cannot_be_read_is_answered(window: Window) -> None:
    params = types.HoverParams(types.TextDocumentIdentifier("file:///a.py"), types.Position(0, 0))
    object.__setattr__(params.position, "line", "the first")
    with pytest.raises(JsonRpcException) as caught:
        await window.client.text_document_hover_async(params)
    assert caught.value.code == types.ErrorCodes.InvalidParams
    assert "position.line" in caught.value.message


async def test_an_import_shows_its_progress_until_it_is_done(window: Window, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"question": f"quokka number {at}?", "answer": f"answer {at}"} for at in range(300)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = (await window.command("status"))["exchanges"]
    started = await window.command("import", {"path": str(file)})

    async def done() -> list[dict[str, Any]]:
        jobs = (await window.command("jobs", {"jobId": started["jobId"]}))["jobs"]
        return [job for job in jobs if job["state"] == "done"]

    [job] = await until(done, 60)
    assert job["figures"]["stored"] == 300
    assert (await window.command("status"))["exchanges"] == before + 300

    async def ended() -> list[Any]:
        reports = list(window.client.progress_reports.values())
        return [said for said in reports if said and isinstance(said[-1], types.WorkDoneProgressEnd)]

    said = (await until(ended))[0]
    assert isinstance(said[0], types.WorkDoneProgressBegin)
    assert said[0].cancellable


async def test_an_import_that_leads_nowhere_is_refused(window: Window) -> None:
    error = await refused(window, "import", {"path": "/nowhere/at/all.jsonl"})
    assert error.code == types.ErrorCodes.InvalidParams
    assert "path" in error.message
