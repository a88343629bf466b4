"""What the user is asked about training, and the registry of adapters, over a real server."""

from __future__ import annotations

from typing import Any

import pytest
from editor_window import Window, editor_window, until
from lsprotocol import types
from pygls.exceptions import JsonRpcException

import tiny_llama
from remanence.lsp.training_offers import ANSWERS, RETRAIN
from remanence.paths import Home

pytestmark = pytest.mark.e2e

FACTS = [fact.adapted for fact in tiny_llama.FACTS[:7]]
RECIPE = """
name = "test"
[train]
learning_rate = 5e-3
batch_size = 16
epochs = {epochs}
max_length = 128
replay = 0.0
[care]
only_on_mains = false
threads = 1
"""


def set_up(home: Home, epochs: int, after: int = 0) -> None:
    recipe = home.root / "test.toml"
    recipe.write_text(RECIPE.format(epochs=epochs))
    model = f'[language_models.models.t]\npath = "{tiny_llama.folder().as_posix()}"\n'
    home.settings.write_text(
        f'[training]\nautomatic_after = {after}\nrecipe = "{recipe.as_posix()}"\n'
        f'[language_models]\nuse = "t"\n{model}'
    )


def answering(window: Window, answer: str | None) -> list[types.ShowMessageRequestParams]:
    """Have every question answered so, by the action's title; gives the questions as they come."""
    asked: list[types.ShowMessageRequestParams] = []

    def show(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
        asked.append(params)
        return types.MessageActionItem(title=answer) if answer is not None else None

    window.client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)(show)
    return asked


async def say(window: Window, facts: list[tiny_llama.Fact]) -> list[str]:
    ids: list[str] = []
    for fact in facts:
        said = f"{fact.service} runs on port {fact.port} now."
        asked = {"question": said, "answer": "Noted, the config follows."}
        ids.append((await window.command("capture", asked))["id"])
    return ids


async def ended(window: Window, job_id: str) -> dict[str, Any]:
    async def job() -> dict[str, Any] | None:
        (found,) = (await window.command("jobs", {"jobId": job_id}))["jobs"]
        return found if found["state"] not in ("queued", "running") else None

    return await until(job, 180)


async def training(window: Window, count: int) -> dict[str, Any]:
    """The newest training once there are so many."""

    async def newest() -> dict[str, Any] | None:
        found = [each for each in (await window.command("jobs"))["jobs"] if each["kind"] == "train"]
        return found[0] if len(found) == count else None

    return await until(newest, 60)


def titles(window: Window) -> list[str]:
    """Of the progress that was shown."""
    told = [report for reports in window.client.progress_reports.values() for report in reports]
    return [each.title for each in told if isinstance(each, types.WorkDoneProgressBegin)]


async def both_told(window: Window) -> bool | None:
    return titles(window) == ["Learning what is remembered"] * 2 or None


async def states(window: Window) -> dict[str, str]:
    return {each["id"]: each["state"] for each in (await window.command("adapters"))["adapters"]}


async def test_after_forgetting_what_was_learned_training_without_it_is_offered_once_and_done(
    home: Home,
) -> None:
    set_up(home, epochs=1)
    async with editor_window(home, "visual_studio_code") as window:
        asked = answering(window, RETRAIN)
        ids = await say(window, FACTS[:4])
        first = await window.command("train")
        assert (await ended(window, first["jobId"]))["state"] == "done"
        told = await window.command("forget", {"ids": ids[:1]})
        assert (told["adapters"], told["retrain"]) == ([first["adapter"]], first["adapter"])
        second = await training(window, 2)
        assert first["adapter"] in asked[0].message
        assert [each.title for each in asked[0].actions or []] == [RETRAIN, "Not now"]
        assert (await ended(window, second["jobId"]))["state"] == "done"
        old, new = (await window.command("adapters"))["adapters"][::-1]
        assert (old["id"], old["state"], old["facts"]) == (first["adapter"], "outdated", 4)
        assert (new["parent"], new["facts"]) == (None, 3)
        assert titles(window) == ["Learning what is remembered"] * 2
        with pytest.raises(JsonRpcException, match="learned something that was forgotten"):
            await window.command("adapters", {"action": "merge", "id": new["id"], "other": old["id"]})
        unknown = await say(window, FACTS[5:6])
        assert (await window.command("forget", {"ids": unknown}))["adapters"] == []
        assert len(asked) == 1


