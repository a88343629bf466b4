"""$/cancelRequest and window/workDoneProgress/cancel: what is no longer wanted ends, nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from editor_window import Window, editor_window, remember, until
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.paths import Home

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 24
ROUNDS = 10
ROWS = 100_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(new_home: Callable[[], Home]) -> AsyncIterator[Window]:
    async with editor_window(new_home(), "visual_studio_code") as window:
        await remember(window)
        yield window


async def test_a_cancelled_hover_is_answered_so_and_the_server_goes_on(window: Window) -> None:
    uris = [window.open(f"file:///p/app{at}.py", "parse_invoice_total(text)") for at in range(REQUESTS)]
    for round_number in range(ROUNDS):  # the answer may overtake the cancellation: the protocol allows that
        ids = [f"hover-{round_number}-{at}" for at in range(REQUESTS)]
        hovers = [
            asyncio.ensure_future(
                window.client.protocol.send_request_async(
                    types.TEXT_DOCUMENT_HOVER,
                    types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(0, 3)),
                    msg_id=msg_id,
                )
            )
            for msg_id, uri in zip(ids, uris, strict=True)
        ]
        await asyncio.sleep(0)  # all are sent; the engine answers a few at a time, so the last is under way
        window.client.cancel_request(types.CancelParams(id=ids[-1]))
        *answered, cancelled = await asyncio.gather(*hovers, return_exceptions=True)
        assert all(isinstance(hover, types.Hover) for hover in answered)
        if not isinstance(cancelled, types.Hover):
            break

    assert isinstance(cancelled, JsonRpcException)
    assert cancelled.code == types.LSPErrorCodes.RequestCancelled
    assert await window.hover(uris[0], 0, 3) is not None


async def test_an_import_cancelled_from_its_progress_stops(window: Window, tmp_path: Path) -> None:
    before = (await window.command("status"))["exchanges"]
    file = tmp_path / "rows.jsonl"
    rows = ({"question": f"numbat number {at}?", "answer": f"answer {at}"} for at in range(ROWS))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    started = await window.command("import", {"path": str(file)})

    async def begun() -> list[types.ProgressToken]:
        return [token for token, said in window.client.progress_reports.items() if said]

    [token] = await until(begun)
    window.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))

    async def ended() -> dict[str, Any] | None:
        [job] = (await window.command("jobs", {"jobId": started["jobId"]}))["jobs"]
        return job if job["state"] not in ("queued", "running") else None

    job = await until(ended, 60)
    assert job["state"] == "cancelled"
    assert (await window.command("status"))["exchanges"] - before < ROWS

    async def told() -> bool:
        return isinstance(window.client.progress_reports[token][-1], types.WorkDoneProgressEnd)

    assert await until(told)
