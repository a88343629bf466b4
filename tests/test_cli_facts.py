"""`remanence facts` and `decisions` as a person reads them."""

from __future__ import annotations

from remanence.cli_facts import decisions_in_words, facts_in_words
from remanence.engine import fact_messages as fm

MARCH, MAY = 1_772_323_200_000, 1_777_593_600_000


def fact(**more: object) -> fm.FactItem:
    said = {
        "id": "f1",
        "text": "The api runs on port 80.",
        "subject": "api",
        "topic": "port",
        "value": "80",
        "words": "The api runs on port 80.",
        "language": "en",
        "valid_from": MARCH,
        "valid_until": None,
        "confidence": 0.8,
        "confirmations": 1,
        "origin": "rules",
        "superseded_by": None,
        "workspace": None,
        "exchanges": ["e1"],
    }
    return fm.FactItem(**(said | more))  # type: ignore[arg-type]


def test_a_fact_is_told_with_its_dates_and_how_often_it_was_said() -> None:
    told = facts_in_words(fm.FactsResponse(facts=[fact(valid_until=MAY, confirmations=3)], current=0))
    assert "The api runs on port 80." in told
    assert "api · port: 80 · since 2026-03-01 until 2026-05-01 · said 3 times · rules · f1" in told


def test_what_waits_is_told() -> None:
    told = facts_in_words(fm.FactsResponse(facts=[], current=2, unread=5, pending=1))
    assert told.startswith("No facts.")
    assert told.endswith("2 hold; 5 memories to read, 1 decisions pending")


def test_a_decision_is_told_with_both_facts_and_the_reason() -> None:
    item = fm.DecisionItem(
        id=7,
        action="update",
        state="done",
        reason="said later",
        origin="rules",
        decided_at=MAY,
        fact="f2",
        text="The api runs on port 81.",
        older="f1",
        older_text="The api runs on port 80.",
    )
    told = decisions_in_words(fm.DecisionsResponse(decisions=[item]))
    assert "7  update (done)" in told
    assert "older: The api runs on port 80." in told
    assert "why: said later" in told
    assert decisions_in_words(fm.DecisionsResponse(decisions=[])) == "Nothing was decided."