async def test_adapters_are_compared_switched_merged_and_deleted_from_the_editor(home: Home) -> None:
    set_up(home, epochs=1)
    async with editor_window(home, "visual_studio_code") as window:
        await say(window, FACTS[:2])
        made: list[str] = []
        for request in ({}, {"afresh": True}):
            started = await window.command("train", request)
            again = await window.command("train", request)
            assert (again["jobId"], again["adapter"]) == (started["jobId"], started["adapter"])
            assert "under way already" in again["note"]
            assert (await ended(window, started["jobId"]))["state"] == "done"
            made.append(started["adapter"])
        one, other = made

        async def do(action: str, **fields: object) -> dict[str, Any]:
            return await window.command("adapters", {"action": action, **fields})

        compared = await do("compare", id=one, other=other)
        assert [each["id"] for each in compared["adapters"]] == made
        for each in made:
            await do("activate", id=each, force=True)
        assert (await states(window))[other] == "active"
        assert "bare model" in (await do("deactivate", id=other))["note"]
        await do("activate", id=other, force=True)
        with pytest.raises(JsonRpcException, match="deactivate it first"):
            await do("delete", id=other)
        assert "bare model" in (await do("rollback", id=other))["note"]
        assert "active again" in (await do("rollback", id=other))["note"]

        merging = await do("merge", id=one, other=other, method="linear", weights=[0.5, 0.5])
        assert "evaluated before it may be activated" in merging["note"]

        async def shown() -> bool:
            return "Merging two adapters" in titles(window)

        await until(shown, 60)
        (token,) = [
            token
            for token, reports in window.client.progress_reports.items()
            if getattr(reports[0], "title", "") == "Merging two adapters"
        ]
        window.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))
        assert (await ended(window, merging["jobId"]))["state"] == "cancelled"
        whole = await do("merge", id=one, other=other)
        assert (await ended(window, whole["jobId"]))["state"] == "done"
        newest = (await window.command("adapters"))["adapters"][0]
        assert (newest["parent"], newest["mergedWith"], newest["facts"]) == (one, other, 2)
        assert newest["passed"] is not None  # judged, whatever came of it
        for each, state in (await states(window)).items():
            if state != "active":
                await do("delete", id=each)
        assert set((await states(window)).values()) <= {"active"}


async def test_training_begins_by_itself_once_the_user_said_always(home: Home) -> None:
    set_up(home, epochs=900, after=3)
    async with editor_window(home, "visual_studio_code") as window:
        asked = answering(window, "Always")
        await say(window, FACTS[:3])
        first = await training(window, 1)
        assert "3 facts are new" in asked[0].message
        assert [each.title for each in asked[0].actions or []] == list(ANSWERS)
        await window.command("cancel", {"jobId": first["jobId"]})
        assert (await ended(window, first["jobId"]))["state"] == "cancelled"
        await say(window, FACTS[3:6])
        second = await training(window, 2)
        assert len(asked) == 1
        assert await until(lambda: both_told(window), 30)  # a moment after the job is listed
        await window.command("cancel", {"jobId": second["jobId"]})
        assert (await ended(window, second["jobId"]))["state"] == "cancelled"


async def test_a_question_that_is_closed_begins_nothing_and_is_not_asked_again(home: Home) -> None:
    set_up(home, epochs=900, after=2)
    async with editor_window(home, "visual_studio_code") as window:
        asked = answering(window, None)
        await say(window, FACTS[:2])

        async def declined() -> bool:
            return bool(asked) and (await window.command("automatic"))["answer"] == "later"

        await until(declined, 60)
        await say(window, FACTS[2:4])
        told = await window.command("automatic")
        assert (told["ask"], told["jobId"]) == (False, None)
        assert "4 facts are new" in (await window.command("status"))["learning"]
        assert len(asked) == 1
        assert not [each for each in (await window.command("jobs"))["jobs"] if each["kind"] == "train"]
