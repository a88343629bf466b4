"""What a newer fact does to an older one, and how memories say so."""

from __future__ import annotations

from itertools import permutations

import pytest
from jsonschema import ValidationError, validate

from remanence.memory.decisions import (
    SCHEMA,
    by_rules,
    names_as_changed,
    parse,
    question,
    verdict,
    worth_asking,
)
from remanence.memory.fact import Draft, Fact
from remanence.memory.recall import Recalled
from remanence.memory.rows import Row
from remanence.memory.staleness import note, stale, with_facts

MARCH, MAY, JUNE = 1_772_323_200_000, 1_777_593_600_000, 1_780_272_000_000


def fact(
    text: str,
    value: str,
    said: int,
    *,
    topic: str = "port",
    subject: str = "api",
    until: int | None = None,
    by: str | None = None,
    words: str | None = None,
) -> Fact:
    draft = Draft(text=text, subject=subject, topic=topic, value=value, words=words or text)
    return Fact(
        id=draft.id,
        text=text,
        subject=subject,
        topic=topic,
        value=value,
        words=draft.words,
        language="en",
        valid_from=said,
        valid_until=until,
        confidence=0.8,
        origin="rules",
        single=topic in ("port", "version"),
        superseded_by=by,
        created_at=said,
        exchanges=("e",),
        last_said=said,
    )


def port(value: str, said: int) -> Fact:
    return fact(f"The api runs on port {value}.", value, said)


def test_of_a_single_topic_each_gives_way_to_what_was_said_next() -> None:
    first, second, third = port("80", MARCH), port("81", MAY), port("82", JUNE)
    expected = {first.id: second.id, second.id: third.id}
    for new, *others in permutations((first, second, third)):
        given_way = {each.older: each.fact for each in by_rules(new, others)}
        assert given_way.items() <= expected.items()
    assert {each.older: each.fact for each in by_rules(third, [first, second])} == expected


def test_two_values_of_the_same_breath_wait_for_somebody_who_knows() -> None:
    (decision,) = by_rules(port("80", MARCH), [port("81", MARCH)])
    assert decision.pending
    assert decision.action == "ignore"
    assert "same breath" in decision.reason


def test_of_other_topics_only_what_is_named_as_changed_is_superseded() -> None:
    old = fact("We use Jenkins.", "Jenkins", MARCH, topic="uses")
    other = fact("We use Postgres.", "Postgres", MARCH, topic="uses")
    new = fact("We moved from Jenkins to Actions.", "Actions", MAY, topic="uses")
    assert [(each.fact, each.older) for each in by_rules(new, [old, other])] == [(new.id, old.id)]
    assert [(each.fact, each.older) for each in by_rules(old, [new, other])] == [(new.id, old.id)]
    assert not names_as_changed(fact("We moved to Jenkins.", "Jenkins", MAY, topic="uses"), old)
    assert not names_as_changed(fact("We use Jenkins and Actions.", "Actions", MAY, topic="uses"), old)


def test_a_model_is_asked_about_the_few_that_are_alike_and_hold() -> None:
    new = fact("From now on log with structlog.", "log with structlog", MAY, topic="decision")
    old = fact("Always log with print.", "log with print", MARCH, topic="decision")
    ended = fact("Never log with structlog.", "never log", MARCH, topic="decision", until=MAY)
    far = fact("Branches are named after issues.", "named after issues", MARCH, topic="decision")
    many = [fact(f"Log with tool{n}.", f"log with tool{n}", MARCH, topic="decision") for n in range(20)]
    assert worth_asking(new, [old, ended, far]) == [(new, old)]
    assert worth_asking(old, [new]) == [(new, old)]
    assert len(worth_asking(new, many)) == 4


