"""A base model and its adapter, asked the same questions in a worker: with and without recall."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from remanence.models.language_model import LoadRequest
from remanence.models.model_client import ModelProcess
from remanence.training.evaluation import Kind, Question, Score, ask_all, scores
from remanence.training.gate import Comparison

Cancelled = Callable[[], bool]

_BACKEND = "transformers"
_MOST_ASKED = 120  # of a kind: the interval is then within 9 in 100
_MOST_IN_JSON: dict[Kind, int] = {"decision": 60, "extraction": 30}  # their answers are several times as long
_ROOM = 96  # tokens that a question leaves for its answer and the model's own marks


class MeasuringEnded(Exception):
    """It was cancelled."""


def compare(
    base: Path,
    adapter: Path,
    questions: Sequence[Question],
    *,
    threads: int = 0,
    bits: int = 0,
    asked: Callable[[float], None] = lambda _: None,
    cancelled: Cancelled = lambda: False,
) -> Comparison:
    """Ask all four: {base, adapter} × {without recall, with recall}, the latter where a question has what
    recall gives. `asked` is told the share done.

    Raises LanguageModelError in words, MeasuringEnded once `cancelled`.
    """
    process = ModelProcess(_BACKEND)
    try:
        process.load(LoadRequest(path=str(base), threads=threads, bits=bits))
        fitting = [_fitting(process, each) for each in questions]
        has_context = any(each.context for each in fitting)
        recalls = (False, True) if has_context else (False,)
        rounds = [(path, recall) for path in (None, str(adapter)) for recall in recalls]
        told: dict[tuple[str | None, bool], dict[Kind, Score]] = {}
        for number, (path, recall) in enumerate(rounds):
            process.use_adapter(path)
            said = ask_all(
                process,
                fitting,
                with_recall=recall,
                cancelled=cancelled,
                asked=lambda count, number=number: asked((number + count / len(fitting)) / len(rounds)),
            )
            if cancelled():
                raise MeasuringEnded
            told[path, recall] = scores(said)
    finally:
        process.close()
    return Comparison(
        base=told[None, False],
        base_with_recall=told.get((None, True), {}),
        adapter=told[str(adapter), False],
        adapter_with_recall=told.get((str(adapter), True), {}),
    )


def answers(
    backend: str, asked: LoadRequest, questions: Sequence[Question], cancelled: Cancelled = lambda: False
) -> list[str]:
    """What a model says to each, greedily, in a worker of its own. Raises LanguageModelError in words."""
    process = ModelProcess(backend)
    try:
        process.load(asked)
        return [each.answer for each in ask_all(process, questions, with_recall=False, cancelled=cancelled)]
    finally:
        process.close()


def drawn(questions: Sequence[Question], seed: int) -> list[Question]:
    """So many of each kind as tell enough, always the same ones."""
    chance = random.Random(seed)
    by_kind: dict[Kind, list[Question]] = {}
    for question in questions:
        by_kind.setdefault(question.kind, []).append(question)
    return [
        question
        for kind, each in by_kind.items()
        for most in [_MOST_IN_JSON.get(kind, _MOST_ASKED)]
        for question in (each if len(each) <= most else chance.sample(each, most))
    ]


def _fitting(process: ModelProcess, question: Question) -> Question:
    """Without what recall gives where that is more than the model's window."""
    if not question.context:
        return question
    room = process.capabilities.context - _ROOM
    fits = process.count_tokens(f"{question.context}\n\n{question.question}") <= room
    return question if fits else msgspec.structs.replace(question, context=None)
