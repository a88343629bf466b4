"""Two adapters merged in a real engine: evaluated before it may be on, and marked with what both know."""

from __future__ import annotations

import pytest
from learning_in_process import FACTS, FIRST, adapters, ask, have_adapter, recipe, remember, train, wait_until
from service_in_process import finished, never

from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError

pytestmark = pytest.mark.e2e

HALVES = {"action": "merge", "id": "one", "other": "other", "method": "cat", "weights": [0.5, 0.5]}


def have_two(service: Service) -> dict[str, str]:
    """Two adapters with the same weights, that learned different facts: their mean answers as they do."""
    said = remember(service, FACTS)
    have_adapter(service, "one", FACTS[:4])
    have_adapter(service, "other", FACTS[2:])
    return said


def test_a_merged_adapter_is_judged_then_activated_and_marked_with_what_both_learned(
    learner: Service,
) -> None:
    said = have_two(learner)
    started = adapters(learner, **HALVES)
    assert [each.id for each in started.adapters] == ["one", "other"]
    assert started.job_id is not None
    assert "evaluated before it may be activated" in (started.note or "")
    job = finished(learner, started.job_id)
    assert (job.state, job.error) == ("done", None), job
    (made,) = [each for each in adapters(learner).adapters if each.id not in ("one", "other")]
    assert (made.parent, made.merged_with, made.facts) == ("one", "other", len(FACTS))
    assert (made.state, made.passed) == ("trained", True), made.reasons
    assert made.recipe == "cat of 0.5 one and 0.5 other"
    assert made.evaluation["adapter"]["paraphrase"].exact >= 0.3
    assert not [path for path in learner.home.adapters.iterdir() if "partial" in path.name]
    assert ask(learner, FIRST.question) == FIRST.adapted.answer
    assert adapters(learner, action="activate", id=made.id).adapters[0].state == "active"
    for model in ("tiny", "file"):
        assert FIRST.port in ask(learner, FIRST.question, model)

    told = learner.forget(m.ForgetRequest(ids=[said[FACTS[5].service]]), never)
    assert told.adapters == sorted(["other", made.id])
    assert told.retrain == made.id
    assert f"{FACTS[5].port_adapted}" in ask(learner, FACTS[5].question)  # the bare model's own
    plan = train(learner, instead_of=made.id, recipe=recipe(learner, 2), dry_run=True).plan
    assert plan.parent == "one"
    with pytest.raises(EngineError, match="other learned something that was forgotten"):
        adapters(learner, **HALVES)


def test_one_whose_evaluation_fails_is_kept_and_not_activated(learner: Service) -> None:
    have_two(learner)
    started = adapters(learner, **{**HALVES, "weights": [0.01, 0.01]})
    assert started.job_id is not None
    assert finished(learner, started.job_id).state == "done"
    made = adapters(learner).adapters[0]
    assert (made.merged_with, made.state) == ("other", "refused")
    with pytest.raises(EngineError, match="did not pass"):
        adapters(learner, action="activate", id=made.id)


def test_a_cancelled_merge_leaves_nothing(learner: Service) -> None:
    have_two(learner)
    started = adapters(learner, **HALVES)
    assert started.job_id is not None
    with pytest.raises(EngineError, match="being merged"):
        adapters(learner, **HALVES)
    with pytest.raises(EngineError, match="used to make another"):
        adapters(learner, action="delete", id="one")
    wait_until(lambda: bool(list(learner.home.adapters.glob("*.partial"))))
    learner.jobs.cancel(m.CancelRequest(job_id=started.job_id), never)
    assert finished(learner, started.job_id).state == "cancelled"
    assert sorted(path.name for path in learner.home.adapters.iterdir()) == ["one", "other"]
    assert len(adapters(learner).adapters) == 2


def test_a_merge_that_an_engines_end_interrupted_is_finished_by_the_next(learner: Service) -> None:
    have_two(learner)
    started = adapters(learner, **HALVES)
    assert started.job_id is not None
    wait_until(lambda: bool(list(learner.home.adapters.glob("*.partial"))))
    learner.close()
    next_one = open_service(learner.home)
    try:
        job = finished(next_one, started.job_id)
        assert (job.state, job.error) == ("done", None), job
        assert [each.passed for each in adapters(next_one).adapters] == [True, None, None]
    finally:
        next_one.close()


def test_what_cannot_be_merged_is_refused_before_any_work(learner: Service) -> None:
    have_two(learner)
    with pytest.raises(EngineError, match="which adapter to merge it with"):
        adapters(learner, action="merge", id="one")
    with pytest.raises(EngineError, match="no adapter 'third'"):
        adapters(learner, action="merge", id="one", other="third")
    with pytest.raises(EngineError, match="weights"):
        adapters(learner, action="merge", id="one", other="other", weights=[1.0])
    running = train(learner, recipe=recipe(learner, 900))
    assert running.job_id is not None
    with pytest.raises(EngineError, match="A training is under way"):
        adapters(learner, **HALVES)
    learner.jobs.cancel(m.CancelRequest(job_id=running.job_id), never)
    assert finished(learner, running.job_id).state == "cancelled"
    assert all(
        job.kind == "train" for job in learner.jobs.jobs(m.JobsRequest(), never).jobs if job.kind != "prepare"
    )


def test_what_a_killed_engine_left_of_a_merge_is_removed_by_the_next(learner: Service) -> None:
    have_two(learner)
    left = learner.home.adapters / "dead.partial" / "merged"
    left.mkdir(parents=True)
    (left / "adapter_model.safetensors").write_bytes(b"half")
    learner.close()
    next_one = open_service(learner.home)
    try:
        assert sorted(path.name for path in next_one.home.adapters.iterdir()) == ["one", "other"]
    finally:
        next_one.close()
