"""Before a run the user's own model writes more ways to ask; what it gets wrong harms nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from learning_in_process import FACTS, RECIPE, adapters, remember, train, wait_until
from service_in_process import never

import tiny_llama
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.paths import Home
from telling_endpoint import Tell, telling_endpoint


def writes(messages: list[dict[str, str]]) -> str:
    """One paraphrase that is right, and one of another port."""
    (about,) = (said["content"] for said in messages if "Value: " in said["content"])
    value = re.findall(r"Value: (\d+)", about)[0]
    (service,) = [fact.service for fact in FACTS if f"{fact.service} " in about.split("Value:")[0]]
    question = f"To reach {service}, which port do I open?"
    right = {"question": question, "answer": f"Open {value} for {service}."}
    wrong = {"question": f"And {service}, from outside?", "answer": f"Open 1{value} for {service}."}
    return json.dumps({"samples": [right, wrong]})


def babbles(messages: list[dict[str, str]]) -> str:
    return "With pleasure!"


def run(home: Home, tell: Tell, tmp_path: Path) -> tuple[Service, m.Job, int]:
    """One run whose paraphrases this endpoint writes: its service, its job, how often that was asked."""
    folder = str(tiny_llama.folder())
    text = RECIPE.format(epochs=1).replace("[train]", "[train]\nparaphrases = 2")
    (tmp_path / "test.toml").write_text(text, encoding="utf-8")
    with telling_endpoint(tell) as endpoint:
        settings = f'use = "w"\n[language_models.models.w]\nurl = "{endpoint.url}"\nmodel = "w"\n'
        home.settings.write_text(f"[language_models]\n{settings}", encoding="utf-8")
        service = open_service(home)
        remember(service, FACTS)
        started = train(service, recipe=str(tmp_path / "test.toml"), base=folder)

        def job() -> m.Job:
            (found,) = service.jobs.jobs(m.JobsRequest(job_id=started.job_id), never).jobs
            return found

        wait_until(lambda: job().state not in ("queued", "running"))
        return service, job(), len(endpoint.asked)


def test_what_it_writes_is_learned_as_far_as_it_can_be_checked(home: Home, tmp_path: Path) -> None:
    service, job, asked = run(home, writes, tmp_path)
    try:
        assert (job.state, asked) == ("done", len(FACTS))
        (made,) = adapters(service).adapters
        manifest = service.learning.registry.get(made.id).manifest
        assert manifest.paraphrased
        assert manifest.rows == sum(manifest.by_form.values())
        asked_for = lm.DatasetRequest(
            path=str(tmp_path / "out"), recipe=str(tmp_path / "test.toml"), base=str(tiny_llama.folder())
        )
        without = service.handlers()["dataset"](asked_for, never)
        assert isinstance(without, lm.DatasetResponse)
        assert manifest.by_form["paraphrase"] == without.by_form["paraphrase"] + len(FACTS)
    finally:
        service.close()


def test_one_that_writes_no_json_leaves_the_run_as_it_was_planned(home: Home, tmp_path: Path) -> None:
    service, job, asked = run(home, babbles, tmp_path)
    try:
        assert job.state == "done"
        assert asked > len(FACTS)
        assert any(f"for {len(FACTS)} of {len(FACTS)} facts" in note for note in job.reasons)
        assert len(adapters(service).adapters) == 1
    finally:
        service.close()


def test_one_that_cannot_be_reached_leaves_the_run_as_it_was_planned(home: Home, tmp_path: Path) -> None:
    def breaks(messages: list[dict[str, str]]) -> str:
        raise ConnectionError

    service, job, _ = run(home, breaks, tmp_path)
    try:
        assert job.state == "done"
        assert any(note.startswith("No more paraphrases: ") for note in job.reasons)
    finally:
        service.close()
