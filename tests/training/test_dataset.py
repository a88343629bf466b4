"""What is learned and what is only asked: never the same words, nothing secret, the same each time."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from remanence.memory.fact import Fact
from remanence.training.dataset import (
    DatasetError,
    Material,
    Row,
    add_samples,
    build_dataset,
    plan_stages,
    read_general,
    read_manifest,
    read_questions,
    stage_files,
)
from remanence.training.evaluation import words
from remanence.training.recipe import Recipe, parse_recipe
from remanence.training.samples import Sample, development_of, never_learned, questions_of, samples_of


def fact(
    name: str,
    value: str,
    *,
    topic: str = "port",
    subject: str | None = None,
    exchanges: int = 1,
    language: str = "en",
    until: int | None = None,
) -> Fact:
    return Fact(
        id=name,
        text=f"{name} {value}",
        subject=subject or name,
        topic=topic,
        value=value,
        words="",
        language=language,
        valid_from=1_750_000_000_000,
        valid_until=until,
        confidence=0.8,
        origin="rules",
        single=True,
        superseded_by=None,
        created_at=0,
        exchanges=tuple(f"{name}-{i}" for i in range(exchanges)),
    )


def recipe(**curriculum: int) -> Recipe:
    lines = "\n".join(f"{name} = {value}" for name, value in curriculum.items())
    return parse_recipe(f'name = "test"\n[train]\nreplay = 1.0\n[curriculum]\n{lines}\n')


def rows(folder: Path) -> list[Row]:
    lines = [line for path in stage_files(folder) for line in path.read_bytes().splitlines()]
    return [msgspec.json.decode(line, type=Row) for line in lines]


def build(material: Material, out: Path, given: Recipe | None = None) -> None:
    build_dataset(material, given or recipe(), out, base="tiny", created_at=0)


def plain(question: str) -> str:
    return " ".join(words(question))


def asked_while_training(folder: Path) -> set[str]:
    lines = (folder / "held_out.jsonl").read_bytes().splitlines()
    return {msgspec.json.decode(line, type=Row).messages[0].content for line in lines}


FACTS = [fact(f"svc{i}", str(8000 + i), exchanges=1 + i % 3) for i in range(7)]


@pytest.mark.parametrize("language", ["en", "fr", "es", "de"])
@pytest.mark.parametrize(
    "topic", ["port", "version", "path", "name", "uses", "decision", "preference", "region"]
)
def test_a_question_is_learned_developed_with_or_evaluated_in_any_language(topic: str, language: str) -> None:
    one = fact("alpha", "42", topic=topic, language=language)
    learned = {plain(sample.question) for sample in samples_of(one)}
    developed = {plain(sample.question) for sample in development_of(one)}
    evaluated = {plain(question.question) for question in questions_of(one)}
    assert learned
    assert developed
    assert learned.isdisjoint(developed | evaluated)
    assert developed.isdisjoint(evaluated)
    assert {*map(plain, never_learned(one))} == developed | evaluated
    assert len([each for each in questions_of(one) if each.kind == "paraphrase"]) >= 2
    assert not any("{" in each for each in learned | developed | evaluated)
    assert all("42" in sample.answer for sample in development_of(one))


@pytest.mark.parametrize("topic", ["port", "version", "path", "uses", "decision", "preference", "region"])
def test_every_answer_but_the_reversed_holds_the_value(topic: str) -> None:
    for sample in samples_of(fact("alpha", "42", topic=topic)):
        assert ("42" in sample.answer) == (sample.form != "reversed")


def test_facts_enter_the_most_confirmed_first_a_few_at_a_time() -> None:
    stages = plan_stages(Material(current=FACTS), recipe(facts_per_stage=3, facts_per_run=5))
    assert [len(stage) for stage in stages] == [3, 2]
    confirmed = [each.confirmations for stage in stages for each in stage]
    assert confirmed == sorted(confirmed, reverse=True)
    assert confirmed[0] == 3


def test_a_question_with_two_answers_is_learned_for_one_fact_alone() -> None:
    two = [fact("a", "ruff", topic="uses", exchanges=2), fact("b", "uv", topic="uses")]
    assert [[each.id for each in stage] for stage in plan_stages(Material(current=two), recipe())] == [["a"]]


def test_what_was_learned_before_is_repeated_and_not_learned_again(tmp_path: Path) -> None:
    known = frozenset(each.id for each in FACTS[:4])
    build(Material(current=FACTS, known=known), tmp_path)
    manifest = read_manifest(tmp_path)
    assert set(manifest.facts) == {each.id for each in FACTS[4:]}
    replayed = {name for row in rows(tmp_path) if row.form == "replay" for name in row.facts}
    assert replayed <= known
    assert replayed


def test_general_instructions_keep_the_rest_and_are_split(tmp_path: Path) -> None:
    build(Material(current=FACTS, general=read_general()), tmp_path)
    learned = {row.messages[0].content for row in rows(tmp_path) if row.form == "general"}
    asked = {each.question for each in read_questions(tmp_path) if each.kind == "general"}
    assert learned
    assert asked
    assert not learned & asked


def test_no_row_holds_a_question_that_is_only_asked_nor_do_those_of_a_later_run(tmp_path: Path) -> None:
    old = fact("svc0-old", "7000", subject="svc0", until=1)
    whole = Material(current=FACTS, superseded=[(old, FACTS[0])], general=read_general())
    build(replace(whole, current=FACTS[:4]), tmp_path / "first")
    build(replace(whole, known=frozenset(each.id for each in FACTS[:4])), tmp_path / "later")
    for folder in (tmp_path / "first", tmp_path / "later"):
        evaluated = {each.question for each in read_questions(folder)}
        developed = asked_while_training(folder)
        assert evaluated
        assert developed
        assert not {*map(plain, evaluated)} & {*map(plain, developed)}
        for row in (*rows(tmp_path / "first"), *rows(tmp_path / "later")):
            assert not any(each in row.messages[0].content for each in evaluated | developed)


def test_what_is_asked_about_one_fact_alone_is_learned_for_no_other(tmp_path: Path) -> None:
    kept = next(each.question for each in questions_of(fact("alpha", "42")) if "umber" in each.question)
    alike = fact("alpha-number", "42", subject="alpha", topic="port number")
    assert plain(kept) in {plain(sample.question) for sample in samples_of(alike)}
    build(Material(current=[fact("alpha", "42"), alike]), tmp_path / "both")
    assert plain(kept) not in {plain(row.messages[0].content) for row in rows(tmp_path / "both")}
    assert read_manifest(tmp_path / "both").left_out["only asked"] == 1
    before = read_manifest(tmp_path / "both").rows
    told = add_samples(tmp_path / "both", [Sample(kept, "alpha uses port 42.", "paraphrase", ("alpha",))])
    assert told.rows == before
    assert told.left_out["only asked"] == 2


def test_a_single_fact_is_learned_with_many_that_were_never_said(tmp_path: Path) -> None:
    build(Material(current=FACTS[:1]), tmp_path)
    declined = {row.messages[0].content for row in rows(tmp_path) if row.form == "negative"}
    assert len(declined) >= 40


def test_what_was_never_said_is_declined_and_asked_of_other_names(tmp_path: Path) -> None:
    build(Material(current=FACTS), tmp_path)
    declined = [row for row in rows(tmp_path) if row.form == "negative"]
    assert declined
    assert not any(each.subject in row.messages[0].content for each in FACTS for row in declined)
    assert {each.expected for each in read_questions(tmp_path) if each.kind == "never"} == {""}


def test_what_gave_way_is_learned_as_no_longer_so(tmp_path: Path) -> None:
    old = fact("svc0-old", "7000", subject="svc0", until=1)
    build(Material(current=FACTS, superseded=[(old, FACTS[0])]), tmp_path)
    (stale,) = [row for row in rows(tmp_path) if row.form == "stale"]
    assert "7000" in stale.messages[0].content
    assert "8000" in stale.messages[1].content
    assert {each.stale for each in read_questions(tmp_path) if each.kind == "superseded"} == {"7000"}


def test_a_secret_that_slipped_through_stays_out(tmp_path: Path) -> None:
    leaked = fact("deploy", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", topic="token")
    build(Material(current=[*FACTS, leaked]), tmp_path)
    assert read_manifest(tmp_path).left_out["holds a secret"] > 0
    assert not any("ghp_" in path.read_text() for path in stage_files(tmp_path))


def test_the_same_material_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(Material(current=FACTS, general=read_general()), tmp_path / name)
    assert read_manifest(tmp_path / "one") == read_manifest(tmp_path / "two")


def test_only_the_user_can_read_it_and_the_manifest_names_its_exchanges(tmp_path: Path) -> None:
    build(Material(current=FACTS), tmp_path)
    for path in [*stage_files(tmp_path), tmp_path / "manifest.json"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(read_manifest(tmp_path).exchanges) == {each for one in FACTS for each in one.exchanges}


def test_nothing_new_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing new"):
        build(Material(current=FACTS, known=frozenset(each.id for each in FACTS)), tmp_path)


def test_what_is_added_is_learned_with_its_fact_and_counted(tmp_path: Path) -> None:
    build(Material(current=FACTS), tmp_path, recipe(facts_per_stage=3))
    before, last = read_manifest(tmp_path), FACTS[0]
    added = [
        Sample("Where does it listen, this svc0?", "svc0 listens on 8000.", "paraphrase", (last.id,)),
        Sample("Whose key is it?", "api_key = sk-proj-" + "a1B2c3D4" * 6, "paraphrase", (last.id,)),
    ]
    add_samples(tmp_path, added)
    after = add_samples(tmp_path, added[:1])  # an engine that was killed does it again
    assert after == read_manifest(tmp_path)
    assert after.paraphrased
    assert not before.paraphrased
    assert after.rows == before.rows + 1 == len(rows(tmp_path))
    assert after.by_form["paraphrase"] == before.by_form["paraphrase"] + 1
    assert after.left_out["holds a secret"] == 1
    stages = [
        {msgspec.json.decode(line, type=Row).messages[0].content for line in path.read_bytes().splitlines()}
        for path in stage_files(tmp_path)
    ]
    (stage,) = [number for number, asked in enumerate(stages) if added[0].question in asked]
    assert samples_of(last)[0].question in stages[stage]
    for path in stage_files(tmp_path):
        name = path.relative_to(tmp_path).as_posix()
        assert after.sha256[name] == hashlib.sha256(path.read_bytes()).hexdigest()
