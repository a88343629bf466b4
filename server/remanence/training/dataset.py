"""The dataset of one training run: what is learned stage by stage, what is only asked, and where it is from.

JSON Lines of chat messages, which the trainer renders with the model's own template. A folder:

    stages/000.jsonl …   what is learned, one stage each: new facts with what is known already
    held_out.jsonl       development: the new facts in other words, for the loss while training, which picks
                         the checkpoint and says when to stop
    evaluation.jsonl     the questions of the evaluation, in words that are in neither of the others
    manifest.json        the facts and exchanges it is from, counts, hashes
    statistics.svg       the counts as bars, where `draw_statistics` is asked for them

What is learned, developed with and evaluated is split once, before there are samples: by fact and form. The
forms in which a fact is asked (`question_forms.toml`) keep their purpose in whatever is made of it, bare,
dated, two at once, behind memories or in a model's words, and in every later run that repeats it. Subjects
of which nothing was said, and general instructions, are each learned from or evaluated with. A question that
is kept for one fact is learned for no other. Facts themselves are not kept apart: a model can only be asked
what it was told; where it is taught to judge, they are (`operations`).
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
from remanence.training.bars import bars
from remanence.training.evaluation import Question
from remanence.training.made_up_names import made_up_names
from remanence.training.recalled_samples import Memories, samples_with_memory
from remanence.training.recipe import Purpose, Recipe
from remanence.training.samples import Form, Sample

_NEGATIVES = 4  # positive samples for each that asks what was never said (PLUM: one in three to four)
_LEAST_NEGATIVES = 40  # with ten, for five facts, a tiny model answered half of what was never said
_NEGATIVES_AGAIN = 6  # and of what is repeated, where others are declined already
_EVALUATED = 4  # of the general instructions every fourth is only asked
_REPEATED_FORMS: tuple[Form, ...] = ("general", "replay", "recalled")
_WITH_MEMORIES = 3  # of what is repeated every third is asked with memories, as of what is new
_RECALLED_AGAIN = 40  # facts that are
_REPEATED = 2  # times at most that a stage repeats a general instruction
# names that no memory speaks of: made up anew for what is learned, these are only asked
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
    """`facts` are learned in this run, `known` those that were learned before and are repeated, `developed`
    what operations are tried on while they are learned, by id; `sha256` is of each file, by its name;
    `left_out` says how many samples were not taken, and why. `by_origin` counts what operations are learned
    from: the log, the facts themselves, or pairs made of them. `paraphrased`: what a language model wrote is
    among the rows."""

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
    paraphrased: bool = False
    purpose: Purpose = "facts"
    by_origin: dict[str, int] = {}
    developed: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a dataset is made from: facts that hold, the pairs of which the first gave way to the second, and
    the ids of facts that the adapter learned in earlier runs. `memories` are what the blocks are made of in
    which some questions come; without them none does.
    """

    current: Sequence[Fact]
    superseded: Sequence[tuple[Fact, Fact]] = ()
    known: frozenset[str] = frozenset()
    general: Sequence[General] = ()
    memories: Memories | None = None


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
    unknown = made_up_names(material.current, _UNKNOWN_ASKED, chance)
    only_asked = _only_asked(material)
    rows: list[list[Row]] = []
    before = list(known)
    for stage in stages:
        new = _new_samples(stage, superseded, unknown, chance)
        new += _recalled(material, stage, before, superseded, unknown, chance, left_out)
        again = chance.sample(before, min(len(before), _RECALLED_AGAIN))
        recalled = _recalled(material, again, stage, superseded, unknown, chance, left_out)
        repeated = _repeated(len(new), before, recalled, general, unknown, recipe, chance)
        both = _clean([*new, *repeated], only_asked, left_out)
        chance.shuffle(both)
        rows.append([_row(sample) for sample in both])
        before += stage
    facts = [fact for stage in stages for fact in stage]
    replaced = [old for old, _ in superseded]
    questions = questions_about(facts, superseded, material.general)
    held_out = [_row(sample) for fact in facts for sample in samples.development_of(fact)]
    files = {
        **{f"stages/{i:03}.jsonl": each for i, each in enumerate(rows)},
        "held_out.jsonl": held_out,
        "evaluation.jsonl": questions,
    }
    (out / "stages").mkdir(parents=True, exist_ok=True, mode=0o700)
    hashes = {name: write_lines(out / name, each) for name, each in files.items()}
    manifest = Manifest(
        created_at=created_at,
        base=base,
        recipe=recipe.name,
        facts=[fact.id for fact in facts],
        known=[fact.id for fact in known],
        exchanges=sorted({each for fact in (*facts, *known, *replaced) for each in fact.exchanges}),
        stages=len(rows),
        rows=sum(map(len, rows)),
        by_form=dict(sorted(Counter(row.form for stage in rows for row in stage).items())),
        questions=dict(sorted(Counter(question.kind for question in questions).items())),
        sha256=hashes,
        left_out=dict(sorted(left_out.items())),
    )
    write_lines(out / "manifest.json", [manifest])
    return manifest


