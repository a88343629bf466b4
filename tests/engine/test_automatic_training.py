"""Training that begins by itself: after so many new facts, if the user said so, once for the same facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from learning_in_process import FACTS, adapters, have_adapter, recipe, remember, set_models, train
from service_in_process import finished, indexed, never

import tiny_llama
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.paths import Home

pytestmark = pytest.mark.e2e

AFTER = 3


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    """One that asks after some new facts, and trains for as long as it takes until it is cancelled."""
    service = opened(home, AFTER)
    yield service
    service.close()


def opened(home: Home, after: int) -> Service:
    endless = home.root / "test-900.toml"
    set_models(home, f'[training]\nautomatic_after = {after}\nrecipe = "{endless.as_posix()}"\n')
    service = open_service(home)
    recipe(service, 900)
    indexed(service, keywords=True)
    return service


def say(service: Service, facts: Sequence[tiny_llama.Fact]) -> None:
    remember(service, facts)
    indexed(service, keywords=True)


def look(service: Service, answer: lm.AutomaticAnswer | None = None) -> lm.AutomaticResponse:
    for job in service.jobs.jobs(m.JobsRequest(), never).jobs:
        if job.kind == "prepare":
            finished(service, job.job_id)
    told = service.handlers()["automatic"](lm.AutomaticRequest(answer=answer), never)
    assert isinstance(told, lm.AutomaticResponse)
    return told


def status_line(service: Service) -> str | None:
    return service.status(m.Empty(), never).learning


def runs(service: Service) -> int:
    return sum(job.kind == "train" for job in service.jobs.jobs(m.JobsRequest(), never).jobs)


def cancel(service: Service, job_id: str | None) -> None:
    assert job_id is not None
    service.jobs.cancel(m.CancelRequest(job_id=job_id), never)
    assert finished(service, job_id).state == "cancelled"


def test_nothing_is_asked_or_begun_where_it_is_off(home: Home) -> None:
    service = opened(home, 0)
    try:
        say(service, FACTS)
        assert look(service) == lm.AutomaticResponse(after=0)
        assert look(service, "always").job_id is None
        assert look(service) == lm.AutomaticResponse(after=0, answer="always")
        assert status_line(service) is None
        assert runs(service) == 0
    finally:
        service.close()


def test_the_user_is_asked_once_by_one_door_and_until_then_only_the_status_says_it(service: Service) -> None:
    say(service, FACTS[:2])
    assert (look(service).ask, status_line(service)) == (False, None)
    say(service, FACTS[2:4])
    assert "4 facts are new" in (status_line(service) or "")
    assert runs(service) == 0
    asked = look(service)
    assert (asked.ask, asked.new, asked.after) == (True, 4, AFTER)
    assert "4 facts are new" in (asked.words or "")
    assert "asked this once" in (asked.words or "")
    assert look(service).ask is False
    assert runs(service) == 0


@pytest.mark.parametrize("answer", ["later", "never"])
def test_what_was_declined_is_not_asked_again_nor_begun_even_by_the_next_engine(
    home: Home, answer: lm.AutomaticAnswer
) -> None:
    first = opened(home, AFTER)
    say(first, FACTS[:3])
    assert look(first).ask
    assert look(first, answer).job_id is None
    first.close()
    next_one = opened(home, AFTER)
    try:
        say(next_one, FACTS[3:])
        told = look(next_one)
        assert (told.ask, told.job_id, told.answer) == (False, None, answer)
        assert runs(next_one) == 0
        assert (status_line(next_one) is None) == (answer == "never")
        look(next_one, "ask")
        assert look(next_one).ask
    finally:
        next_one.close()


def test_always_trains_at_once_and_again_only_after_as_many_facts_more(service: Service) -> None:
    say(service, FACTS[:3])
    assert look(service).ask
    begun = look(service, "always")
    assert begun.job_id is not None
    assert look(service).job_id is None  # it runs
    cancel(service, begun.job_id)
    told = look(service)
    assert (told.job_id, told.new, told.ask) == (None, 0, False)  # never again for the same facts
    say(service, FACTS[3:5])
    assert look(service).job_id is None
    say(service, FACTS[5:])
    second = look(service)
    assert second.job_id is not None
    assert second.ask is False
    assert runs(service) == 2
    cancel(service, second.job_id)


def test_now_trains_once(service: Service) -> None:
    say(service, FACTS[:3])
    assert look(service).ask
    cancel(service, look(service, "now").job_id)
    say(service, FACTS[3:])
    assert look(service) == lm.AutomaticResponse(after=AFTER, new=3, answer="now")
    assert runs(service) == 1


def test_a_run_that_the_user_began_counts_too(service: Service) -> None:
    say(service, FACTS[:3])
    cancel(service, train(service).job_id)
    assert look(service).new == 0


def test_what_the_active_adapter_learned_is_not_new(service: Service) -> None:
    say(service, FACTS)
    have_adapter(service, "one", FACTS[:4])
    assert look(service).new == len(FACTS)
    adapters(service, action="activate", id="one", force=True)
    assert look(service).new == 2


def test_nothing_begins_while_something_else_runs_or_without_mains_power(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(service, FACTS)
    look(service, "always")
    cancel(service, service.jobs.jobs(m.JobsRequest(), never).jobs[0].job_id)
    say(service, [tiny_llama.FACTS[7].adapted, tiny_llama.FACTS[8].adapted, tiny_llama.FACTS[9].adapted])
    monkeypatch.setattr(
        "remanence.engine.automatic_training.is_allowed_to_run", lambda care: "waiting for mains power"
    )
    told = look(service)
    assert (told.words, told.job_id, told.new) == ("waiting for mains power", None, 3)
    monkeypatch.undo()
    cancel(service, look(service).job_id)


def test_a_missing_model_is_said_instead_of_a_question(home: Home) -> None:
    home.settings.write_text("[training]\nautomatic_after = 1\n")
    service = open_service(home)
    try:
        indexed(service, keywords=True)
        say(service, FACTS[:2])
        told = look(service)
        assert "no language model is set" in (told.words or "")
        assert (told.ask, told.job_id) == (False, None)
        assert "no language model is set" in (status_line(service) or "")
    finally:
        service.close()
