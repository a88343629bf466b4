"""Learning from an editor: what is said becomes facts, a plan, a run that is seen and can be cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from editor_window import editor_window, until
from lsprotocol import types

import tiny_llama
from remanence.paths import Home

pytestmark = pytest.mark.e2e

FACTS = [fact.adapted for fact in tiny_llama.FACTS[:4]]
RECIPE = """
name = "test"
[train]
learning_rate = 5e-3
batch_size = 16
epochs = 900
max_length = 128
replay = 0.0
[care]
only_on_mains = false
threads = 1
"""


async def test_a_run_is_planned_begun_seen_and_cancelled_from_the_editor(home: Home, tmp_path: Path) -> None:
    folder = tiny_llama.folder().as_posix()
    home.settings.write_text(f'[language_models]\nuse = "t"\n[language_models.models.t]\npath = "{folder}"\n')
    (tmp_path / "test.toml").write_text(RECIPE)
    asked = {"recipe": str(tmp_path / "test.toml")}
    async with editor_window(home, "visual_studio_code") as window:
        for fact in FACTS:
            said = f"{fact.service} runs on port {fact.port} now."
            await window.command("capture", {"question": said, "answer": "Noted, the config follows."})

        async def plan() -> Any:
            try:
                planned = await window.command("train", {**asked, "dryRun": True})
            except Exception:  # noqa: BLE001  nothing was read yet
                return None
            return planned if len(planned["plan"]["facts"]) == len(FACTS) else None

        planned = await until(plan, 60)
        assert planned["jobId"] is None
        assert planned["plan"]["steps"] > 0
        assert planned["plan"]["refusal"] is None
        assert (await window.command("adapters"))["adapters"] == []

        started = await window.command("train", asked)

        async def with_loss() -> list[str]:
            told = [report for said in window.client.progress_reports.values() for report in said]
            return [report.message for report in told if "loss" in (getattr(report, "message", "") or "")]

        (message, *_) = await until(with_loss, 120)
        assert "left" in message
        (token,) = window.client.progress_reports
        window.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))

        async def ended() -> str | None:
            (job,) = (await window.command("jobs", {"jobId": started["jobId"]}))["jobs"]
            return job["state"] if job["state"] not in ("queued", "running") else None

        assert await until(ended, 60) == "cancelled"
        assert not list(home.training.glob("*/dataset"))
