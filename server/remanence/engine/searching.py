"""Recall as the doors ask for it: requests in, memories out."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from remanence.engine import messages as m
from remanence.engine.indexing import Indexing
from remanence.engine.reranking import RerankerSlot
from remanence.engine.verbs import Cancelled, moment
from remanence.memory.passages import code_blocks, excerpt
from remanence.memory.query import Place, RecallQuery
from remanence.memory.recall import Recollection, recall
from remanence.memory.reranking import Reranker
from remanence.memory.rows import Row, Scope
from remanence.memory.store import Store
from remanence.memory.timestamps import now_ms

_BLOCKS = 24
_LEAST_TYPED = 8  # characters; fewer say too little to search by meaning


class Searching:
    """Recall over one engine's store and indexes."""

    def __init__(self, store: Store, indexing: Indexing, rerankers: RerankerSlot) -> None:
        self._store = store
        self._indexing = indexing
        self._rerankers = rerankers

    def recall(self, request: m.RecallRequest, cancelled: Cancelled) -> tuple[list[m.Memory], str | None]:
        """Ranked memories, best first, none where nothing is relevant; and why they are not reranked, if so.

        The reranker is asked where the user asked in so many words, and named no side that should decide.
        """
        explicit = not request.automatic and request.mode == "hybrid"
        reranker = self._rerankers.for_one_recall() if explicit else None
        query = RecallQuery(
            text=request.query,
            now_ms=now_ms(),
            limit=request.limit,
            mode=request.mode,
            scope=Scope(
                workspace=request.workspace,
                tool=request.tool,
                conversation_id=request.conversation_id,
                since=moment(request.since, "since"),
                until=moment(request.until, "until"),
            ),
            place=self._place(request.uri, request.language_id),
            symbol=request.symbol,
            automatic=request.automatic,
            min_score=request.min_score,
        )
        found = self._recall(query, cancelled, reranker)
        memories = [as_memory(each.row, each.score, each.excerpt, each.why) for each in found.memories]
        return memories, found.not_reranked

    def complete(
        self, request: m.CompleteRequest, cancelled: Cancelled
    ) -> tuple[list[m.Memory], list[m.CodeBlock]]:
        """Earlier questions that go on as typed, then those that mean the like; and their answers' code."""
        numbers = self._indexing.lexical.continue_prompt(request.text, request.limit)
        continued = [row for row in self._store.rows(numbers.tolist()) if row.superseded_by is None]
        memories = [as_memory(row, 1.0, excerpt(row.answer, ()), ("goes on as typed",)) for row in continued]
        related: list[m.Memory] = []
        if len(request.text.strip()) >= _LEAST_TYPED:
            query = RecallQuery(
                text=request.text,
                now_ms=now_ms(),
                limit=request.limit,
                scope=Scope(workspace=request.workspace),
                place=self._place(request.uri, request.language_id),
                automatic=True,
            )
            found = self._recall(query, cancelled).memories
            related = [as_memory(each.row, each.score, each.excerpt, each.why) for each in found]
        ranked = _once([*memories, *related])
        blocks = [
            m.CodeBlock(
                memory_id=memory.id, question=memory.question, language=block.language, code=block.code
            )
            for memory in _once([*related, *memories])
            for block in code_blocks(memory.answer)
        ]
        return ranked[: request.limit], blocks[:_BLOCKS]

    def for_prompt(self, request: m.EnrichPromptRequest, depth: int, cancelled: Cancelled) -> list[Row]:
        """The memories worth putting before a prompt, best first."""
        query = RecallQuery(
            text=request.prompt,
            now_ms=now_ms(),
            limit=depth,
            scope=Scope(
                workspace=request.workspace, tool=request.tool, conversation_id=request.conversation_id
            ),
            place=self._place(request.uri, request.language_id),
            symbol=request.symbol,
            automatic=True,
        )
        return [each.row for each in self._recall(query, cancelled).memories]

    def _recall(
        self, query: RecallQuery, cancelled: Cancelled, reranker: Reranker | None = None
    ) -> Recollection:
        dense, embedder = self._indexing.by_meaning()
        return recall(
            query,
            rows=self._store,
            lexical=self._indexing.lexical,
            dense=dense,
            embedder=embedder,
            reranker=reranker,
            cancelled=cancelled,
        )

    def _place(self, uri: str | None, language_id: str | None) -> Place:
        path = unquote(urlsplit(uri).path) if uri and uri.startswith("file:") else None
        workspace = self._store.workspace_of(path) if path else None
        return Place(uri=uri, language_id=language_id, workspace=workspace)


def as_memory(row: Row, score: float = 1.0, extract: str | None = None, why: Sequence[str] = ()) -> m.Memory:
    """A row as doors see it."""
    return m.Memory(
        id=row.id,
        question=row.question,
        answer=row.answer,
        excerpt=excerpt(row.answer, ()) if extract is None else extract,
        score=score,
        tool=row.tool,
        external_id=row.external_id,
        asked_at=row.asked_at,
        answered_at=row.answered_at,
        model=row.model,
        conversation_id=row.conversation_id or None,
        conversation_title=row.conversation_title,
        workspace=row.workspace,
        uri=row.uri,
        language_id=row.language_id,
        keywords=list(row.keywords),
        tags=list(row.tags),
        why=list(why),
        superseded_by=row.superseded_by,
    )


def _once(memories: Sequence[m.Memory]) -> list[m.Memory]:
    """Each question once, in order."""
    return list({" ".join(memory.question.split()): memory for memory in reversed(memories)}.values())[::-1]
