"""Facts of an engine in this process, asked as doors ask."""

from __future__ import annotations

import time
from collections.abc import Callable

from service_in_process import finished, never

from remanence.engine import fact_messages as fm
from remanence.engine import messages as m
from remanence.engine.service import Service


def capture(service: Service, question: str, answer: str, day: str) -> str:
    return service.capture(m.CaptureRequest(question=question, answer=answer, asked_at=day), never).id


def listed(
    service: Service, state: fm.FactState = "current", *, text: str = "", exchange: str | None = None
) -> list[fm.FactItem]:
    return service.facts.facts(fm.FactsRequest(state=state, text=text, exchange=exchange), never).facts


def values(service: Service, state: fm.FactState = "current") -> set[str]:
    return {fact.value for fact in listed(service, state)}


def decisions(service: Service, undo: int | None = None, redo: int | None = None) -> list[fm.DecisionItem]:
    return service.facts.decisions(fm.DecisionsRequest(undo=undo, redo=redo), never).decisions


def until(happens: Callable[[], object]) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def drawn(service: Service) -> None:
    """Wait until the background has read and compared everything."""

    def all_done() -> bool:
        answer = service.facts.facts(fm.FactsRequest(), never)
        return not answer.unread and not answer.undecided

    until(all_done)


def consolidated(service: Service, *, model: bool = False, again: bool = False) -> m.Job:
    request = fm.ConsolidateRequest(model=model, again=again)
    return finished(service, service.facts.consolidate(request, never).job_id)
