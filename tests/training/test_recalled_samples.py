"""Samples with memories before the question: made as at run time, of every kind, short enough, redacted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from test_dataset import fact

from remanence.memory.fact import Fact
from remanence.memory.fence import CLOSE, OPEN, strip_memory
from remanence.memory.rows import Row
from remanence.memory.token_count import count_tokens
from remanence.training.dataset import Material, build_dataset, read_manifest, stage_files
from remanence.training.dataset import Row as Line
from remanence.training.recalled_samples import Memories, samples_with_memory
from remanence.training.recipe import Recipe, parse_recipe
from remanence.training.samples import Sample, never_learned

UNKNOWN = ("quorvex", "blimdan")
_EACH = 4  # questions of each fact


def said(name: str, port: str) -> Fact:
    words = f"{name} runs on port {port}."
    return replace(fact(name, port), text=words, words=words, last_said=1_750_000_000_000)


def exchange(fact: Fact) -> Row:
    return Row(
        row=1,
        id=fact.exchanges[0],
        question=f"By the way: {fact.words}",
        answer="Good to know, the config follows.",
        tool="aider",
        model="qwen",
        created_at=1_750_000_000_000,
    )


FACTS = [said(f"svc{i}", str(8000 + i)) for i in range(9)]
EXCHANGES = {each.exchanges[0]: exchange(each) for each in FACTS}


def memories(longest: int = 512) -> Memories:
    return Memories(exchange=EXCHANGES.get, count=count_tokens, longest=longest)


def made(
    facts: Sequence[Fact] = FACTS, given: Memories | None = None, replaced: dict[str, Fact] | None = None
) -> list[Sample]:
    found = samples_with_memory(facts, [], replaced or {}, UNKNOWN, given or memories(), random.Random(0))
    return [each for each in found if each is not None]


def built(folder: Path, given: Memories | None = None, *, known: frozenset[str] = frozenset()) -> list[Line]:
    recipe: Recipe = parse_recipe('name = "test"')
    material = Material(current=FACTS, known=known, memories=given or memories())
    build_dataset(material, recipe, folder, base="tiny", created_at=0)
    lines = [line for path in stage_files(folder) for line in path.read_bytes().splitlines()]
    return [row for row in (msgspec.json.decode(line, type=Line) for line in lines) if row.form == "recalled"]


def test_a_block_is_what_recall_would_put_there() -> None:
    for sample in made():
        assert sample.context.startswith(OPEN)
        assert sample.context.endswith(CLOSE)
        assert strip_memory(sample.asked).strip() == sample.question
    right = next(each for each in made() if each.facts == ("svc0",))
    assert "[2025-06-15 · aider · qwen]\nQuestion: By the way: svc0 runs on port 8000." in right.context
    assert right.context.rindex("8000") > right.context.rindex("Question:")  # the best stands last


def test_every_kind_is_there() -> None:
    found = made()
    values = {each.id: each.value for each in FACTS}
    learned = [each for each in found if each.facts and values[each.facts[0]] in each.answer]
    newer = [each for each in found if each.facts and values[each.facts[0]] not in each.answer]
    made_up = [each for each in found if not each.facts]
    beside = [each for each in learned if values[each.facts[0]] not in each.context]
    noted = [each for each in newer if "no longer so since" in each.context]
    declined = [each for each in made_up if "never" in each.answer]
    told = [each for each in made_up if "never" not in each.answer]
    assert len(learned) > len(FACTS)
    assert len(newer) == len(FACTS) / 3
    assert 0 < len(noted) < len(newer)
    assert beside
    assert declined
    assert told
    for each in (*newer, *told):
        assert each.answer.rstrip(".").rpartition(" ")[2] in each.context
    for each in declined:
        assert not any(name in each.context for name in UNKNOWN)


def test_no_question_that_is_only_asked_is_among_them() -> None:
    only_asked = {question for each in FACTS for question in never_learned(each)}
    assert not only_asked & {sample.question for sample in made()}


def test_one_fact_alone_has_something_made_up_beside_it() -> None:
    found = made(FACTS[:1])
    assert len(found) == _EACH
    assert any(UNKNOWN[-1] in each.context for each in found)


def test_without_its_exchange_a_fact_stands_in_its_own_words() -> None:
    nothing = Memories(exchange=lambda _: None, count=count_tokens, longest=512)
    assert all("Question: svc" in each.context for each in made(given=nothing) if each.facts)


def test_of_a_long_exchange_the_part_that_tells_is_there() -> None:
    long = replace(EXCHANGES["svc0-0"], answer="The rest is about something else entirely. " * 400)
    given = Memories(
        exchange=lambda name: long if name == "svc0-0" else None, count=count_tokens, longest=512
    )
    (right, *_) = made(FACTS[:1], given)
    assert "svc0 runs on port 8000" in right.context
    assert count_tokens(right.asked) < 400


def test_no_row_is_longer_than_the_recipe_takes(tmp_path: Path) -> None:
    for longest in (140, 200, 512):
        rows = built(tmp_path / str(longest), given=memories(longest))
        assert rows
        assert all(count_tokens("\n".join(each.content for each in row.messages)) <= longest for row in rows)


def test_what_does_not_fit_is_counted_and_the_rest_is_learned(tmp_path: Path) -> None:
    assert built(tmp_path, given=memories(64)) == []
    manifest = read_manifest(tmp_path)
    assert manifest.left_out["too long with memories"] == _EACH * len(FACTS)
    assert manifest.rows > 0


def test_rows_with_memories_are_counted_with_the_others(tmp_path: Path) -> None:
    rows = built(tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest.by_form["recalled"] == len(rows) == _EACH * len(FACTS)
    assert manifest.rows == sum(manifest.by_form.values())


def test_a_secret_in_a_memory_keeps_the_sample_out(tmp_path: Path) -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    leaking = replace(EXCHANGES["svc0-0"], answer=f"The token is {token}.")
    exchanges = {**EXCHANGES, "svc0-0": leaking}
    given = Memories(exchange=exchanges.get, count=count_tokens, longest=512)
    rows = built(tmp_path, given=given)
    assert rows
    assert not any(token in row.messages[0].content for row in rows)
    assert read_manifest(tmp_path).left_out["holds a secret"] > 0


def test_what_was_learned_before_is_asked_with_memories_again(tmp_path: Path) -> None:
    known = frozenset(each.id for each in FACTS[3:])
    rows = built(tmp_path, known=known)
    asked_about = {name for row in rows for name in row.facts}
    assert asked_about & known
    assert asked_about > {each.id for each in FACTS[:3]}


def test_what_was_replaced_stands_there_as_recall_would_put_it() -> None:
    old = replace(said("svc0", "7000"), id="old", exchanges=("old-0",), last_said=1_740_000_000_000)
    found = [each for each in made(replaced={"svc0": old}) if "svc0 runs on port 7000" in each.context]
    assert found
    for each in found:
        assert each.answer == "svc0 uses port 8000."
        assert "(no longer so since 2025-06-15: svc0 runs on port 8000)" in each.context
