"""Background work steps aside while somebody waits, and goes on when nobody does or it takes too long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import MutableMapping

import pytest

from remanence.engine import foreground
from remanence.engine import messages as m
from remanence.engine.app import Activity, create_app
from remanence.engine.foreground import step_aside, waited_for
from remanence.engine.verbs import Cancelled


def test_background_work_goes_on_when_the_last_one_who_waits_has_got_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreground, "_MOST_SECONDS", 60)
    went_on = threading.Event()

    def background() -> None:
        step_aside()
        went_on.set()

    working = threading.Thread(target=background)
    with waited_for():
        with waited_for():
            working.start()
            assert not went_on.wait(0.05)
        assert not went_on.wait(0.05)  # one still waits
    assert went_on.wait(20)
    working.join()
    step_aside()  # nobody waits: at once


def test_it_goes_on_though_the_answer_never_comes_and_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def search() -> None:
        with waited_for():
            step_aside()
            raise ValueError("the search")

    with pytest.raises(ValueError, match="the search"):
        search()
    monkeypatch.setattr(foreground, "_MOST_SECONDS", 3600)
    step_aside()


@pytest.mark.parametrize(("verb", "hurried"), [("recall", True), ("jobs", False)])
async def test_whoever_waits_for_a_recall_is_waited_for_from_its_arrival_on(
    monkeypatch: pytest.MonkeyPatch, verb: str, hurried: bool
) -> None:
    monkeypatch.setattr(foreground, "_MOST_SECONDS", 0.5)

    def took() -> bool:
        begun = time.monotonic()
        step_aside()
        return time.monotonic() - begun >= 0.5

    def handler(request: m.Request, cancelled: Cancelled) -> m.Response:
        waited.append(took())
        return m.JobsResponse(jobs=[])

    async def receive() -> dict[str, object]:
        waited.append(took())
        if len(waited) > 1:
            await asyncio.sleep(3600)  # the door does not hang up
        return {"type": "http.request", "body": b'{"query": "x"}' if hurried else b"{}"}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message)

    waited: list[bool] = []
    sent: list[MutableMapping[str, object]] = []
    app = create_app({verb: handler}, {}, Activity(), lambda: None, home="", token="")
    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": f"/v1/{verb}",
        "headers": [],
        "query_string": b"",
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    assert set(waited) == {hurried}
    assert not took()
