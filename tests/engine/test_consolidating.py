"""Consolidating is cut short by kills: the job goes on where it was, to the end it would have had."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import ask, stop, strike, wait_for_job

from remanence.engine.fact_messages import ConsolidateRequest
from remanence.engine.facts import FactReading
from remanence.engine.messages import JobsRequest
from remanence.memory.exchange import Exchange
from remanence.memory.fact_store import FactStore
from remanence.memory.identity import identify
from remanence.memory.store import Candidate, Store
from remanence.paths import Home

pytestmark = pytest.mark.e2e

EXCHANGES = 1500
SERVICES = 200
KILLS = 3
FIRST_DAY, DAY = 1_600_000_000_000, 86_400_000


@pytest.fixture
def own_home(home: Home) -> Iterator[Home]:
    yield home
    stop(home)


def fill(path: Path) -> None:
    """Each service's port changes again and again."""
    store = Store.open(path)
    said = [
        Exchange(
            question=f"The svc{number % SERVICES}-api runs on port {2000 + number} now.",
            answer="Noted.",
            tool="test",
            conversation_id=f"c{number}",
            turn_key="1",
            asked_at=FIRST_DAY + number * DAY,
        )
        for number in range(EXCHANGES)
    ]
    store.capture([Candidate(each, identify(each, each, store.identity_key), 1) for each in said])
    store.close()


def outcome(path: Path) -> tuple[set[object], set[object]]:
    """What holds and until when, by what was said, and what was decided."""
    store = Store.open(path)
    facts = FactStore(store.database)
    everything = [*facts.current(EXCHANGES), *facts.superseded(EXCHANGES)]
    text = {fact.id: fact.text for fact in everything}
    held: set[object] = {
        (each.text, each.valid_from, each.valid_until, text.get(each.superseded_by or ""))
        for each in everything
    }
    decided: set[object] = {
        (text[each.fact], text[each.older], each.action, each.state)
        for each in facts.decisions(limit=EXCHANGES)
    }
    store.close()
    return held, decided


def test_a_job_that_kills_cut_short_ends_as_if_nothing_had_happened(own_home: Home, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed.db"
    for path in (undisturbed, own_home.database):
        fill(path)
    store = Store.open(undisturbed)
    reading = FactReading(FactStore(store.database))
    while reading.read():
        pass
    while reading.decide():
        pass
    store.close()

    job = ask(own_home, lambda client: client.consolidate(ConsolidateRequest(again=True))).job_id
    cut_short: list[float] = []
    for _ in range(KILLS):
        # the first request starts the engine, which takes the job up
        while (
            told := ask(own_home, lambda client: client.jobs(JobsRequest(job_id=job))).jobs[0]
        ).state == "queued":
            time.sleep(0.01)
        if told.state == "running":
            cut_short.append(told.progress)
        strike(own_home)
    ask(own_home, lambda client: wait_for_job(client, job))
    assert cut_short
    stop(own_home)
    assert outcome(own_home.database) == outcome(undisturbed)
    assert len(outcome(undisturbed)[0]) == EXCHANGES
    assert len(outcome(undisturbed)[1]) == EXCHANGES - SERVICES
