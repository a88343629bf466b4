"""The dataset of one training run: what is learned stage by stage, what is only asked, and where it is from.

JSON Lines of chat messages, which the trainer renders with the model's own template. A folder:

    stages/000.jsonl …   what is learned, one stage each: new facts with what is known already
    held_out.jsonl       the same facts in words that are never learned, for the loss while training
    evaluation.jsonl     the questions of the evaluation
    manifest.json        the facts and exchanges it is from, counts, hashes
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec
from msgspec import Struct

from remanence.memory.fact import Fact
from remanence.memory.redaction import redact
from remanence.training import samples
from remanence.training.evaluation import Question
from remanence.training.recipe import Recipe
from remanence.training.samples import Form, Sample

_NEGATIVES = 4  # positive samples for each that asks what was never said (PLUM: one in three to four)
_EVALUATED = 4  # of the general instructions every fourth is only asked
# made up, so that no memory speaks of them; those of the second row are only asked
_UNKNOWN = ("quorvex", "blimdan", "tessavo", "grunwick", "ophelor", "zandrick", "merivool", "kastrepp")
_UNKNOWN_ASKED = ("yolvane", "drimpost", "fendigo", "wuxelle", "prasko", "lirundel")


class General(Struct, frozen=True):
    """A general instruction with its answer, and the words that a right answer holds."""

    question: str
    answer: str
    expected: str


class Message(Struct, frozen=True):
    role: str
    content: str


class Row(Struct, frozen=True):
    """One line of a stage."""

    messages: list[Message]
    form: Form
    facts: list[str]


class Manifest(Struct, frozen=True, kw_only=True):
    """`facts` are learned in this run, `known` those that were learned before and are repeated; `sha256`
    is of each file, by its name; `left_out` says how many samples were not taken, and why."""

    created_at: int
    base: str
    recipe: str
    facts: list[str]
    known: list[str]
    exchanges: list[str]
    stages: int
    rows: int
    by_form: dict[str, int]
    questions: dict[str, int]
    sha256: dict[str, str]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a dataset is made from: facts that hold, the pairs of which the first gave way to the second, and
    the ids of facts that the adapter learned in earlier runs. `context` is what recall gives for a question.
    """

    current: Sequence[Fact]
    superseded: Sequence[tuple[Fact, Fact]] = ()
    known: frozenset[str] = frozenset()
    general: Sequence[General] = ()


class DatasetError(Exception):
    """No dataset can be made; the message says why, in words."""


