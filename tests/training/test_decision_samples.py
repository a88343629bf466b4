"""What is learned of decisions and exchanges: asked as at run time, answered with what holds."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace

import pytest
from jsonschema import validate

import tiny_reader
from remanence.memory import decisions, fact_extraction
from remanence.memory.fact import Fact
from remanence.memory.fact_store import Action, Decision, Read, State
from remanence.training.decision_samples import Decided, samples_made_of, samples_of_log
from remanence.training.extraction_samples import sample_of_exchange

MARCH, MAY = 1_772_323_200_000, 1_777_593_600_000
LISTENS = "The billing runs on port 4951 now."


def port(value: str, said: int, service: str = "billing") -> Fact:
    found = tiny_reader.port(random.Random(0), service, value).fact
    assert found is not None
    return tiny_reader.as_fact(found, said, f"e-{service}-{value}")


def taste(value: str, said: int, language: str = "en") -> Fact:
    found = tiny_reader.taste(random.Random(0), value).fact
    assert found is not None
    return replace(tiny_reader.as_fact(found, said, f"e-{value}"), language=language)


def decided(
    action: Action = "update",
    state: State = "done",
    *,
    origin: str = "rules",
    text_before: str | None = None,
) -> Decided:
    older, newer = port("4000", MARCH), port("4951", MAY)
    decision = Decision(
        id=1,
        fact=newer.id,
        older=older.id,
        action=action,
        reason="said later",
        origin=origin,
        state=state,
        decided_at=MAY,
        text_before=text_before,
    )
    return Decided(decision=decision, newer=newer, older=older)


def read(question: str, answer: str = "Noted.", reader: str = "rules-1") -> Read:
    return Read(row=1, id="e", question=question, answer=answer, time=MAY, reader=reader)


def said_in(question: str) -> Fact:
    found = tiny_reader.port(random.Random(0), "billing", "4951").fact
    assert found is not None
    return replace(tiny_reader.as_fact(found, MAY), text=LISTENS, words=question)


def test_a_sample_asks_what_a_model_is_asked_and_answers_what_the_log_ended_with() -> None:
    entry = decided()
    (sample,) = samples_of_log([entry], Counter())
    assert (sample.system, sample.question) == decisions.prompt(entry.newer, entry.older)
    validate(json.loads(sample.answer), decisions.SCHEMA)
    judged = decisions.parse(json.loads(sample.answer))
    assert (judged.action, judged.reason, judged.updated_text) == ("update", "said later", entry.newer.text)
    assert (sample.origin, sample.facts) == ("update, rules", (entry.newer.id, entry.older.id))


def test_a_text_that_the_decision_rewrote_is_asked_as_it_was_and_answered_as_it_is() -> None:
    (sample,) = samples_of_log([decided(text_before="It moved to 4951.", origin="m")], Counter())
    assert "NEWER (2026-05-01): It moved to 4951." in sample.question
    assert json.loads(sample.answer)["updated_text"] == LISTENS
    assert sample.origin == "update, model"


def test_what_the_user_took_back_is_learned_as_his_decision_and_what_is_open_not_at_all() -> None:
    left_out: Counter[str] = Counter()
    log = [decided(state="undone"), decided(state="pending"), decided("ignore", "undone")]
    (sample,) = samples_of_log(log, left_out)
    assert (sample.expected, sample.origin) == (("ignore",), "ignore, corrected")
    assert left_out == {"still pending": 1, "taken back, and nothing put in its place": 1}


def test_pairs_are_made_of_each_action_as_many_as_are_wanted_and_the_facts_give() -> None:
    facts = [
        port(value, MARCH, service) for value, service in zip(tiny_reader.PORTS, "abcdefgh", strict=False)
    ]
    facts += [taste(value, MAY) for value in tiny_reader.TASTES]
    wanted: dict[Action, int] = {"update": 7, "delete": 9, "ignore": 11}
    made = samples_made_of(facts, wanted, random.Random(0))
    assert Counter(each.expected[0] for each in made) == wanted
    for each in made:
        said = json.loads(each.answer)
        validate(said, decisions.SCHEMA)
        assert said["action"] == each.expected[0]
        assert set(each.facts) <= {fact.id for fact in facts}
    assert samples_made_of([], wanted, random.Random(0)) == []


def test_a_made_contradiction_is_one_that_the_rules_decide_the_same_way() -> None:
    facts = [port("4000", MARCH, "billing"), port("4951", MAY, "ledger")]
    for sample in samples_made_of(facts, {"update": 2}, random.Random(0)):
        older, newer, _ = sample.question.splitlines()
        assert older.split("The ")[1].split(" ")[0] == newer.split("The ")[1].split(" ")[0]
        assert older.split("): ")[1] != newer.split("): ")[1]
        assert "one value at a time" in json.loads(sample.answer)["reason"]


@pytest.mark.parametrize(
    ("language", "word"), [("fr", "Ce n'est plus"), ("es", "Ya no"), ("de", "nicht mehr")]
)
def test_pairs_are_made_in_the_facts_own_language(language: str, word: str) -> None:
    (sample,) = samples_made_of([taste("tabs", MAY, language)], {"delete": 1}, random.Random(0))
    assert word in sample.question


def test_an_exchange_is_asked_as_at_run_time_and_answered_with_all_its_facts() -> None:
    sample = sample_of_exchange(read(LISTENS), [said_in(LISTENS)], lambda _: True)
    assert not isinstance(sample, str)
    assert (sample.system, sample.question) == fact_extraction.prompt(LISTENS, "Noted.")
    validate(json.loads(sample.answer), fact_extraction.SCHEMA)
    (draft,) = fact_extraction.drafts(json.loads(sample.answer), LISTENS, "Noted.", MAY, "m")
    assert draft.id == said_in(LISTENS).id
    assert (sample.expected, sample.origin) == (("4951",), "facts, rules")


def test_an_exchange_without_facts_is_answered_with_none() -> None:
    sample = sample_of_exchange(read("What is a port?"), [], lambda _: True)
    assert not isinstance(sample, str)
    assert (sample.answer, sample.origin) == ('{"facts":[]}', "facts, none")


def test_a_long_exchange_is_shortened_as_long_as_it_says_its_facts() -> None:
    long = f"{LISTENS} {'And so on. ' * 300}"
    sample = sample_of_exchange(read(long), [said_in(LISTENS)], lambda text: len(text) < 2500)
    assert not isinstance(sample, str)
    assert LISTENS in sample.question
    assert len(sample.question) < 2500
    said_late = f"{'And so on. ' * 300} {LISTENS}"
    left_out = sample_of_exchange(read(said_late), [said_in(LISTENS)], lambda text: len(text) < 2500)
    assert left_out == "a fact does not stand in the exchange's own words"
    assert "max_length" in str(sample_of_exchange(read(long), [said_in(LISTENS)], lambda _: False))


def test_an_exchange_of_which_a_fact_holds_no_more_or_stands_in_other_words_is_left_out() -> None:
    gone = replace(said_in(LISTENS), valid_until=MAY)
    assert "no longer" in str(sample_of_exchange(read(LISTENS), [gone], lambda _: True))
    other_words = replace(said_in(LISTENS), words="It listens on 4951.")
    assert "own words" in str(sample_of_exchange(read(LISTENS), [other_words], lambda _: True))
    too_long = replace(said_in(LISTENS), subject="b" * 80)
    assert "longer" in str(sample_of_exchange(read(LISTENS), [too_long], lambda _: True))
