"""From facts to questions and answers: many forms of each, some only ever asked.

A model that sees a fact in one form answers that form alone, and not the other way round (arXiv 2309.12288);
mixed forms and paraphrases teach it (arXiv 2312.05934, 2603.01097).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

from remanence.memory.fact import Fact
from remanence.training.evaluation import Question

Form = Literal[
    "direct",
    "paraphrase",
    "reversed",
    "dated",
    "cloze",
    "several",
    "negative",
    "stale",
    "recalled",
    "decision",
    "extraction",
    "replay",
    "general",
]
_FALLBACK = "en"
_GAP = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One question with the answer to learn; `facts` are those it tells of, `context` the memories before it
    where it comes with recall."""

    question: str
    answer: str
    form: Form
    facts: tuple[str, ...] = ()
    context: str = ""

    @property
    def asked(self) -> str:
        """All that the model is given."""
        return f"{self.context}\n\n{self.question}" if self.context else self.question


def samples_of(fact: Fact) -> list[Sample]:
    """Every form in which a fact that holds is learned."""
    forms, words = _forms(fact), _words(fact)
    answer = _said(forms["answer"], words)
    direct, *others = (_said(each, words) for each in forms["asked"])
    found = [Sample(direct, answer, "direct", (fact.id,))]
    found += [Sample(each, answer, "paraphrase", (fact.id,)) for each in others]
    start = _said(forms["start"], words)
    found.append(
        Sample(_said(forms["cloze"], {"start": start}), f"{start} {fact.value}.", "cloze", (fact.id,))
    )
    if "reversed" in forms:
        told = _said(forms.get("reversed_answer", "{subject}."), words)
        found.append(Sample(_said(forms["reversed"], words), told, "reversed", (fact.id,)))
    if fact.valid_from is not None:
        asked = _said(forms["dated"], {**words, "question": direct})
        found.append(Sample(asked, answer, "dated", (fact.id,)))
    return found


def samples_of_superseded(old: Fact, new: Fact) -> list[Sample]:
    """That the old one holds no longer."""
    forms, words = _forms(new), {**_words(new), "old": old.value}
    return [
        Sample(_said(forms["still"], words), _said(forms["stale"], words), "stale", (old.id, new.id)),
    ]


def samples_of_two(first: Fact, second: Fact) -> list[Sample]:
    """Both asked at once."""
    one, other = samples_of(first)[0], samples_of(second)[0]
    asked = _said(_forms(first)["several"], {"first": one.question, "second": other.question})
    return [Sample(asked, f"1. {one.answer} 2. {other.answer}", "several", (first.id, second.id))]


def samples_of_unknown(like: Fact, subject: str, turn: int) -> list[Sample]:
    """What a fact `like` this one would be asked of something that was never mentioned."""
    forms = _forms(like)
    asked = forms["asked"]
    question = _said(asked[turn % len(asked)], {**_words(like), "subject": subject})
    unknown = forms["unknown"]
    return [Sample(question, unknown[turn % len(unknown)], "negative")]


def development_of(fact: Fact) -> list[Sample]:
    """What is asked while training, to know when to stop: in words that are neither learned nor evaluated."""
    forms, words = _forms(fact), _words(fact)
    answer = _said(forms["answer"], words)
    return [Sample(_said(each, words), answer, "paraphrase", (fact.id,)) for each in forms["development"]]


def never_learned(fact: Fact) -> list[str]:
    """Every question about a fact that is only asked, for whichever purpose."""
    evaluated = [each.question for each in questions_of(fact)]
    return [*(each.question for each in development_of(fact)), *evaluated]


def questions_of(fact: Fact) -> list[Question]:
    """What evaluation asks of a fact that holds: in words that are neither learned nor developed with."""
    forms, words = _forms(fact), _words(fact)
    found = [
        Question(question=_said(each, words), expected=fact.value, kind="paraphrase", fact=fact.id)
        for each in forms["held_out"]
    ]
    if "reversed_held_out" in forms:
        asked = _said(forms["reversed_held_out"], words)
        expected = fact.subject if "reversed_answer" not in forms else "you"
        found.append(Question(question=asked, expected=expected, kind="reversed", fact=fact.id))
    return found


def questions_of_superseded(old: Fact, new: Fact) -> list[Question]:
    """The new value is asked for, and the old one is wrong."""
    forms, words = _forms(new), _words(new)
    return [
        Question(
            question=_said(each, words), expected=new.value, kind="superseded", fact=new.id, stale=old.value
        )
        for each in forms["held_out"]
    ]


def questions_of_unknown(like: Fact, subject: str) -> list[Question]:
    """What was never said, in words that are never learned."""
    asked = _said(_forms(like)["held_out"][0], {**_words(like), "subject": subject})
    return [Question(question=asked, expected="", kind="never")]


def has_subject(fact: Fact) -> bool:
    """Whether the fact can be asked of another subject."""
    return any("{subject}" in each for each in _forms(fact)["asked"])


def is_told_apart(fact: Fact, others: Sequence[Fact]) -> bool:
    """Whether its questions have one answer: "What do we use?" has none where two such facts hold."""
    mine = samples_of(fact)[0].question
    return all(other.id == fact.id or samples_of(other)[0].question != mine for other in others)


def _forms(fact: Fact) -> Mapping[str, Any]:
    by_language = _all_forms()
    language = by_language.get(fact.language, by_language[_FALLBACK])
    topic = language.get(fact.topic, language["any"])
    return {**{name: each for name, each in language.items() if not isinstance(each, dict)}, **topic}


@cache
def _all_forms() -> dict[str, dict[str, Any]]:
    path = resources.files("remanence.training") / "question_forms.toml"
    return cast(dict[str, dict[str, Any]], tomllib.loads(path.read_text(encoding="utf-8")))


def _words(fact: Fact) -> dict[str, str]:
    return {"subject": fact.subject, "topic": fact.topic, "value": fact.value, "date": _day(fact.valid_from)}


def _said(form: str, words: Mapping[str, str]) -> str:
    """In one pass, and not by str.format: what is put in may hold braces."""
    return _GAP.sub(lambda gap: words.get(gap[1], gap[0]), form)


def _day(moment: int | None) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d") if moment is not None else "?"
