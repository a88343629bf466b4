"""What a model knows: asked in words it was not trained on, with and without recall, and counted.

Answers are compared as words: case, accents and punctuation do not count. `exact` is whether the expected
value stands in the answer, `f1` the overlap of words as in SQuAD (arXiv 1606.05250). Answers in JSON are
asked for without holding the model to it: how often they are valid all the same is part of what is measured.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from remanence.memory import decisions, fact_extraction
from remanence.memory.fact import normal
from remanence.models.language_model import ChatMessage, Generation, LanguageModel, Usage

Kind = Literal["paraphrase", "reversed", "superseded", "never", "general", "decision", "extraction"]
Cancelled = Callable[[], bool]

_WORD = re.compile(r"\w+")
_SCHEMAS: Mapping[Kind, Mapping[str, object]] = {
    "decision": decisions.SCHEMA,
    "extraction": fact_extraction.SCHEMA,
}
_RESAMPLES = 1000
_DECLINES = re.compile(
    r"\b(?:do(?:n t| not) know|never (?:said|mentioned|told)|was (?:never|not) (?:said|mentioned)|no longer|"
    r"not (?:been )?(?:said|mentioned|told)|ne sais pas|n a (?:jamais|pas) ete|jamais (?:dit|mentionne)|"
    r"no (?:lo )?se|nunca se (?:dijo|menciono)|weiss (?:ich )?nicht|nie (?:gesagt|erwahnt))\b"
)


class Question(Struct, frozen=True, kw_only=True):
    """`expected` is the value a right answer holds, empty where it should decline; `stale` one that it must
    not hold. `context` is what recall gives for it. `fact` is the fact it is about. `system` is what the
    model is told first; `values` are those of the facts that are to be drawn; the answer is cut off after
    `most_tokens`."""

    question: str
    expected: str
    kind: Kind
    fact: str | None = None
    stale: str | None = None
    context: str | None = None
    system: str | None = None
    values: list[str] = []
    most_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with what the model said."""

    question: Question
    answer: str

    @property
    def is_right(self) -> bool:
        if self.question.kind == "decision":
            return decision_in(self.answer) == self.question.expected
        if self.question.kind == "extraction":
            return values_in(self.answer) == self.values
        if not self.question.expected:
            return declines(self.answer)
        return holds(self.answer, self.question.expected) and not self.is_stale

    @property
    def values(self) -> frozenset[str]:
        """Of the facts that are to be drawn."""
        return frozenset(map(normal, self.question.values))

    @property
    def is_stale(self) -> bool:
        """Whether it says what no longer holds, as if it did."""
        stale = self.question.stale
        return stale is not None and holds(self.answer, stale) and not declines(self.answer)

    @property
    def f1(self) -> float:
        if not self.question.expected or self.question.kind in _SCHEMAS:
            return float(self.is_right)
        return word_f1(self.answer, self.question.expected)


class Score(Struct, frozen=True, kw_only=True):
    """Over n questions: the share answered right with its 95 % interval (bootstrap), F1 of words, and the
    share that said what no longer holds. `valid` is the share of valid JSON where that was asked for,
    `decision_f1` the macro-F1 of its actions, `precision` and `recall` are those of the values of facts."""

    n: int
    exact: float
    low: float
    high: float
    f1: float
    stale: float = 0.0
    valid: float | None = None
    decision_f1: float | None = None
    precision: float | None = None
    recall: float | None = None


def ask_all(
    model: LanguageModel,
    questions: Sequence[Question],
    *,
    with_recall: bool,
    cancelled: Cancelled,
    asked: Callable[[int], None] = lambda _: None,
) -> list[Answered]:
    """Every question, greedily. `asked` is told how many there were so far. Raises LanguageModelError."""
    answers: list[Answered] = []
    for question in questions:
        if cancelled():
            break
        parts = model.generate(_asked(question, with_recall), cancelled)
        text = "".join(part for part in parts if not isinstance(part, Usage))
        answers.append(Answered(question, text.strip()))
        asked(len(answers))
    return answers