def read_general() -> list[General]:
    """The general instructions that come with Remanence."""
    lines = (resources.files("remanence.training") / "general_instructions.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=General) for line in lines]


def plan_stages(material: Material, recipe: Recipe) -> list[list[Fact]]:
    """The new facts in the order they enter, the most confirmed first, a stage at a time.

    A fact whose question has several answers (two tools in use) is learned where it can be told apart.
    """
    order = sorted(
        (fact for fact in material.current if fact.id not in material.known),
        key=lambda fact: (-fact.confirmations, -fact.confidence, fact.valid_from or 0, fact.id),
    )
    apart: list[Fact] = []
    taken: set[str] = set()
    for fact in order:
        question = samples.samples_of(fact)[0].question
        if question not in taken:
            taken.add(question)
            apart.append(fact)
    size = recipe.curriculum.facts_per_stage
    chosen = apart[: recipe.curriculum.facts_per_run]
    return [chosen[i : i + size] for i in range(0, len(chosen), size)]


def build_dataset(material: Material, recipe: Recipe, out: Path, *, base: str, created_at: int) -> Manifest:
    """Write the dataset of one run into `out`, which is made; the same material gives the same bytes.

    Raises DatasetError where there is nothing new to learn, OSError where it cannot be written.
    """
    stages = plan_stages(material, recipe)
    if not stages:
        raise DatasetError(
            "There is nothing new to learn: every fact that holds was learned, or there is none."
        )
    chance = random.Random(recipe.train.seed)
    left_out: Counter[str] = Counter()
    by_id = {fact.id: fact for fact in material.current}
    known = [by_id[fact] for fact in sorted(material.known) if fact in by_id]
    learned = {fact.id for stage in stages for fact in stage} | material.known
    superseded = [(old, new) for old, new in material.superseded if new.id in learned]
    general = [each for i, each in enumerate(material.general) if i % _EVALUATED]
    rows: list[list[Row]] = []
    before = list(known)
    for stage in stages:
        new = _new_samples(stage, superseded, chance)
        repeated = _repeated(len(new), before, general, recipe, chance)
        both = _clean([*new, *repeated], left_out)
        chance.shuffle(both)
        rows.append([_row(sample) for sample in both])
        before += stage
    facts = [fact for stage in stages for fact in stage]
    questions = _questions(facts, superseded, material.general)
    held_out = [
        _row(Sample(question.question, samples.samples_of(fact)[0].answer, "paraphrase", (fact.id,)))
        for fact in facts
        for question in samples.questions_of(fact)
        if question.kind == "paraphrase"
    ]
    files = {
        **{f"stages/{i:03}.jsonl": each for i, each in enumerate(rows)},
        "held_out.jsonl": held_out,
        "evaluation.jsonl": questions,
    }
    (out / "stages").mkdir(parents=True, exist_ok=True, mode=0o700)
    hashes = {name: _write(out / name, each) for name, each in files.items()}
    manifest = Manifest(
        created_at=created_at,
        base=base,
        recipe=recipe.name,
        facts=[fact.id for fact in facts],
        known=[fact.id for fact in known],
        exchanges=sorted({each for fact in (*facts, *known) for each in fact.exchanges}),
        stages=len(rows),
        rows=sum(map(len, rows)),
        by_form=dict(sorted(Counter(row.form for stage in rows for row in stage).items())),
        questions=dict(sorted(Counter(question.kind for question in questions).items())),
        sha256=hashes,
        left_out=dict(sorted(left_out.items())),
    )
    _write(out / "manifest.json", [manifest])
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Raises OSError, or msgspec.DecodeError where it is none."""
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


def read_questions(folder: Path) -> list[Question]:
    """The questions of the evaluation. Raises OSError, or msgspec.DecodeError."""
    lines = (folder / "evaluation.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Question) for line in lines]


def stage_files(folder: Path) -> list[Path]:
    """What is learned, in order."""
    return sorted((folder / "stages").glob("*.jsonl"))


def _new_samples(
    stage: Sequence[Fact], superseded: Iterable[tuple[Fact, Fact]], chance: random.Random
) -> list[Sample]:
    here = {fact.id for fact in stage}
    found = [sample for fact in stage for sample in samples.samples_of(fact)]
    for old, new in superseded:
        if new.id in here:
            found += samples.samples_of_superseded(old, new)
    for first, second in zip(stage[::2], stage[1::2], strict=False):
        found += samples.samples_of_two(first, second)
    like = [fact for fact in stage if samples.has_subject(fact)]
    for turn in range(len(found) // _NEGATIVES if like else 0):
        found += samples.samples_of_unknown(chance.choice(like), chance.choice(_UNKNOWN), turn)
    return found


def _repeated(
    new: int, known: Sequence[Fact], general: Sequence[General], recipe: Recipe, chance: random.Random
) -> list[Sample]:
    """What keeps the old from being forgotten: half earlier facts, half general, where there are both."""
    wanted = round(new * recipe.train.replay)
    from_general = wanted if not known else wanted // 2 if general else 0
    found: list[Sample] = []
    if general:
        drawn = chance.choices(general, k=from_general)
        found += [Sample(each.question, each.answer, "general") for each in drawn]
    if known:
        for fact in chance.choices(known, k=wanted - from_general):
            sample = chance.choice(samples.samples_of(fact))
            found.append(Sample(sample.question, sample.answer, "replay", sample.facts))
    return found


def _clean(found: Iterable[Sample], left_out: Counter[str]) -> list[Sample]:
    """Without repetitions, and without what still holds a secret."""
    kept: dict[tuple[str, str], Sample] = {}
    for sample in found:
        key = (_plain(sample.question), _plain(sample.answer))
        if key in kept:
            left_out["said already"] += 1
        elif redact(f"{sample.question}\n{sample.answer}").kinds:
            left_out["holds a secret"] += 1
        else:
            kept[key] = sample
    return list(kept.values())


def _questions(
    facts: Sequence[Fact], superseded: Iterable[tuple[Fact, Fact]], general: Sequence[General]
) -> list[Question]:
    found = [question for fact in facts for question in samples.questions_of(fact)]
    for old, new in superseded:
        found += samples.questions_of_superseded(old, new)
    like = next((fact for fact in facts if samples.has_subject(fact)), None)
    if like is not None:
        for subject in _UNKNOWN_ASKED:
            found += samples.questions_of_unknown(like, subject)
    for each in general[::_EVALUATED]:
        found.append(Question(question=each.question, expected=each.expected, kind="general"))
    return found


def _row(sample: Sample) -> Row:
    messages = [Message("user", sample.question), Message("assistant", sample.answer)]
    return Row(messages, sample.form, list(sample.facts))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .?!")


def _write(path: Path, lines: Sequence[Struct]) -> str:
    """Gives the SHA-256 of what was written, in hexadecimal."""
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()
