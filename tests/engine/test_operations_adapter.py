"""An adapter for operations in a real engine: learned from the log, judged, put on, and used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from operations_in_process import have_log, recipe, set_reader
from service_in_process import finished, never

import remanence.engine.facts
from remanence.engine import fact_messages as fm
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError
from remanence.paths import Home
from tiny_reader import SERVICES

pytestmark = pytest.mark.e2e

LATER = "2026-10-0"


@pytest.fixture
def reader(home: Home) -> Iterator[Service]:
    """A service with the tiny reader as its model."""
    set_reader(home)
    service = open_service(home)
    yield service
    service.close()


def train(service: Service, **fields: object) -> lm.TrainResponse:
    request = lm.TrainRequest(purpose="operations", **fields)  # type: ignore[arg-type]
    answer = service.handlers()["train"](request, never)
    assert isinstance(answer, lm.TrainResponse)
    return answer


def adapters(service: Service, **fields: object) -> lm.AdaptersResponse:
    answer = service.handlers()["adapters"](lm.AdaptersRequest(**fields), never)  # type: ignore[arg-type]
    assert isinstance(answer, lm.AdaptersResponse)
    return answer


def capture(service: Service, text: str, day: int) -> str:
    asked = m.CaptureRequest(question=text, answer="Good to know.", asked_at=f"{LATER}{day}")
    return service.capture(asked, never).id


def facts_of(service: Service, exchange: str) -> list[fm.FactItem]:
    request = fm.FactsRequest(state="all", exchange=exchange)
    return service.facts.facts(request, never).facts


def decisions(service: Service) -> list[fm.DecisionItem]:
    return service.facts.decisions(fm.DecisionsRequest(), never).decisions


def ask(service: Service) -> str:
    asked = mm.AskRequest(prompt="Hm.", with_memory=False, remember=False, max_tokens=12)
    *_, last = service.streams()["ask"](asked, never)
    assert isinstance(last, mm.AskEvent)
    assert last.end is not None
    return last.end.answer


def until(happens: Callable[[], object]) -> None:
    for _ in range(1200):
        if happens():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")


def test_what_was_decided_is_learned_judged_activated_and_decides_from_then_on(
    reader: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_log(reader)
    bare = ask(reader)
    started = train(reader, recipe=recipe(reader, 24))
    assert started.plan.purpose == "operations"
    assert {"update, rules", "ignore, model", "ignore, corrected"} <= started.plan.by_origin.keys()
    assert started.job_id is not None
    job = finished(reader, started.job_id)
    assert (job.state, job.error) == ("done", None), job
    (told,) = adapters(reader).adapters
    assert (told.state, told.purpose, told.passed) == ("active", "operations", True), told.reasons
    before, after = told.evaluation["base"], told.evaluation["adapter"]
    assert before["decision"].valid == before["decision"].decision_f1 == 0.0
    assert after["decision"].valid is not None
    assert after["decision"].valid > 0.8  # nothing held it to JSON
    assert after["decision"].decision_f1 is not None
    assert after["decision"].decision_f1 >= 0.7
    assert before["extraction"].recall == 0.0
    assert ask(reader) == bare  # answers go on without it

    said = [capture(reader, f"The backups of {each} are kept in Basel.", 1) for each in SERVICES[:6]]
    said += [capture(reader, f"I prefer {each}.", day) for day, each in ((2, "tabs"), (3, "pytest"))]
    consolidation = reader.facts.consolidate(fm.ConsolidateRequest(model=True), never)
    job = finished(reader, consolidation.job_id)
    assert (job.state, job.error) == ("done", None), job
    origin = f"tiny+{told.id}"
    drawn = [fact for exchange in said for fact in facts_of(reader, exchange) if fact.origin == origin]
    assert drawn
    assert {fact.value for fact in drawn} == {"Basel"}
    decided = [each for each in decisions(reader) if each.origin == origin]
    assert decided
    assert all(each.state == "done" for each in decided)
    assert ask(reader) == bare

    monkeypatch.setattr(remanence.engine.facts, "_IDLE_SECONDS", 0.2)
    reader.close()
    set_reader(reader.home, "[facts]\nmodel = true\n")
    idle = open_service(reader.home)
    try:
        later = [capture(idle, f"The backups of {each} are kept in Cork.", 5) for each in SERVICES[:6]]
        until(lambda: any(fact.origin == origin for each in later for fact in facts_of(idle, each)))
    finally:
        idle.close()


def test_when_nothing_was_asked_for_a_while_the_users_model_reads_and_decides(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remanence.engine.facts, "_IDLE_SECONDS", 0.2)
    set_reader(home, "[facts]\nmodel = true\n")
    service = open_service(home)
    try:
        older, newer = (
            capture(service, f"I prefer {each}.", day) for day, each in ((1, "tabs"), (2, "pytest"))
        )
        until(lambda: decisions(service))
        (decided,) = decisions(service)
        assert (decided.origin, decided.state) == ("tiny", "done")  # held to JSON, it decides something
        values = {fact.value for each in (older, newer) for fact in facts_of(service, each)}
        assert values == {"tabs", "pytest"}
        assert [each.state for each in service.language_models.residency().states()] == ["loaded"]
    finally:
        service.close()


def test_a_dry_run_says_what_operations_would_be_learned_from_and_leaves_nothing(reader: Service) -> None:
    have_log(reader)
    plan = train(reader, dry_run=True).plan
    assert plan.parent is None
    assert sum(plan.by_origin.values()) >= plan.rows
    assert not list(reader.home.training.iterdir())


def test_without_decisions_there_is_nothing_to_learn_operations_from(reader: Service) -> None:
    with pytest.raises(EngineError, match="nothing was decided about facts yet"):
        train(reader, dry_run=True)
    capture(reader, "Good morning.", 1)
    with pytest.raises(EngineError, match="remanence consolidate"):
        train(reader)
    assert not list(reader.home.training.iterdir())
