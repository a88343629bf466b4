"""The dataset for operations: balanced, without secrets, nothing asked that was learned, always the same."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import tiny_llama
import tiny_reader
from remanence.memory import decisions, fact_extraction
from remanence.memory.fact import Fact
from remanence.memory.fact_store import Decision, Read
from remanence.training.dataset import DatasetError, Row, read_manifest, read_questions, stage_files
from remanence.training.decision_samples import Decided
from remanence.training.evaluation import Answered, Question, is_valid, scores
from remanence.training.operations import (
    OperationsMaterial,
    build_operations,
    operations_learned,
    operations_questions,
)
from remanence.training.recipe import Recipe, parse_recipe
from remanence.training.row_length import token_counter

MARCH, DAY = 1_772_323_200_000, 86_400_000
RECIPE = parse_recipe('name = "test"\n[train]\nmax_length = 400\n')


def facts(count: int) -> list[Fact]:
    """Of each service an older and a newer port."""
    chance, found = random.Random(0), list[Fact]()
    for i in range(count):
        for turn in range(2):
            value = tiny_reader.PORTS[(i + turn * 5) % len(tiny_reader.PORTS)]
            draft = tiny_reader.port(chance, f"svc{i:02}", value).fact
            assert draft is not None
            found.append(tiny_reader.as_fact(draft, MARCH + (2 * i + turn) * DAY, f"e{i}-{turn}"))
    return found


def log(found: Sequence[Fact]) -> list[Decided]:
    pairs = zip(found[::2], found[1::2], strict=True)
    return [
        Decided(
            decision=Decision(
                id=i,
                fact=newer.id,
                older=older.id,
                action="update",
                reason="said later",
                origin="rules",
                state="done",
                decided_at=MARCH,
            ),
            newer=newer,
            older=older,
        )
        for i, (older, newer) in enumerate(pairs)
    ]


def exchanges(found: Sequence[Fact]) -> list[tuple[Read, list[Fact]]]:
    return [
        (
            Read(
                row=i,
                id=fact.exchanges[0],
                question=fact.words,
                answer="Noted.",
                time=MARCH,
                reader="rules-1",
            ),
            [fact],
        )
        for i, fact in enumerate(found)
    ]


def material(count: int = 16) -> OperationsMaterial:
    found = facts(count)
    return OperationsMaterial(log=log(found), read=exchanges(found), facts=found)


def length(text: str) -> int:
    return len(text) // 4


def build(given: OperationsMaterial, out: Path, recipe: Recipe = RECIPE) -> None:
    build_operations(given, recipe, out, base="tiny", created_at=0, count=length)


def rows(out: Path) -> list[Row]:
    (stage,) = stage_files(out)
    return [msgspec.json.decode(line, type=Row) for line in stage.read_bytes().splitlines()]


def test_the_manifest_says_what_is_from_the_log_and_what_is_made_and_both_are_balanced(
    tmp_path: Path,
) -> None:
    build(material(), tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest.purpose == "operations"
    learned = {name: count for name, count in manifest.by_origin.items() if not name.startswith("asked")}
    by_action = {
        action: sum(count for name, count in learned.items() if name.startswith(action))
        for action in ("update", "delete", "ignore")
    }
    assert learned["update, rules"] > 0
    assert learned["delete, made"] == by_action["delete"]
    assert max(by_action.values()) <= 2 * min(by_action.values())
    assert sum(learned.values()) == manifest.rows == len(rows(tmp_path))
    assert manifest.by_form["extraction"] == learned["facts, rules"]
    assert sum(manifest.questions.values()) == len(read_questions(tmp_path))


def test_every_row_is_told_and_asked_and_answers_with_json_that_is_valid(tmp_path: Path) -> None:
    build(material(), tmp_path)
    for row in rows(tmp_path):
        assert [message.role for message in row.messages] == ["system", "user", "assistant"]
        assert is_valid(row.messages[2].content, "decision" if row.form == "decision" else "extraction")


def test_no_fact_that_is_asked_about_was_learned(tmp_path: Path) -> None:
    given = material()
    build(given, tmp_path)
    manifest = read_manifest(tmp_path)
    learned = " ".join(message.content for row in rows(tmp_path) for message in row.messages)
    asked = read_questions(tmp_path)
    assert {each.kind for each in asked} == {"decision", "extraction"}
    services = {fact.id: fact.subject for fact in given.facts}
    for question in asked:
        assert question.fact not in manifest.facts
        assert question.fact is not None
        assert services[question.fact] not in learned
    ids = {*manifest.facts, *manifest.exchanges, *manifest.developed}
    again = operations_questions(given, ids, RECIPE, length)
    assert {each.question for each in again} == {each.question for each in asked}


def test_what_picks_the_checkpoint_is_neither_learned_nor_evaluated(tmp_path: Path) -> None:
    build(material(), tmp_path)
    manifest = read_manifest(tmp_path)
    lines = (tmp_path / "held_out.jsonl").read_bytes().splitlines()
    developed = [msgspec.json.decode(line, type=Row) for line in lines]
    assert developed
    assert {fact for row in developed for fact in row.facts} <= set(manifest.developed)
    assert set(manifest.developed).isdisjoint([*manifest.facts, *manifest.exchanges])
    assert {each.fact for each in read_questions(tmp_path)}.isdisjoint(manifest.developed)


def test_what_was_learned_is_asked_again_as_it_was_told_and_nothing_else(tmp_path: Path) -> None:
    given = material()
    build(given, tmp_path)
    manifest = read_manifest(tmp_path)
    asked = operations_learned(given, {*manifest.facts, *manifest.exchanges}, RECIPE, length)
    told = {each.kind: each.system for each in asked}
    assert told == {"decision": decisions.SYSTEM, "extraction": fact_extraction.SYSTEM}
    assert {each.expected for each in asked if each.kind == "decision"} == {"update", "delete", "ignore"}
    assert {each.fact for each in asked} <= set(manifest.facts)
    learned = {row.messages[1].content for row in rows(tmp_path)}
    drawn = [each.question for each in asked if each.kind == "extraction"]
    assert drawn
    assert learned.issuperset(drawn)
    assert not operations_learned(given, set(), RECIPE, length)


def test_of_two_exchanges_that_say_something_one_comes_that_says_nothing_rather_as_a_model_read_it(
    tmp_path: Path,
) -> None:
    given = material()
    silent = [
        Read(
            row=100 + i,
            id=f"silent-{reader}-{i}",
            question=f"What is {text} number {i} for?",
            answer=f"For {text}.",
            time=MARCH,
            reader=reader,
        )
        for reader, text in (("rules-1", "paint"), ("rules-1+m", "string"))
        for i in range(40)
    ]
    more = [*[(each, list[Fact]()) for each in silent], *given.read]
    build(OperationsMaterial(log=given.log, read=more, facts=given.facts), tmp_path)
    by_origin = read_manifest(tmp_path).by_origin
    assert by_origin["facts, none"] == by_origin["facts, rules"] // 2
    learned = " ".join(row.messages[1].content for row in rows(tmp_path))
    assert "string" in learned
    assert "paint" not in learned


def test_the_same_material_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        build(material(), tmp_path / name)
    assert read_manifest(tmp_path / "one") == read_manifest(tmp_path / "other")


def test_a_secret_is_left_out_again_at_this_door(tmp_path: Path) -> None:
    given = material()
    key = "AKIA" + "IOSFODNN7EXAMPLX"
    spoilt = [replace(fact, text=f"{fact.text} The key is {key}.") for fact in given.facts[:4]]
    by_id = {fact.id: fact for fact in spoilt}
    changed = OperationsMaterial(
        log=[
            replace(
                each, newer=by_id.get(each.newer.id, each.newer), older=by_id.get(each.older.id, each.older)
            )
            for each in given.log
        ],
        read=given.read,
        facts=[by_id.get(fact.id, fact) for fact in given.facts],
    )
    build(changed, tmp_path)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.jsonl"))
    assert key.encode() not in written
    assert read_manifest(tmp_path).left_out["holds a secret"] > 0


def test_what_says_the_same_but_for_the_day_is_learned_once(tmp_path: Path) -> None:
    given = material()
    twice = OperationsMaterial(log=[*given.log, *given.log], read=given.read, facts=given.facts)
    build(twice, tmp_path)
    assert read_manifest(tmp_path).left_out["said already"] > 0
    assert len({row.messages[1].content for row in rows(tmp_path)}) == len(rows(tmp_path))


def test_what_is_longer_than_a_row_may_be_is_left_out(tmp_path: Path) -> None:
    short = parse_recipe('name = "test"\n[train]\nmax_length = 288\n')
    with pytest.raises(DatasetError):
        build(material(), tmp_path / "none", parse_recipe('name = "test"\n[train]\nmax_length = 64\n'))
    build(material(), tmp_path / "some", short)
    assert all(
        length("\n".join(message.content for message in row.messages)) <= 288 - 32
        for row in rows(tmp_path / "some")
    )


def test_an_empty_log_and_too_few_facts_are_refused_in_words(tmp_path: Path) -> None:
    nothing = OperationsMaterial(log=[], read=exchanges(facts(8)), facts=facts(8))
    with pytest.raises(DatasetError, match="nothing was decided about facts yet"):
        build(nothing, tmp_path)
    with pytest.raises(DatasetError, match="too few facts"):
        build(material(1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_tokens_are_counted_by_the_models_own_tokenizer_and_guessed_without_one(tmp_path: Path) -> None:
    assert token_counter(tiny_llama.folder())("tick tick tick") < 9
    assert token_counter(tmp_path)("tick tick tick") == 4


def drawn(values: list[str], answer: str) -> Answered:
    return Answered(Question(question="?", expected="", kind="extraction", values=values), answer)


def facts_json(*values: str) -> str:
    rest = {"text": "t", "subject": "s", "topic": "port", "words": "w", "language": "en"}
    return json.dumps({"facts": [{**rest, "value": value} for value in values]})


def test_facts_are_counted_by_their_exact_values() -> None:
    said = [
        drawn(["4000", "4317"], facts_json("4000", "9999")),
        drawn(["Oslo"], facts_json("oslo")),
        drawn(["x"], "no JSON"),
        drawn([], facts_json()),
    ]
    score = scores(said)["extraction"]
    assert (score.precision, score.recall, score.valid) == (0.6667, 0.5, 0.75)
    assert score.exact == 0.5
    assert scores([drawn([], facts_json())])["extraction"].precision == 1.0
