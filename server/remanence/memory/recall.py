"""Recall: a query in, ranked memories out, each with its reasons. Empty where nothing is relevant."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from remanence.memory import fusion
from remanence.memory.context import leaning, lent_by_neighbours
from remanence.memory.dense import Cancelled, DenseIndex, never
from remanence.memory.fresh import fresh_evidence
from remanence.memory.fusion import Evidence
from remanence.memory.index_files import IndexReadError
from remanence.memory.lexical import LexicalIndex, LexicalQuery
from remanence.memory.passages import excerpt
from remanence.memory.query import RecallQuery, surface_words
from remanence.memory.ranking import Ranked, collapse_duplicates, demote_superseded, with_priors
from remanence.memory.rows import Row, Rows
from remanence.memory.time_expressions import find_span

Rowids = NDArray[np.int64]
Floats = NDArray[np.float32]

_DEPTH = 100  # candidates from each side, or as many as asked for; both then say what they know of all
_IN_CONTEXT = 100  # looked at together with their neighbours, or three times what was asked for
_LOOKED_AT = 40  # rows read from the store for the last steps, or three times what was asked for
_FRESH = 200
_OPENING = 2000  # characters of a long prompt in which a time is looked for
_LENT = 0.02  # what neighbours must have added to be worth saying
_AHEAD = ThreadPoolExecutor(max_workers=4, thread_name_prefix="query")  # embeds while words are looked up
_SIMILAR = 0.45  # the cosine from which "similar meaning" is worth saying


class QueryEmbedder(Protocol):
    """What recall needs of an embedder."""

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a query: shape (d,), unit norm."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """One memory. `score` runs from 0 to about 1; `why` says in words what brought it here."""

    row: Row
    score: float
    excerpt: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recollection:
    """Memories, best first. `degraded` says in words what recall had to do without."""

    memories: tuple[Recalled, ...]
    degraded: str | None = None


@dataclass(frozen=True, slots=True)
class _Candidates:
    rowids: Rowids
    evidence: Evidence
    held: NDArray[np.bool_]


def recall(
    query: RecallQuery,
    *,
    rows: Rows,
    lexical: LexicalIndex | None,
    dense: DenseIndex | None,
    embedder: QueryEmbedder | None,
    cancelled: Callable[[], bool] = never,
) -> Recollection:
    """Find memories. Without an embedder or a dense index the words decide alone, and the other way
    round; `degraded` then says so. Raises Cancelled as soon as a stage finds that nobody waits any more.
    """
    degraded: str | None = None
    use_dense = query.mode != "lexical"
    use_lexical = query.mode != "dense"
    if use_dense and (embedder is None or dense is None):
        use_dense, use_lexical = False, True
        degraded = "The embedder is not ready: memories are found by their words alone."
    if lexical is None:
        degraded = "The lexical index is not ready: memories are found by their meaning alone."
        if not use_dense:
            return Recollection((), "No index is ready yet.")
        use_lexical = False

    indexed = lexical.revision if lexical is not None else 0  # read first: a commit meanwhile hides nothing
    among = rows.scope(query.scope) if query.scope else None
    _check(cancelled)
    encoding = (
        _AHEAD.submit(embedder.encode_query, query.meaning) if embedder is not None and use_dense else None
    )
    words = lexical.query(query.words) if lexical is not None else _no_words()
    try:
        found = _by_words(query, words, lexical, among) if lexical is not None and use_lexical else _none()
        vector = encoding.result() if encoding is not None else None
        _check(cancelled)
        near = _by_meaning(query, dense, vector, among, cancelled)
        candidates = _gather(words, lexical, found, near, dense, vector)
    except IndexReadError:
        if not use_dense:
            raise
        degraded = "The lexical index is damaged: memories are found by their meaning alone."
        use_lexical = False
        vector = encoding.result() if encoding is not None else None
        near = _by_meaning(query, dense, vector, among, cancelled)
        candidates = _gather(words, None, _none(), near, dense, vector)
    _check(cancelled)

    known = {int(rowid) for rowid in candidates.rowids}
    fresh: list[Row] = []
    if lexical is not None and use_lexical:
        fresh = [
            row
            for row in rows.unindexed(indexed, _FRESH)
            if row.row not in known and (among is None or bool(np.isin(row.row, among)))
        ]
    fresh, bm25, held = fresh_evidence(fresh, words)
    candidates = _joined(candidates, fresh, bm25, held, words, dense, vector)

    scores = fusion.fused(candidates.evidence, dense=use_dense, lexical=use_lexical)
    kept = np.flatnonzero(
        fusion.relevant(
            candidates.evidence,
            automatic=query.automatic,
            conversation=query.scope.conversation_id is not None,
            dense=use_dense,
            lexical=use_lexical,
        )
    )
    kept = _best(kept, scores, max(_IN_CONTEXT, 3 * query.limit))
    lent = np.zeros_like(scores)
    lent[kept] = lent_by_neighbours(
        candidates.rowids[kept],
        candidates.evidence.of(kept),
        candidates.held[kept],
        words.idf,
        rows.following(candidates.rowids[kept].tolist()),
        dense=use_dense,
        lexical=use_lexical,
    )
    kept = _best(kept, scores + lent, max(_LOOKED_AT, 3 * query.limit))
    by_row = {row.row: row for row in rows.rows(candidates.rowids[kept].tolist())}
    _check(cancelled)
    ranked = [
        _ranked(row, i, float(scores[i]), float(lent[i]))
        for i in kept.tolist()
        if (row := by_row.get(int(candidates.rowids[i]))) is not None
    ]
    ranked = with_priors(ranked, query, words.terms, find_span(query.text[:_OPENING], query.now_ms))
    ranked = collapse_duplicates(ranked, dense)
    ranked = demote_superseded(ranked)
    if query.min_score is not None:
        ranked = [each for each in ranked if each.score >= query.min_score]
    _check(cancelled)
    written = surface_words(query.words)
    memories = tuple(
        Recalled(
            row=each.row,
            score=round(min(each.score, 1.0), 4),
            excerpt=excerpt(each.row.answer, words.terms),
            why=(*_reasons(each.candidate, candidates, words, written), *each.why),
        )
        for each in ranked[: query.limit]
    )
    return Recollection(memories, degraded)


def _by_words(query: RecallQuery, words: LexicalQuery, lexical: LexicalIndex, among: Rowids | None) -> Rowids:
    """The rows that share the most telling words with the query."""
    # time and tag are known to the store alone
    beyond = query.scope.since is not None or query.scope.until is not None or query.scope.tag is not None
    return lexical.search(words, max(_DEPTH, query.limit), query.scope, among if beyond else None)[0]


def _by_meaning(
    query: RecallQuery,
    dense: DenseIndex | None,
    vector: Floats | None,
    among: Rowids | None,
    cancelled: Callable[[], bool],
) -> tuple[Rowids, Floats]:
    """The rows nearest to the query's vector, and their cosines."""
    if dense is None or vector is None:
        return _none(), np.empty(0, dtype=np.float32)
    return dense.search(vector, max(_DEPTH, query.limit), among, cancelled)


