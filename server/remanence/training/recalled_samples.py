"""Questions as they come with recall: behind the block of memories that is put before them at run time.

An adapter that was only ever asked bare questions no longer reads what stands before one (measured on a tiny
model: 64 to 100 % right without recall, 8 to 14 % with it). It is shown that what it learned may be recalled
beside it, that what is recalled may be about something else, and that a newer value there holds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from remanence.memory import staleness
from remanence.memory.fact import Fact
from remanence.memory.prompt import memory_block
from remanence.memory.rows import Row
from remanence.training import samples
from remanence.training.row_length import ROLES_TOKENS, Count
from remanence.training.samples import Sample

ExchangeOf = Callable[[str], Row | None]
"""The exchange with this id as it is remembered, where it still is."""

_MOST_TOKENS = 256  # of a block: short rows train fast, and the way in which it is read is the same
_MOST_BESIDE = 6  # memories beside the one that matters
_MOST_DAYS = 300  # between a memory and a newer one that is made up
_DAY_MS = 86_400_000
_NEWER = "newer"
_TOOL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memories:
    """What blocks are made of: the exchanges themselves. `count` counts tokens as the base model does, and a
    row has at most `longest`."""

    exchange: ExchangeOf
    count: Count
    longest: int


def samples_with_memory(
    asked_about: Sequence[Fact],
    known: Sequence[Fact],
    replaced: Mapping[str, Fact],
    unknown: Sequence[str],
    memories: Memories,
    chance: random.Random,
) -> Iterator[Sample | None]:
    """Four questions for each of these facts; None for one whose block would be too long. Other memories in a
    block are of these or of what is `known`, and, where a fact took the place of another, by its id in
    `replaced`, of that one; of the subjects in `unknown` nothing was ever said.

    Two have the memory that tells of the fact, one a memory of a subject never heard of, which answers it. In
    the last, in turn, a newer value stands and holds, nothing is told of what is asked and it is declined, or
    nothing is told of the fact and it is known all the same."""
    everything = [*asked_about, *known]
    for turn, fact in enumerate(asked_about):
        others = [each for each in everything if each.subject != fact.subject] or [_made_up(fact, unknown)]
        beside = [_row(each, memories) for each in chance.sample(others, min(_MOST_BESIDE, len(others)))]
        some = beside[: chance.randrange(len(beside) + 1)]
        old = replaced.get(fact.id)
        gone = [_row(old, memories)] if old is not None else []
        notes = _notes(old, fact) if old is not None else None
        for few in (gone, [*gone, *some]) if gone else (some, beside):
            asked = _asked(fact, chance)
            right = [_row(fact, memories), *few], [_row_of_words(fact), *few]
            found = (_sample(asked, rows, memories, holds=fact.value, notes=notes) for rows in right)
            yield next(found, None) or next(found, None)
        subject = unknown[turn % len(unknown)]
        newer = _newer(fact, everything, chance)
        has_subject = samples.has_subject(fact) and fact.subject in fact.words
        if has_subject:
            told = _about(newer or fact, subject)
            asked = replace(_asked(told, chance), facts=())
            yield _sample(asked, [_row_of_words(told), *some], memories, holds=told.value)
        # few of those whose answers go against what is learned: they would be learned themselves
        if turn % 3 == 0 and newer is not None:
            noted = turn % 6 == 0
            rows = [_row_of_words(newer), *([_row(fact, memories)] if noted else []), *some]
            asked = replace(_asked(newer, chance), facts=(fact.id,))
            said = _notes(fact, newer) if noted else None
            yield _sample(asked, rows, memories, holds=newer.value, notes=said)
        elif turn % 3 == 1 and has_subject:
            (declined,) = samples.samples_of_unknown(fact, subject, turn)
            yield _sample(declined, beside, memories)
        else:
            yield _sample(_asked(fact, chance), beside, memories)


def _sample(
    asked: Sample,
    rows: Sequence[Row],
    memories: Memories,
    *,
    holds: str = "",
    notes: Mapping[str, str] | None = None,
) -> Sample | None:
    """The question behind a block of these memories, the best first; None where the block does not fit, or
    lacks what it is to hold."""
    spent = memories.count(f"{asked.question}\n{asked.answer}") + ROLES_TOKENS
    room = min(_MOST_TOKENS, memories.longest - spent)
    block, packed = memory_block(asked.question, rows, room, count=memories.count, notes=notes)
    if not packed or holds not in block:
        return None
    return replace(asked, form="recalled", context=block)


def _asked(fact: Fact, chance: random.Random) -> Sample:
    """One of the questions that a fact is learned from."""
    plain = [each for each in samples.samples_of(fact) if each.form in ("direct", "paraphrase")]
    return chance.choice(plain)


def _row(fact: Fact, memories: Memories) -> Row:
    """The exchange that says it, or its own words where that is not there."""
    found = memories.exchange(fact.exchanges[-1]) if fact.exchanges else None
    return found or _row_of_words(fact)


def _row_of_words(fact: Fact) -> Row:
    said = fact.last_said or fact.valid_from or 0
    return Row(row=0, id=fact.id, question=fact.words or fact.text, answer="", tool=_TOOL, created_at=said)


def _newer(fact: Fact, others: Sequence[Fact], chance: random.Random) -> Fact | None:
    """As if another value had been said later; None where none is known that could be."""
    value = _another_value(fact, others, chance)
    if value is None:
        return None
    later = (fact.last_said or fact.valid_from or 0) + chance.randrange(1, _MOST_DAYS) * _DAY_MS
    return replace(
        _with(fact, fact.value, value),
        id=_NEWER,
        value=value,
        valid_from=later,
        last_said=later,
        exchanges=(),
    )


def _another_value(fact: Fact, others: Sequence[Fact], chance: random.Random) -> str | None:
    if any(digit.isdecimal() for digit in fact.value):
        for _ in range(8):
            value = re.sub(r"[0-9]", lambda _: chance.choice("123456789"), fact.value)
            if value != fact.value:
                return value
    values = sorted({each.value for each in others if each.topic == fact.topic} - {fact.value})
    return chance.choice(values) if values else None


def _notes(old: Fact, newer: Fact) -> Mapping[str, str]:
    """What is said at run time of a memory whose fact gave way."""
    gone = replace(old, valid_until=newer.valid_from, superseded_by=newer.id)
    said = "; ".join(staleness.stale([gone], {newer.id: newer}))
    return dict.fromkeys((old.id, *old.exchanges), said)


def _about(fact: Fact, subject: str) -> Fact:
    return replace(_with(fact, fact.subject, subject), id=subject, subject=subject, exchanges=())


def _made_up(fact: Fact, unknown: Sequence[str]) -> Fact:
    """Something else that might have been said, where nothing else was."""
    return _about(fact, unknown[-1])


def _with(fact: Fact, said: str, instead: str) -> Fact:
    """The fact in words that say this instead of that."""
    held = re.compile(rf"(?<!\w){re.escape(said)}(?!\w)")
    text, words = (held.sub(lambda _: instead, each) for each in (fact.text, fact.words))
    return replace(fact, text=text, words=words)
