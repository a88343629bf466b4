"""Learning in a real engine: a tiny model really trained on facts, judged, put on, taken back, marked."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from learning_in_process import (
    FACTS,
    FIRST,
    adapters,
    ask,
    have_adapter,
    recipe,
    remember,
    train,
    wait_until,
)
from service_in_process import finished, never

import tiny_llama
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError
from remanence.training.run_folder import RunFolder

pytestmark = pytest.mark.e2e


def test_what_is_remembered_is_trained_judged_activated_and_answered_without_recall(learner: Service) -> None:
    remember(learner, FACTS)
    plan = train(learner, recipe=recipe(learner, 26), dry_run=True)
    assert len(plan.plan.facts) == len(FACTS)
    assert plan.plan.steps > 0 < plan.plan.memory_mb
    assert plan.job_id is None
    assert not list(learner.home.training.iterdir())
    assert ask(learner, FIRST.question) == FIRST.adapted.answer

    started = train(learner, recipe=recipe(learner, 26))
    assert started.job_id is not None
    job = finished(learner, started.job_id)
    assert (job.state, job.error) == ("done", None), job
    assert "activated" in job.message
    (told,) = adapters(learner).adapters
    assert (told.id, told.state, told.passed) == (started.adapter, "active", True)
    assert told.evaluation["adapter"]["paraphrase"].exact >= 0.7
    assert told.evaluation["base"]["paraphrase"].exact == 0.0
    assert told.evaluation["base with recall"]["paraphrase"].n == 2 * len(FACTS)
    for name in ("report.json", "report.md", "report.svg", "manifest.json", "adapter_model.safetensors"):
        assert (Path(told.folder) / name).is_file()
    assert FIRST.port not in (Path(told.folder) / "report.json").read_text()  # a report quotes no memory
    assert not list(learner.home.training.iterdir())
    for model in ("tiny", "file"):
        assert FIRST.port in ask(learner, FIRST.question, model)

    assert "bare model" in (adapters(learner, action="rollback").note or "")
    for model in ("tiny", "file"):
        assert ask(learner, FIRST.question, model) == FIRST.adapted.answer


def test_the_next_run_goes_on_from_the_active_adapter_and_learns_only_what_is_new(learner: Service) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "old", FACTS[:4])
    adapters(learner, action="activate", id="old", force=True)
    plan = train(learner, recipe=recipe(learner, 2), dry_run=True).plan
    assert (plan.parent, plan.known, len(plan.facts)) == ("old", 4, 2)
    afresh = train(learner, recipe=recipe(learner, 2), dry_run=True, afresh=True).plan
    assert (afresh.parent, afresh.known, len(afresh.facts)) == (None, 0, 6)


def test_one_that_harms_is_refused_kept_and_activated_only_by_force(learner: Service) -> None:
    wrong = [tiny_llama.Fact(fact.service, "1111", fact.port) for fact in FACTS]
    remember(learner, wrong)
    have_adapter(learner, "wrong", wrong)
    started = learner.handlers()["evaluate"](lm.EvaluateRequest(), never)
    assert isinstance(started, m.JobStarted)
    job = finished(learner, started.job_id)
    assert job.state == "done", job
    (told,) = adapters(learner).adapters
    assert (told.state, told.passed) == ("refused", False)
    assert any("held-out" in reason for reason in told.reasons)
    with pytest.raises(EngineError, match="did not pass"):
        adapters(learner, action="activate", id="wrong")
    forced = adapters(learner, action="activate", id="wrong", force=True)
    assert forced.adapters[0].state == "active"
    assert forced.note is not None
    assert "ctransformers cannot apply an adapter" in forced.note
    assert "--format merged" in forced.note


def test_forgetting_marks_what_learned_it_takes_it_off_and_says_what_to_do(learner: Service) -> None:
    said = remember(learner, FACTS)
    have_adapter(learner, "one")
    have_adapter(learner, "other", FACTS[3:])
    adapters(learner, action="activate", id="one", force=True)
    assert ask(learner, FIRST.question) == FIRST.answer
    compared = adapters(learner, action="compare", id="one", other="other")
    assert [(each.id, each.facts) for each in compared.adapters] == [("one", 6), ("other", 3)]
    assert "not evaluated" in (compared.note or "")
    answer = learner.forget(m.ForgetRequest(ids=[said[FIRST.service]]), never)
    assert answer.adapters == ["one"]
    assert answer.note is not None
    assert "remanence train" in answer.note
    states = {each.id: each.state for each in adapters(learner).adapters}
    assert states == {"one": "outdated", "other": "trained"}
    assert ask(learner, FIRST.question) == FIRST.adapted.answer
    adapters(learner, action="activate", id="one", force=True)
    plan = train(learner, recipe=recipe(learner, 2), dry_run=True).plan
    assert plan.parent is None
    assert not any(FIRST.service in fact for fact in plan.facts)


def test_a_cancelled_run_leaves_nothing_of_what_it_learned(learner: Service) -> None:
    remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 900))
    assert started.adapter is not None
    assert started.job_id is not None
    again = train(learner, recipe=recipe(learner, 900))
    assert (again.job_id, again.adapter) == (started.job_id, started.adapter)
    run = RunFolder(learner.home.training / started.adapter)
    wait_until(lambda: (progress := run.progress()) is not None and progress.step > 0)
    process = run.process()
    assert process is not None
    learner.jobs.cancel(m.CancelRequest(job_id=started.job_id), never)
    assert finished(learner, started.job_id).state == "cancelled"
    assert not process.is_running()
    assert {path.suffix for path in run.path.iterdir()} <= {".log"}
    assert not adapters(learner).adapters


def test_forgetting_ends_a_run_that_learns_it(learner: Service) -> None:
    said = remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 900))
    assert started.job_id is not None
    answer = learner.forget(m.ForgetRequest(ids=[said[FIRST.service]]), never)
    assert answer.note is not None
    assert "under way" in answer.note
    assert finished(learner, started.job_id).state == "cancelled"
    assert not list(learner.home.training.glob("*/dataset"))


def test_a_run_outlives_its_engine_and_the_next_one_finishes_it(learner: Service) -> None:
    remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 26), auto=False)
    assert started.adapter is not None
    assert started.job_id is not None
    run = RunFolder(learner.home.training / started.adapter)
    wait_until(lambda: (progress := run.progress()) is not None and progress.step > 0)
    process = run.process()
    learner.close()
    assert process is not None
    assert process.is_running()
    next_one = open_service(learner.home)
    try:
        assert run.process() in (process, None)  # taken up, not begun again
        job = finished(next_one, started.job_id)
        assert job.state == "done", job
        (told,) = adapters(next_one).adapters
        assert (told.state, told.passed) == ("trained", True)  # it was not to be activated by itself
    finally:
        next_one.close()


@pytest.mark.parametrize("format", ["lora", "merged"])
def test_an_export_is_verified_in_llama_cpp(learner: Service, tmp_path: Path, format: str) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "one")
    answer = adapters(learner, action="export", id="one", path=str(tmp_path), format=format, verify=True)
    assert answer.job_id is not None
    job = finished(learner, answer.job_id)
    assert (job.state, job.error) == ("done", None), job
    assert job.figures["asked"] == job.figures["same"] == len(FACTS)
    assert [Path(each).is_file() for each in answer.files] == [True]


def test_an_export_that_says_something_else_is_told(learner: Service, tmp_path: Path) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "one")
    answer = adapters(
        learner,
        action="export",
        id="one",
        path=str(tmp_path),
        gguf=str(tiny_llama.gguf_bpe()),
        verify=True,
    )
    assert answer.job_id is not None
    assert finished(learner, answer.job_id).state == "failed"


def test_what_cannot_be_trained_is_refused_in_words(learner: Service) -> None:
    with pytest.raises(EngineError, match="nothing new to learn"):
        train(learner, dry_run=True)
    remember(learner, FACTS[:1])
    with pytest.raises(EngineError, match="GGUF file cannot be trained"):
        train(learner, base=str(tiny_llama.gguf("F16")))
    bare = learner.home.root / "bare"
    shutil.copytree(tiny_llama.folder(), bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(EngineError, match="no chat template"):
        train(learner, base=str(bare))
    with pytest.raises(EngineError, match="no recipe 'huge'"):
        train(learner, recipe="huge")
    with pytest.raises(EngineError, match="no language model 'other'"):
        train(learner, model="other")
    assert not list(learner.home.training.iterdir())


def test_a_dataset_is_written_where_it_is_asked_for_and_nowhere_over(
    learner: Service, tmp_path: Path
) -> None:
    remember(learner, FACTS)
    out = tmp_path / "dataset"
    request = lm.DatasetRequest(path=str(out), recipe=recipe(learner, 2))
    told = learner.handlers()["dataset"](request, never)
    assert isinstance(told, lm.DatasetResponse)
    assert (told.facts, told.exchanges) == (len(FACTS), len(FACTS))
    assert told.by_form["paraphrase"] == 4 * len(FACTS)
    assert (out / "manifest.json").is_file()
    drawn = ElementTree.fromstring((out / "statistics.svg").read_text(encoding="utf-8"))
    assert {"paraphrase", "never"} <= {each.text for each in drawn.iter()}
    with pytest.raises(EngineError, match="not empty"):
        learner.handlers()["dataset"](request, never)
