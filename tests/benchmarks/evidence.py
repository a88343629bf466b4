"""Whether what answers a question is still there once memories were packed: the evidence of a gold memory.

What must be there, by what a set names:
- the turn (locomo): the turn's own text, whole;
- nothing but the memory, where that is a line or two (conala, mconala_es): all of its text;
- an answer (beam, memorycode), or nothing (demo): the sentence or line of the gold memory that says most of
  the question's and, counted twice, of the answer's own telling words; any other that says nine tenths of
  that is as good. Numbers of the answer (memorycode: what it quotes) that the sentence holds must all be
  there.

It is there where one entry of the prompt holds four fifths of its words, weighed by how rare they are in the
set. None of this asks the packer, the embedder or recall.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from math import log
from pathlib import Path
from typing import Any

from evaluation_sets import DEMO, EvaluationSet, Question, read_lines

from remanence.memory import terms
from remanence.memory.passages import CodeBlock, sentences, split_code
from remanence.memory.rows import Row

_ENOUGH = 0.8
_AS_GOOD = 0.9
_SHORT_SETS = ("conala", "mconala_es")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_QUOTED = re.compile(r"'([^']+)'")

Terms = frozenset[str]
Wanted = tuple[Terms, Terms]  # what four fifths must be there of, and what must all be there


class Evidence:
    """The evidence of one set's gold memories."""

    def __init__(self, evaluated: EvaluationSet, data: Path | None) -> None:
        self._set = evaluated
        self._answers: dict[str, dict[str, Any]] = {}
        self._turns: dict[str, list[str]] = {}
        if evaluated.name != DEMO and data is not None:
            self._answers = {q["qid"]: q for q in read_lines(data / evaluated.name / "queries.jsonl.gz")}
            exchanges = read_lines(data / evaluated.name / "exchanges.jsonl.gz")
            self._turns = {each["id"]: each.get("dia_ids") or [] for each in exchanges}
        self._wanted: dict[tuple[str, int], list[Wanted]] = {}

    def survives(self, question: Question, gold: int, entries: Sequence[Terms]) -> bool:
        """Whether one of the entries of a prompt, given as their terms, holds the evidence of a gold row."""
        key = (question.qid, gold)
        if key not in self._wanted:
            self._wanted[key] = self._find(question, self._set.rows[gold])
        return any(
            must <= held and self._weight(most & held) >= _ENOUGH * self._weight(most)
            for most, must in self._wanted[key]
            for held in entries
        )

    def _find(self, question: Question, row: Row) -> list[Wanted]:
        whole = [(terms_of(f"{row.question}\n{row.answer}"), Terms())]
        known = self._answers.get(question.qid, {})
        spoken = self._turns.get(row.id, [])
        said = [
            text
            for text, turn in zip((row.question, row.answer), spoken, strict=False)
            if any(each.endswith(turn) for each in known.get("relevant_turn_ids", ()))
        ]
        if said:
            return [(terms_of("\n".join(said)), Terms())]
        if self._set.name in _SHORT_SETS:
            return whole
        answer: str = known.get("answer") or ""
        asked, replied = terms_of(question.text), Terms(terms.query_stems(answer))
        wanted = {
            term: self._weight((term,)) * (2 if term in replied - asked else 1)
            for term in {*terms.query_stems(question.text), *replied}
        }
        exact = _QUOTED if self._set.name == "memorycode" else _NUMBER
        must = Terms(term for literal in exact.findall(answer) for term in terms.stems(literal))
        held = [terms_of(sentence) for sentence in _sentences(row)]
        says = [sum(weight for term, weight in wanted.items() if term in each) for each in held]
        best = max(says, default=0.0)
        if best <= 0:
            return whole
        return [(each, must & each) for each, said in zip(held, says, strict=True) if said >= _AS_GOOD * best]

    def _weight(self, of: Iterable[str]) -> float:
        return sum(log(1 + len(self._set.rows) / max(self._often[term], 1)) for term in of)

    @cached_property
    def _often(self) -> Counter[str]:
        return Counter(term for row in self._set.rows for term in terms_of(f"{row.question}\n{row.answer}"))


def terms_of(text: str) -> Terms:
    """The distinct index terms of a text."""
    return Terms(terms.stems(text))


def _sentences(row: Row) -> list[str]:
    found: list[str] = []
    for part in (*split_code(row.question), *split_code(row.answer)):
        found += part.code.split("\n") if isinstance(part, CodeBlock) else sentences(part)
    return found
