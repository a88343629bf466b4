"""Recall as the doors ask for it: requests in, memories out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from remanence.engine import messages as m
from remanence.engine.fact_looks import notes_for_prompt, told_of_changes
from remanence.engine.foreground import waited_for
from remanence.engine.indexing import Indexing
from remanence.engine.reranking import RerankerSlot
from remanence.engine.verbs import Cancelled, moment
from remanence.memory.fact_store import FactStore
from remanence.memory.fusion import AUTOMATIC_GATE
from remanence.memory.index_files import IndexReadError
from remanence.memory.passages import code_blocks, excerpt
from remanence.memory.prompt import strip_memory
from remanence.memory.query import Place, RecallQuery
from remanence.memory.recall import Recalled, Recollection, recall
from remanence.memory.reranking import Reranker
from remanence.memory.rows import Row, Scope
from remanence.memory.store import Store
from remanence.memory.timestamps import now_ms

_BLOCKS = 24
CHANGED_LATER = "changed later in the conversation"  # a reason that a prompt repeats: see memory.validity
_LEAST_SHARE = 0.5  # of the best one's score, for a prompt; 99 in 100 relevant ones of the first ten have it
_LEAST_TYPED = 8  # characters; fewer say too little to search by meaning


class Searching:
    """Recall over one engine's store and indexes."""

    def __init__(self, store: Store, indexing: Indexing, rerankers: RerankerSlot) -> None:
        self._store = store
        self._facts = FactStore(store.database)
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

    def for_prompt(self, request: m.EnrichPromptRequest, depth: int, cancelled: Cancelled) -> list[Recalled]:
        """The memories worth putting before a prompt, at most `depth`, best first.

        An automatic request is silent where an automatic recall would be; once there is something to say,
        the packer chooses among all that may help.
        """
        query = RecallQuery(
            text=strip_memory(request.prompt),
            now_ms=now_ms(),
            limit=depth,
            scope=Scope(
                workspace=request.workspace, tool=request.tool, conversation_id=request.conversation_id
            ),
            place=self._place(request.uri, request.language_id),
            symbol=request.symbol,
            excerpts=False,
        )
        found = self._recall(query, cancelled)
        if not found.memories or (request.automatic and found.evidence < AUTOMATIC_GATE):
            return []
        least = _LEAST_SHARE * max(each.score for each in found.memories)
        said_here = request.except_conversation_id
        return [
            each
            for each in found.memories
            if each.score >= least and (said_here is None or each.row.conversation_id != said_here)
        ]

    def notes(self, recalled: Sequence[Recalled]) -> dict[str, str]:
        """What a prompt says of these memories' validity beside their dates, by their ids."""
        changed = {each.row.id: CHANGED_LATER for each in recalled if CHANGED_LATER in each.why}
        return changed | notes_for_prompt(self._facts, recalled)

    def _recall(
        self, query: RecallQuery, cancelled: Cancelled, reranker: Reranker | None = None
    ) -> Recollection:
        dense, embedder = self._indexing.by_meaning()
        try:
            with waited_for():
                found = recall(
                    query,
                    rows=self._store,
                    lexical=self._indexing.lexical,
                    dense=dense,
                    embedder=embedder,
                    reranker=reranker,
                    cancelled=cancelled,
                )
                found = replace(found, memories=tuple(told_of_changes(self._facts, found.memories)))
        except IndexReadError:
            self._indexing.mistrust(text_alone=query.mode == "lexical")
            raise
        finally:
            self._indexing.pages.searched()
        if found.degraded is not None and dense is not None and embedder is not None:
            self._indexing.mistrust(text_alone=True)  # all was there: words could not be read
        return found

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
