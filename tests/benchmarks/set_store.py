"""A set in the engine's own indexes, asked through the engine's own `recall`.

`SetStore.__init__` is the one place that knows how memories become index entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from evaluation_sets import NOW_MS, EvaluationSet, Question
from numpy.typing import NDArray
from plain_search import PlainSearch
from vector_cache import VectorCache

from remanence.memory import fusion
from remanence.memory.backlog import LexicalRow
from remanence.memory.dense import DenseIndex
from remanence.memory.lexical import LexicalIndex
from remanence.memory.query import Mode, RecallQuery
from remanence.memory.recall import Recalled, recall
from remanence.memory.rows import Row, Scope, Turn
from remanence.memory.units import pieces

System = Literal["words", "tantivy", "meaning", "prototype", "recall"]
SYSTEMS: list[System] = ["words", "tantivy", "meaning", "prototype", "recall"]
MOST = 10


class SetStore:
    """A set as the store would hold it (`Rows`), with both indexes built, and each system to ask.

    words: our lexical index alone, without recall's gate. tantivy, meaning, prototype: see PlainSearch.
    recall: the real thing, with every default.
    """

    def __init__(self, evaluated: EvaluationSet, vectors: VectorCache, folder: Path) -> None:
        self.set = evaluated
        self._cache = vectors
        rows = evaluated.rows
        texts = [f"{row.question}\n{row.answer}" for row in rows]
        embedded = vectors.encode(texts)
        self.lexical = LexicalIndex.open(folder / evaluated.name / "lexical")
        self.lexical.add([_lexical_row(row) for row in rows])
        self.lexical.commit(1)
        self.dense = DenseIndex.open(folder / evaluated.name / "dense", "cached", embedded.shape[1])
        units = [pieces(row.question, row.answer) for row in rows]
        counts = np.array([len(each) for each in units], np.int64)
        everything = vectors.encode([text for each in units for text in each])
        self.dense.add(np.arange(len(rows), dtype=np.int64), everything, counts)
        self.plain = PlainSearch(texts, embedded)
        vectors.encode_queries([question.text for question in evaluated.questions])
        self._found: dict[tuple[System, str, bool], list[int]] = {}

    # what recall asks of the store

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        return [self.set.rows[number] for number in numbers]

    def turns(self, numbers: Sequence[int]) -> dict[int, Turn]:
        return {number: self._turns[number] for number in numbers if number in self._turns}

    def unindexed(self, after_revision: int, limit: int) -> list[Row]:
        return []

    def scope(self, scope: Scope) -> NDArray[np.int64]:
        return self._conversations.get(scope.conversation_id or "", np.empty(0, np.int64))

    def encode_query(self, text: str) -> NDArray[np.float32]:
        return self._cache.encode_query(text)

    # asking

    def find(self, system: System, question: Question, scoped: bool = False) -> list[int]:
        """The first ten rows that `system` gives for a question; the same question is asked once."""
        key = (system, question.qid, scoped)
        if key not in self._found:
            self._found[key] = self.ask(system, question.text, question.conversation if scoped else None)
        return self._found[key]

    def ask(self, system: System, text: str, conversation: str | None = None, most: int = MOST) -> list[int]:
        """The first rows that `system` gives for a text."""
        if system == "recall":
            return [each.row.row for each in self.recall(text, conversation, most=most)]
        if system == "words":
            return self.lexical.search(text, most, Scope(conversation_id=conversation))[0].tolist()
        among = self.scope(Scope(conversation_id=conversation)) if conversation else None
        if system == "tantivy":
            return self.plain.words(text, most, among)
        vector = self.encode_query(text)
        if system == "meaning":
            return self.plain.meaning(vector, most, among)
        return self.plain.prototype(text, vector, most, among)

    def recall(
        self,
        text: str,
        conversation: str | None = None,
        *,
        automatic: bool = False,
        mode: Mode = "hybrid",
        most: int = MOST,
    ) -> Sequence[Recalled]:
        """What the engine's recall gives, best first."""
        scope = Scope(conversation_id=conversation)
        query = RecallQuery(text=text, now_ms=NOW_MS, mode=mode, scope=scope, automatic=automatic, limit=most)
        return recall(query, rows=self, lexical=self.lexical, dense=self.dense, embedder=self).memories

    def evidence(self, text: str) -> float:
        """What an automatic recall compares with its gate."""
        return recall(
            RecallQuery(text=text, now_ms=NOW_MS, limit=1),
            rows=self,
            lexical=self.lexical,
            dense=self.dense,
            embedder=self,
        ).evidence

    @cached_property
    def _turns(self) -> dict[int, Turn]:
        return turns(self.set.rows)

    @cached_property
    def _conversations(self) -> dict[str, NDArray[np.int64]]:
        numbers: dict[str, list[int]] = {}
        for row in self.set.rows:
            numbers.setdefault(row.conversation_id, []).append(row.row)
        return {name: np.array(each, np.int64) for name, each in numbers.items()}


@contextmanager
def gate(value: float) -> Iterator[None]:
    """Recall's automatic gate for a moment: how a threshold is chosen, before it is written down there."""
    shipped = fusion.AUTOMATIC_GATE
    fusion.AUTOMATIC_GATE = value
    try:
        yield
    finally:
        fusion.AUTOMATIC_GATE = shipped


def turns(rows: Sequence[Row]) -> dict[int, Turn]:
    """For each row its place in its conversation, as the store would tell it."""
    before: dict[int, int] = {}
    after: dict[int, int] = {}
    last: dict[str, int] = {}
    for row in rows:
        if row.conversation_id in last:
            before[row.row] = last[row.conversation_id]
            after[before[row.row]] = row.row
        if row.conversation_id:
            last[row.conversation_id] = row.row
    return {
        row.row: Turn(before.get(row.row), after.get(row.row), len(row.question) + len(row.answer))
        for row in rows
        if row.conversation_id
    }


def _lexical_row(row: Row) -> LexicalRow:
    return LexicalRow(
        row=row.row,
        revision=1,
        question=row.question,
        answer=row.answer,
        keywords=(),
        title="",
        tool=row.tool,
        conversation_id=row.conversation_id,
        workspace="",
    )