def scores(answers: Iterable[Answered], seed: int = 0) -> dict[Kind, Score]:
    """How each kind of question was answered."""
    by_kind: dict[Kind, list[Answered]] = {}
    for answer in answers:
        by_kind.setdefault(answer.question.kind, []).append(answer)
    return {kind: _score(kind, each, seed) for kind, each in by_kind.items()}


def holds(answer: str, value: str) -> bool:
    """Whether the value's words stand in the answer, in their order and side by side."""
    said, wanted = words(answer), words(value)
    if not wanted:
        return False
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


def declines(answer: str) -> bool:
    """Whether the answer says that it is not known, was never said, or no longer holds."""
    return bool(_DECLINES.search(" ".join(words(answer))))


def word_f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall of words."""
    said, wanted = words(answer), words(expected)
    common = sum((Counter(said) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def words(text: str) -> list[str]:
    """Lower case, without accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))


def decision_in(answer: str) -> str | None:
    """The action of a decision in JSON; None where it is not valid."""
    return str(json.loads(answer)["action"]) if is_valid(answer, "decision") else None


def values_in(answer: str) -> frozenset[str] | None:
    """The values of the facts in JSON, as they are compared; None where it is not valid."""
    if not is_valid(answer, "extraction"):
        return None
    return frozenset(normal(each["value"]) for each in json.loads(answer)["facts"])


def is_valid(answer: str, kind: Kind) -> bool:
    """Whether the whole answer is the JSON that is asked for where this kind of question is."""
    from jsonschema import Draft202012Validator

    try:
        said: object = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    validator: Any = Draft202012Validator(dict(_SCHEMAS[kind]))
    return bool(validator.is_valid(said))


def _asked(question: Question, with_recall: bool) -> Generation:
    asked = question.question
    if with_recall and question.context:
        asked = f"{question.context}\n\n{asked}"
    told = (ChatMessage("system", question.system),) if question.system is not None else ()
    return Generation(messages=(*told, ChatMessage("user", asked)), max_tokens=question.most_tokens)


def _score(kind: Kind, answers: Sequence[Answered], seed: int) -> Score:
    right = np.array([answer.is_right for answer in answers], dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(right), (_RESAMPLES, len(right)))
    low, high = np.quantile(right[draws].mean(axis=1), [0.025, 0.975])
    valid = [is_valid(each.answer, kind) for each in answers] if kind in _SCHEMAS else None
    precision, recall = _found(answers) if kind == "extraction" else (None, None)
    return Score(
        n=len(answers),
        exact=round(float(right.mean()), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        f1=round(float(np.mean([answer.f1 for answer in answers])), 4),
        stale=round(float(np.mean([answer.is_stale for answer in answers])), 4),
        valid=round(float(np.mean(valid)), 4) if valid is not None else None,
        decision_f1=_macro_f1(answers) if kind == "decision" else None,
        precision=precision,
        recall=recall,
    )


def _found(answers: Sequence[Answered]) -> tuple[float, float]:
    """Precision and recall over the values of all exchanges; with none drawn, and none to draw, 1."""
    pairs = [(each.values, values_in(each.answer) or frozenset[str]()) for each in answers]
    hits = sum(len(wanted & drawn) for wanted, drawn in pairs)
    wanted, drawn = (sum(map(len, each)) for each in zip(*pairs, strict=True))
    precision = hits / drawn if drawn else float(not wanted)
    return round(precision, 4), round(hits / wanted if wanted else 1.0, 4)


def _macro_f1(answers: Sequence[Answered]) -> float:
    pairs = [(answer.question.expected, decision_in(answer.answer)) for answer in answers]
    found: list[float] = []
    for action in {expected for expected, _ in pairs}:
        hits = sum(expected == said == action for expected, said in pairs)
        misses = sum((expected == action) != (said == action) for expected, said in pairs)
        found.append(2 * hits / (2 * hits + misses))
    return round(float(np.mean(found)), 4)