def add_samples(folder: Path, found: Iterable[Sample]) -> Manifest:
    """Add more samples of facts to the stages that learn them, and say so in the manifest. Ended in between,
    it can be done again. Raises OSError."""
    manifest = read_manifest(folder)
    left_out, by_form = Counter(manifest.left_out), Counter(manifest.by_form)
    kept = _clean(found, _asked_in(folder), left_out)
    hashes = dict(manifest.sha256)
    for path in stage_files(folder):
        rows = [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines()]
        here = {fact for row in rows if row.form == "direct" for fact in row.facts}
        known = {row.messages[0].content for row in rows}
        mine = [sample for sample in kept if sample.facts[0] in here and sample.asked not in known]
        by_form.update(sample.form for sample in mine)
        rows += map(_row, mine)
        random.Random(len(rows)).shuffle(rows)
        hashes[path.relative_to(folder).as_posix()] = write_lines(path, rows)
    told = msgspec.structs.replace(
        manifest,
        rows=sum(by_form.values()),
        by_form=dict(sorted(by_form.items())),
        left_out=dict(sorted(left_out.items())),
        sha256=hashes,
        paraphrased=True,
    )
    write_lines(folder / "manifest.json", [told])
    return told


def draw_statistics(manifest: Manifest, out: Path) -> None:
    """What a dataset is made of, as `statistics.svg` in the folder `out`: each form's share of what is
    learned, and of what is only asked. Raises OSError."""
    asked = sum(manifest.questions.values())
    groups = {
        form: [
            manifest.by_form[form] / manifest.rows if form in manifest.by_form else None,
            manifest.questions[form] / asked if form in manifest.questions else None,
        ]
        for form in sorted({*manifest.by_form, *manifest.questions})
    }
    caption = f"{len(manifest.facts)} new facts: {manifest.rows} rows learned, {asked} questions only asked"
    _write(out / "statistics.svg", bars(groups, ["learned", "only asked"], caption).encode())


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
    stage: Sequence[Fact],
    superseded: Iterable[tuple[Fact, Fact]],
    unknown: Sequence[str],
    chance: random.Random,
) -> list[Sample]:
    here = {fact.id for fact in stage}
    found = [sample for fact in stage for sample in samples.samples_of(fact)]
    for old, new in superseded:
        if new.id in here:
            found += samples.samples_of_superseded(old, new)
    for first, second in zip(stage[::2], stage[1::2], strict=False):
        found += samples.samples_of_two(first, second)
    like = [fact for fact in stage if samples.has_subject(fact)]
    for turn in range(max(len(found) // _NEGATIVES, _LEAST_NEGATIVES) if like else 0):
        found += samples.samples_of_unknown(chance.choice(like), unknown[turn % len(unknown)], turn)
    return found


def _recalled(
    material: Material,
    asked_about: Sequence[Fact],
    others: Sequence[Fact],
    superseded: Iterable[tuple[Fact, Fact]],
    unknown: Sequence[str],
    chance: random.Random,
    left_out: Counter[str],
) -> list[Sample]:
    """Questions behind memories, where there are any to put before them."""
    if material.memories is None:
        return []
    replaced = {new.id: old for old, new in superseded}
    found = list(samples_with_memory(asked_about, others, replaced, unknown, material.memories, chance))
    if None in found:
        left_out["too long with memories"] += found.count(None)
    return [sample for sample in found if sample is not None]


def _repeated(
    new: int,
    known: Sequence[Fact],
    recalled: Sequence[Sample],
    general: Sequence[General],
    unknown: Sequence[str],
    recipe: Recipe,
    chance: random.Random,
) -> list[Sample]:
    """What keeps the old from being forgotten: half earlier facts, half general, where there are both. Of the
    facts some are asked with memories, and some of what was never said, as when they were learned."""
    wanted = round(new * recipe.train.replay)
    from_general = wanted if not known else wanted // 2 if general else 0
    drawn = chance.sample(general, len(general)) * _REPEATED
    found = [Sample(each.question, each.answer, "general") for each in drawn[:from_general]]
    order = chance.sample(known, len(known))
    for turn in range(wanted - from_general if known else 0):
        fact = order[turn % len(order)]
        if recalled and turn % _WITH_MEMORIES == 0:
            found.append(recalled[turn // _WITH_MEMORIES % len(recalled)])
        elif turn % _NEGATIVES_AGAIN == 1 and samples.has_subject(fact):
            found += samples.samples_of_unknown(fact, chance.choice(unknown), turn)
        else:
            sample = chance.choice(samples.samples_of(fact))
            found.append(Sample(sample.question, sample.answer, "replay", sample.facts))
    return found


def _only_asked(material: Material) -> frozenset[str]:
    """The questions that no row learns, as they are compared."""
    about_facts = (each for fact in material.current for each in samples.never_learned(fact))
    return frozenset(map(_plain, [*about_facts, *(each.question for each in material.general[::_EVALUATED])]))


def _asked_in(folder: Path) -> frozenset[str]:
    """As `_only_asked`, of a dataset that is made already."""
    lines = (folder / "held_out.jsonl").read_bytes().splitlines()
    developed = (msgspec.json.decode(line, type=Row).messages[-2].content for line in lines)
    return frozenset(map(_plain, [*developed, *(each.question for each in read_questions(folder))]))


def _clean(found: Iterable[Sample], only_asked: frozenset[str], left_out: Counter[str]) -> list[Sample]:
    """Without repetitions of what is new, what is only asked, and what still holds a secret."""
    kept: list[Sample] = []
    seen: set[tuple[str, str]] = set()
    for sample in found:
        key = (_plain(sample.asked), _plain(sample.answer))
        if key in seen and sample.form not in _REPEATED_FORMS:
            left_out["said already"] += 1
        elif _plain(sample.question) in only_asked:
            left_out["only asked"] += 1
        elif redact(f"{sample.asked}\n{sample.answer}").kinds:
            left_out["holds a secret"] += 1
        else:
            seen.add(key)
            kept.append(sample)
    return kept


def questions_about(
    facts: Sequence[Fact], superseded: Iterable[tuple[Fact, Fact]], general: Sequence[General]
) -> list[Question]:
    """What is only asked: of these facts, of pairs of which the first gave way to the second, of what was
    never said, and a part of the general instructions."""
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
    messages = [Message("user", sample.asked), Message("assistant", sample.answer)]
    return Row(messages, sample.form, list(sample.facts))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(" .?!")


def write_lines(path: Path, lines: Sequence[Struct]) -> str:
    """Gives the SHA-256 of what was written, in hexadecimal."""
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    _write(path, content)
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