def _gather(
    words: LexicalQuery,
    lexical: LexicalIndex | None,
    found: Rowids,
    near: tuple[Rowids, Floats],
    dense: DenseIndex | None,
    vector: Floats | None,
) -> _Candidates:
    """What both sides know of all that either found."""
    rowids = np.union1d(near[0], found)
    cosines = np.full(len(rowids), np.nan, dtype=np.float32)
    is_near = np.isin(rowids, near[0])
    cosines[np.searchsorted(rowids, near[0])] = near[1]
    cosines[~is_near] = _cosines(rowids[~is_near], dense, vector)
    if lexical is None:
        nothing = np.zeros(len(rowids), dtype=np.float32)
        held = np.zeros((len(rowids), len(words.terms)), dtype=np.bool_)
        return _Candidates(rowids, Evidence(cosines, nothing, nothing), held)
    bm25, held = lexical.evidence(words, rowids)
    strengths, coverages = fusion.lexical_evidence(bm25, held, words.idf)
    return _Candidates(rowids, Evidence(cosines, strengths, coverages), held)


def _joined(
    candidates: _Candidates,
    fresh: list[Row],
    bm25: Floats,
    held: NDArray[np.bool_],
    words: LexicalQuery,
    dense: DenseIndex | None,
    vector: Floats | None,
) -> _Candidates:
    if not fresh:
        return candidates
    rowids = np.array([row.row for row in fresh], dtype=np.int64)
    strengths, coverages = fusion.lexical_evidence(bm25, held, words.idf)
    old = candidates.evidence
    return _Candidates(
        np.concatenate([candidates.rowids, rowids]),
        Evidence(
            np.concatenate([old.cosines, _cosines(rowids, dense, vector)]),
            np.concatenate([old.strengths, strengths]),
            np.concatenate([old.coverages, coverages]),
        ),
        np.concatenate([candidates.held, held]),
    )


def _cosines(rowids: Rowids, dense: DenseIndex | None, vector: Floats | None) -> Floats:
    """Exact cosines (n,); nan for a row without a vector."""
    if dense is None or vector is None:
        return np.full(len(rowids), np.nan, dtype=np.float32)
    vectors = dense.vectors(rowids)
    cosines = np.einsum("id,d->i", vectors, vector).astype(np.float32)
    cosines[~vectors.any(axis=1)] = np.nan
    return cosines


def _reasons(
    at: int, candidates: _Candidates, words: LexicalQuery, written: list[tuple[str, frozenset[str]]]
) -> list[str]:
    held = {term for term, is_held in zip(words.terms, candidates.held[at].tolist(), strict=True) if is_held}
    rank = {term: i for i, term in enumerate(words.terms)}
    matched = [
        (min(rank[term] for term in stands_for), word)
        for word, stands_for in written
        if stands_for and stands_for <= held
    ]
    reasons: list[str] = []
    if matched:
        reasons.append("matches " + ", ".join(f"'{word}'" for _, word in sorted(matched)[:4]))
    cosine = float(candidates.evidence.cosines[at])
    if cosine >= _SIMILAR:
        reasons.append(f"similar meaning ({cosine:.2f})")
    if not reasons:
        stems = [term for term in words.terms if term in held][:4]
        reasons.append(f"related words: {', '.join(stems)}" if stems else f"related meaning ({cosine:.2f})")
    return reasons


def _ranked(row: Row, candidate: int, score: float, lent: float) -> Ranked:
    taken = lent * leaning(row)
    why = ("beside a better match",) if taken >= _LENT else ()
    return Ranked(row, score + taken, candidate, why)


def _best(kept: Rowids, scores: Floats, limit: int) -> Rowids:
    return kept[np.argsort(-scores[kept], kind="stable")][:limit]


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled


def _none() -> Rowids:
    return np.empty(0, dtype=np.int64)


def _no_words() -> LexicalQuery:
    return LexicalQuery((), np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_))