def test_what_is_asked_has_both_dates() -> None:
    asked = question(port("81", MAY), port("80", MARCH))
    assert "OLDER (2026-03-01): The api runs on port 80." in asked
    assert "NEWER (2026-05-01): The api runs on port 81." in asked


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "update", "updated_text": "The api runs on port 81.", "reason": "newer"},
        {"action": "delete", "reason": "gone"},
        {"action": "ignore", "reason": "other things"},
    ],
)
def test_each_action_is_valid_and_read(answer: dict[str, str]) -> None:
    validate(answer, SCHEMA)
    assert parse(answer).action == answer["action"]


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "update", "reason": "no text"},
        {"action": "forget", "reason": ""},
        {"action": "update", "updated_text": "x" * 301, "reason": ""},
        {"action": "delete"},
        [],
    ],
)
def test_anything_else_is_not_valid(answer: object) -> None:
    with pytest.raises(ValidationError):
        validate(answer, SCHEMA)


def test_what_is_no_answer_is_said_to_be_none() -> None:
    answers: list[object] = [[], {"action": "forget"}, {"action": "ignore", "reason": 3}, "update"]
    for said in answers:
        with pytest.raises(ValueError, match="it"):
            parse(said)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("On port 81 runs the api.", True),
        ("The api runs on port 81, as Mallory said.", False),  # in neither of the facts
        ("The api runs on port 81, not on 80.", False),  # the older one may be forgotten
        ("The api runs.", False),  # the newer value is gone
    ],
)
def test_an_updated_text_may_say_only_what_the_newer_fact_says(text: str, kept: bool) -> None:
    judged = parse({"action": "update", "updated_text": text, "reason": "r"})
    made = verdict(port("81", MAY), port("80", MARCH), judged, "a model")
    assert made.action == "update"
    assert made.text == (text if kept else None)


def found(number: int, score: float, answer: str = "a") -> Recalled:
    row = Row(row=number, id=str(number), question="q", answer=answer, tool="t", created_at=number)
    return Recalled(row, score, answer, ("matches 'port'",))


def test_the_memory_that_says_what_holds_stands_above_the_one_that_does_not() -> None:
    new = port("81", MAY)
    old = fact("The api runs on port 80.", "80", MARCH, until=MAY, by=new.id)
    other = found(3, 0.8)
    ranked = with_facts([found(1, 0.9), other, found(2, 0.7)], {1: [old], 2: [new]}, {new.id: new})
    assert [each.row.row for each in ranked] == [2, 1, 3]
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    assert ranked[1].why[-1] == "no longer so since 2026-05-01: The api runs on port 81"


def test_a_memory_that_hardly_fits_is_not_lifted() -> None:
    new = port("81", MAY)
    old = fact("The api runs on port 80.", "80", MARCH, until=MAY, by=new.id)
    ranked = with_facts([found(1, 0.9), found(2, 0.1)], {1: [old], 2: [new]}, {new.id: new})
    assert [each.row.row for each in ranked] == [1, 2]
    assert ranked[0].why[-1].startswith("no longer so")


def test_facts_that_displace_each_other_in_turn_come_to_an_end() -> None:
    one, two = port("80", MARCH), port("81", MAY)
    a = fact("The api runs on port 80.", "80", MARCH, until=MAY, by=two.id)
    b = fact("The api runs on port 81.", "81", MAY, until=JUNE, by=one.id)
    ranked = with_facts([found(1, 0.9), found(2, 0.8)], {1: [a], 2: [b]}, {one.id: one, two.id: two})
    assert {each.row.row for each in ranked} == {1, 2}


def test_what_nothing_took_the_place_of_is_said_by_itself() -> None:
    gone = fact("The api runs on port 80.", "80", MARCH, until=MAY)
    assert stale([gone], {}) == [
        "no longer so since 2026-05-01: The api runs on port 80 (nothing took its place)"
    ]


def test_a_prompt_is_told_what_is_known_where_the_memory_may_be_cut() -> None:
    known = port("80", MARCH)
    assert note(found(1, 0.9, "long " * 300), [known], {}) == (
        "known: The api runs on port 80 (since 2026-03-01)"
    )
    assert note(found(1, 0.9), [known], {}) == ""
