"""Interim: simple hybrid until memory.recall lands."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.engine import messages as m
from remanence.engine.embedding import EmbedderSlot
from remanence.engine.indexing import Indexing
from remanence.engine.verbs import Cancelled
from remanence.memory.rows import Row
from remanence.memory.store import Store


class Searching:
    def __init__(self, store: Store, indexing: Indexing, embedders: EmbedderSlot) -> None:
        self._store, self._indexing, self._embedders = store, indexing, embedders

    def _find(self, text: str, limit: int) -> list[tuple[Row, float]]:
        scores: dict[int, float] = {}
        rows, found = self._indexing.lexical.search(text, 50)
        for r, s in zip(
            rows.tolist(), (found / max(float(found.max(initial=1e-6)), 1e-6)).tolist(), strict=True
        ):
            scores[r] = scores.get(r, 0) + s
        e = self._embedders.get()
        if e is not None and self._indexing.dense is not None:
            rows, found = self._indexing.dense.search(e.encode_query(text), 50)
            for r, s in zip(rows.tolist(), found.tolist(), strict=True):
                scores[r] = scores.get(r, 0) + s
        for row in self._store.unindexed(self._indexing.lexical.revision, 200):
            if set(text.lower().split()) & set((row.question + " " + row.answer).lower().split()):
                scores.setdefault(row.row, 1.0)
        best = sorted(scores, key=lambda r: -scores[r])[:limit]
        return [(row, scores[row.row]) for row in self._store.rows(best)]

    def recall(self, request: m.RecallRequest, cancelled: Cancelled) -> list[m.Memory]:
        return [
            self.as_memory(row, score)
            for row, score in self._find(request.query, request.limit)
            if score > 0.4
        ]

    def complete(self, request: m.CompleteRequest, cancelled: Cancelled) -> Any:
        numbers = self._indexing.lexical.continue_prompt(request.text, request.limit)
        return [self.as_memory(row) for row in self._store.rows(numbers.tolist())], []

    def for_prompt(self, request: m.EnrichPromptRequest, depth: int, cancelled: Cancelled) -> list[Row]:
        return [row for row, score in self._find(request.prompt, depth) if score > 0.4]

    def as_memory(self, row: Row, score: float = 1.0) -> m.Memory:
        return m.Memory(
            id=row.id,
            question=row.question,
            answer=row.answer,
            excerpt=row.answer[:240],
            score=score,
            tool=row.tool,
            external_id=row.external_id,
            asked_at=row.asked_at,
            answered_at=row.answered_at,
            model=row.model,
            conversation_id=row.conversation_id,
            conversation_title=row.conversation_title,
            workspace=row.workspace,
            uri=row.uri,
            language_id=row.language_id,
            keywords=list(row.keywords),
            tags=list(row.tags),
            superseded_by=row.superseded_by,
        )
