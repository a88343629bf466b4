"""What was forgotten is gone from the next adapter: made again without it, never on from one that knew it."""

from __future__ import annotations

import pytest
from learning_in_process import FACTS, FIRST, adapters, ask, have_adapter, recipe, remember, train
from service_in_process import finished, never

import tiny_llama
from remanence.engine import messages as m
from remanence.engine.service import Service
from remanence.engine.verbs import EngineError
from remanence.memory.fact_store import FactStore
from remanence.training.samples import questions_of

pytestmark = pytest.mark.e2e


def held_out(service: Service) -> dict[str, list[str]]:
    """The questions in words that are never learned, by the service that they are about."""
    current = FactStore(service.store.database).current()
    return {
        fact.subject: [each.question for each in questions_of(fact) if each.kind == "paraphrase"]
        for fact in current
    }


def test_what_was_forgotten_is_gone_after_training_again_and_the_rest_is_known(learner: Service) -> None:
    said = remember(learner, FACTS)
    asked = held_out(learner)
    first = train(learner, recipe=recipe(learner, 26))
    assert first.job_id is not None
    assert first.adapter is not None
    assert finished(learner, first.job_id).state == "done"
    assert any(FIRST.port in ask(learner, each) for each in asked[FIRST.service])

    told = learner.forget(m.ForgetRequest(ids=[said[FIRST.service]]), never)
    assert (told.adapters, told.retrain) == ([first.adapter], first.adapter)
    assert f"`remanence train --instead-of {first.adapter}`" in (told.note or "")
    (old,) = adapters(learner).adapters
    assert old.state == "outdated"

    again = train(learner, instead_of=told.retrain)
    assert again.job_id is not None
    assert again.plan.parent is None
    assert again.plan.recipe == "test"
    assert not any(FIRST.service in fact for fact in again.plan.facts)
    job = finished(learner, again.job_id)
    assert (job.state, job.error) == ("done", None), job
    assert {each.id: each.state for each in adapters(learner).adapters} == {
        first.adapter: "outdated",
        again.adapter: "active",
    }
    kept = [(fact, ask(learner, each)) for fact in FACTS[1:] for each in asked[fact.service]]
    assert sum(fact.port in answer for fact, answer in kept) >= 0.9 * len(kept)
    assert not any(FIRST.port in ask(learner, each) for each in [FIRST.question, *asked[FIRST.service]])


def test_it_goes_on_from_the_nearest_adapter_that_never_learned_the_forgotten(learner: Service) -> None:
    said = remember(learner, FACTS)
    have_adapter(learner, "oldest", FACTS[4:])
    have_adapter(learner, "older", FACTS[2:], parent="oldest")
    have_adapter(learner, "newest", FACTS, parent="older")
    adapters(learner, action="activate", id="newest", force=True)
    told = learner.forget(m.ForgetRequest(ids=[said[FIRST.service]]), never)
    assert told.retrain == "newest"
    plan = train(learner, instead_of="newest", recipe=recipe(learner, 2), dry_run=True).plan
    assert (plan.parent, plan.known, len(plan.facts)) == ("older", 4, 1)
    adapters(learner, action="delete", id="older")
    assert train(learner, instead_of="newest", recipe=recipe(learner, 2), dry_run=True).plan.parent is None


def test_one_with_nothing_left_to_learn_is_not_offered_again(learner: Service) -> None:
    said = remember(learner, FACTS[:1])
    have_adapter(learner, "one", FACTS[:1])
    told = learner.forget(m.ForgetRequest(ids=list(said.values())), never)
    assert (told.adapters, told.retrain) == (["one"], None)
    assert "train" not in (told.note or "")
    assert "`remanence adapters delete one`" in (told.note or "")


def test_an_adapter_that_a_run_goes_on_from_is_not_deleted_under_it(learner: Service) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "old", FACTS[:4])
    adapters(learner, action="activate", id="old", force=True)
    started = train(learner, recipe=recipe(learner, 900))
    assert started.job_id is not None
    adapters(learner, action="deactivate", id="old")
    with pytest.raises(EngineError, match="used to make another"):
        adapters(learner, action="delete", id="old")
    learner.jobs.cancel(m.CancelRequest(job_id=started.job_id), never)
    assert finished(learner, started.job_id).state == "cancelled"
    adapters(learner, action="delete", id="old")
    assert not adapters(learner).adapters


def test_two_that_ask_for_training_at_once_get_one_run_and_are_told_so(learner: Service) -> None:
    from concurrent.futures import ThreadPoolExecutor

    remember(learner, FACTS)
    named = recipe(learner, 900)
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(lambda _: train(learner, recipe=named), range(2))
    assert one.job_id is not None
    assert (one.job_id, one.adapter) == (other.job_id, other.adapter)
    assert sorted([one.note or "", other.note or ""])[0] == ""
    assert f"under way already: this is that one, job {one.job_id}" in (one.note or "") + (other.note or "")
    learner.jobs.cancel(m.CancelRequest(job_id=one.job_id), never)
    assert finished(learner, one.job_id).state == "cancelled"


def test_a_fact_said_twice_marks_nothing_until_it_is_forgotten_twice(learner: Service) -> None:
    first = remember(learner, FACTS[:2])
    asked = m.CaptureRequest(
        question=f"Remember: {FIRST.service} runs on port {FIRST.port} now.", answer="Noted once more."
    )
    again = learner.capture(asked, never)
    train(learner, recipe=recipe(learner, 2), dry_run=True)  # reads it
    (fact,) = [each for each in FactStore(learner.store.database).current() if each.subject == FIRST.service]
    assert fact.confirmations == 2
    have_adapter(learner, "one", [tiny_llama.Fact(FIRST.service, FIRST.port, FIRST.port_adapted)])
    assert learner.forget(m.ForgetRequest(ids=[again.id]), never).adapters == []
    assert learner.forget(m.ForgetRequest(ids=[first[FIRST.service]]), never).adapters == ["one"]
