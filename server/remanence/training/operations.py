"""The dataset of a run for operations: drawing facts from exchanges, and deciding about them.

The same files as `dataset` writes, in one stage. Facts are learned from or kept for the evaluation, each with
every exchange that says it and every fact that it was ever compared with: nothing that is asked was seen. Of
those kept, a third is for the loss while training alone (`held_out.jsonl`), which picks the checkpoint.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from remanence.memory.fact import Fact
from remanence.memory.fact_store import Action, Read
from remanence.memory.redaction import redact
from remanence.training.dataset import DatasetError, Manifest, Message, Row, write_lines
from remanence.training.decision_samples import Decided, OperationSample, samples_made_of, samples_of_log
from remanence.training.evaluation import Question, words
from remanence.training.extraction_samples import Fits, sample_of_exchange
from remanence.training.recipe import Recipe
from remanence.training.row_length import ROLES_TOKENS, Count

Wanted = Callable[[frozenset[str]], bool]

_KEPT_APART = 0.25  # of the facts are only asked about
_DEVELOPMENT = 3  # of these groups every third is asked while training, the others in the evaluation
_LEAST_EACH = 24  # decisions of an action, where so many can be made
_MOST_EACH_ASKED = 20
_MOST_DRAWN_ASKED = 30
_MOST_EACH_VERIFIED = 6  # in two runtimes, and their answers are long
_MOST_DRAWN_VERIFIED = 12
_TELLING = 2  # exchanges that say something, for each that says nothing
_ALIKE = 0.9  # share of their words that two samples have in common which say the same
_ANSWER_ROOM = 32  # tokens beyond those of the right answer, to which a wrong one may run
_ACTIONS: tuple[Action, ...] = ("update", "delete", "ignore")

NOTHING_DECIDED = (
    "There is nothing to learn operations from: nothing was decided about facts yet. `remanence consolidate`"
    " draws facts and compares them, `remanence decisions` shows what came of it."
)
_TOO_FEW = "There are too few facts to learn from some and be asked about others: {count}."


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsMaterial:
    """What is learned from: the log, the newest first, exchanges with the facts that they say, and every
    fact, whether it holds or not."""

    log: Sequence[Decided]
    read: Sequence[tuple[Read, Sequence[Fact]]]
    facts: Sequence[Fact]


def build_operations(
    material: OperationsMaterial, recipe: Recipe, out: Path, *, base: str, created_at: int, count: Count
) -> Manifest:
    """Write the dataset of one run into `out`, which is made; the same material gives the same bytes. `count`
    gives the tokens of a text.

    Raises DatasetError where nothing was decided or too few facts are there, OSError where it cannot be
    written.
    """
    left_out: Counter[str] = Counter()
    if not samples_of_log(material.log, left_out):
        raise DatasetError(NOTHING_DECIDED)
    chance = random.Random(recipe.train.seed)
    evaluated, developed = _kept_apart(material, chance)
    learned = _only(material, (evaluated | developed).isdisjoint)
    asked, development = _only(material, evaluated.issuperset), _only(material, developed.issuperset)
    cap = recipe.curriculum.facts_per_run
    rows = _samples(learned, recipe, count, chance, left_out, most_each=max(cap // 3, 1), most_drawn=cap // 2)
    questions = _asked_samples(asked, recipe, count)
    if not rows or not any(each.form == "decision" for each in questions):
        raise DatasetError(_TOO_FEW.format(count=len(material.facts)))
    chance.shuffle(rows)
    (out / "stages").mkdir(parents=True, exist_ok=True, mode=0o700)
    files: Mapping[str, Sequence[Row] | Sequence[Question]] = {
        "stages/000.jsonl": [_row(each) for each in rows],
        "held_out.jsonl": [_row(each) for each in _asked_samples(development, recipe, count)],
        "evaluation.jsonl": [_question(each, count) for each in questions],
    }
    manifest = Manifest(
        created_at=created_at,
        base=base,
        recipe=recipe.name,
        facts=sorted({fact for each in rows for fact in each.facts}),
        known=[],
        exchanges=sorted({exchange for each in rows for exchange in each.exchanges}),
        developed=sorted(developed),
        stages=1,
        rows=len(rows),
        by_form=_counted(each.form for each in rows),
        questions=_counted(each.form for each in questions),
        sha256={name: write_lines(out / name, each) for name, each in files.items()},
        left_out=dict(sorted(left_out.items())),
        purpose="operations",
        by_origin=_counted(
            [*(each.origin for each in rows), *(f"asked: {each.origin}" for each in questions)]
        ),
    )
    write_lines(out / "manifest.json", [manifest])
    return manifest


def operations_questions(
    material: OperationsMaterial, learned: Collection[str], recipe: Recipe, count: Count
) -> list[Question]:
    """What an adapter is asked that learned these facts and exchanges, or was chosen by them, by their ids:
    about all others."""
    others = _only(material, frozenset(learned).isdisjoint)
    return [_question(each, count) for each in _asked_samples(others, recipe, count)]


def operations_learned(
    material: OperationsMaterial, learned: Collection[str], recipe: Recipe, count: Count
) -> list[Question]:
    """What an adapter that learned these facts and exchanges, by their ids, was told and asked: a few of
    each action, and a few exchanges. Pairs that are made of its facts may be others than it saw."""
    mine = _only(material, lambda names: names.issubset(learned))
    chance = random.Random(recipe.train.seed)
    limits = {"most_each": _MOST_EACH_VERIFIED, "most_drawn": _MOST_DRAWN_VERIFIED}
    return [_question(each, count) for each in _samples(mine, recipe, count, chance, Counter(), **limits)]


def _asked_samples(material: OperationsMaterial, recipe: Recipe, count: Count) -> list[OperationSample]:
    chance = random.Random(recipe.train.seed)
    limits = {"most_each": _MOST_EACH_ASKED, "most_drawn": _MOST_DRAWN_ASKED}
    return _samples(material, recipe, count, chance, Counter(), **limits)


def _samples(
    material: OperationsMaterial,
    recipe: Recipe,
    count: Count,
    chance: random.Random,
    left_out: Counter[str],
    *,
    most_each: int,
    most_drawn: int,
) -> list[OperationSample]:
    """Of each action as many, from the log and made up where it has too few; and exchanges."""
    room = recipe.train.max_length - ROLES_TOKENS

    def fits(text: str) -> bool:
        return count(text) <= room

    def usable(samples: Iterable[OperationSample]) -> list[OperationSample]:
        found: list[OperationSample] = []
        for each in samples:
            if redact(f"{each.question}\n{each.answer}").kinds:
                left_out["holds a secret"] += 1
            elif not fits(f"{each.system}\n{each.question}\n{each.answer}"):
                left_out["longer than the recipe's max_length"] += 1
            else:
                found.append(each)
        return found

    said = usable(samples_of_log(material.log, Counter()))
    by_action = {action: [each for each in said if each.expected == (action,)] for action in _ACTIONS}
    kept = [each for action in _ACTIONS for each in by_action[action][:most_each]]
    kept = _told_apart(kept, left_out)
    counts = Counter(each.expected[0] for each in kept)
    target = min(most_each, max([_LEAST_EACH, *counts.values()]))
    wanted: dict[Action, int] = {action: target - counts[action] for action in _ACTIONS}
    kept = _told_apart([*kept, *usable(samples_made_of(material.facts, wanted, chance))], left_out)
    return [*kept, *_told_apart(usable(_drawn(material, fits, left_out))[:most_drawn], left_out)]


def _drawn(material: OperationsMaterial, fits: Fits, left_out: Counter[str]) -> list[OperationSample]:
    """Those of exchanges, the newest first, with a few that say nothing among them: rather what a model has
    read, since the rules find little."""
    telling: list[OperationSample] = []
    silent: list[OperationSample] = []
    for read, facts in sorted(material.read, key=lambda each: not each[1] and "+" not in each[0].reader):
        sample = sample_of_exchange(read, facts, fits)
        if isinstance(sample, str):
            left_out[sample] += 1
        else:
            (telling if facts else silent).append(sample)
    found: list[OperationSample] = []
    for count, each in enumerate(telling, start=1):
        found.append(each)
        if count % _TELLING == 0 and silent:
            found.append(silent.pop(0))
    return found


def _told_apart(samples: Iterable[OperationSample], left_out: Counter[str]) -> list[OperationSample]:
    """Without those that say again what an earlier one says, but for a few words or the dates."""
    kept: list[tuple[frozenset[str], OperationSample]] = []
    for each in samples:
        said = frozenset(words(each.question))
        if any(
            len(said & other) >= _ALIKE * len(said | other) and each.expected == sample.expected
            for other, sample in kept
        ):
            left_out["said already"] += 1
        else:
            kept.append((said, each))
    return [each for _, each in kept]


def _kept_apart(material: OperationsMaterial, chance: random.Random) -> tuple[frozenset[str], frozenset[str]]:
    """The ids of facts and exchanges that are only asked about, in the evaluation and while training: whole
    groups of those that belong together, of which one that is half of everything is learned from."""
    together: dict[str, str] = {}

    def root(name: str) -> str:
        while together.setdefault(name, name) != name:
            name = together[name]
        return name

    def join(*names: str) -> None:
        for name in names[1:]:
            together[root(name)] = root(names[0])

    for each in material.log:
        join(each.newer.id, each.older.id)
    for fact in material.facts:
        join(fact.id, *fact.exchanges)
    for read, facts in material.read:
        join(read.id, *(fact.id for fact in facts))
    groups: dict[str, list[str]] = {}
    for name in sorted(together):
        groups.setdefault(root(name), []).append(name)
    everything = sum(map(len, groups.values()))
    order = chance.sample(sorted(groups.values()), len(groups))
    apart: list[list[str]] = []
    for group in order:
        count = sum(map(len, apart)) + len(group)
        if len(group) * 2 < everything and count <= max(2, _KEPT_APART * everything):
            apart.append(group)
    developed = frozenset[str]().union(*apart[_DEVELOPMENT - 1 :: _DEVELOPMENT])
    return frozenset[str]().union(*apart) - developed, developed


def _only(material: OperationsMaterial, wanted: Wanted) -> OperationsMaterial:
    """What is only about wanted facts and exchanges."""
    return OperationsMaterial(
        log=[each for each in material.log if wanted(frozenset((each.newer.id, each.older.id)))],
        read=[
            (read, facts)
            for read, facts in material.read
            if wanted(frozenset((read.id, *(fact.id for fact in facts))))
        ],
        facts=[fact for fact in material.facts if wanted(frozenset((fact.id, *fact.exchanges)))],
    )


def _row(sample: OperationSample) -> Row:
    told = [("system", sample.system), ("user", sample.question), ("assistant", sample.answer)]
    return Row([Message(*each) for each in told], sample.form, list(sample.facts))


def _question(sample: OperationSample, count: Count) -> Question:
    decided = sample.form == "decision"
    return Question(
        question=sample.question,
        expected=sample.expected[0] if decided else "",
        kind=sample.form,
        fact=sample.facts[0] if sample.facts else None,
        system=sample.system,
        values=[] if decided else list(sample.expected),
        most_tokens=count(sample.answer) + _ANSWER_ROOM,
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
