"""Recall: a query in, ranked memories out, each with its reasons. Empty where nothing is relevant."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from remanence.memory import fusion
from remanence.memory.candidates import Candidates, Rowids, Said, Sides, said_of
from remanence.memory.cognates import across_languages
from remanence.memory.context import lent_by_neighbours
from remanence.memory.dense import Cancelled, DenseIndex, Near, never
from remanence.memory.fresh import fresh_evidence
from remanence.memory.fusion import Floats
from remanence.memory.index_files import IndexReadError
from remanence.memory.lexical import LexicalIndex, LexicalQuery
from remanence.memory.one_place import said_at_one_place
from remanence.memory.passages import excerpt
from remanence.memory.phrases import Quoted, quoted
from remanence.memory.query import RecallQuery, surface_words
from remanence.memory.ranking import Ranked, collapse_duplicates, demote_superseded, with_priors
from remanence.memory.reranking import Reranker, reranked
from remanence.memory.rows import Row, Rows
from remanence.memory.time_expressions import find_span
from remanence.memory.validity import earlier_below_later
from remanence.memory.vector_file import widened

# Candidates from each side for each memory asked for: both sides then say what they know of all. With ten
# for each R@10 is the same on every set, and a hover takes a seventh longer.
_CANDIDATES, _LEAST_CANDIDATES = 6, 30
# For each memory asked for, looked at together with their neighbours, and read from the store at the end.
_LOOKED_AT, _LEAST_LOOKED_AT = 3, 15
_FRESH = 200
_OPENING = 2000  # characters of a long prompt in which a time is looked for
_LENT = 0.02  # what neighbours must have added to be worth saying
_AHEAD = ThreadPoolExecutor(max_workers=4, thread_name_prefix="meaning")  # while words are looked up
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
    """Memories, best first. `degraded` says in words what recall had to do without; `evidence` is the
    strongest that was found (see `fusion.strength`), which decides whether anything is returned;
    `not_reranked` says why a reranker that was given did not judge all it should have."""

    memories: tuple[Recalled, ...]
    degraded: str | None = None
    evidence: float = 0.0
    not_reranked: str | None = None


@dataclass(frozen=True, slots=True)
class _InContext:
    """Candidates with what their neighbours lend each, and their vectors (n, d) where there are any."""

    candidates: Candidates
    own: Floats
    lent: Floats
    vectors: Floats | None


def recall(
    query: RecallQuery,
    *,
    rows: Rows,
    lexical: LexicalIndex | None,
    dense: DenseIndex | None,
    embedder: QueryEmbedder | None,
    reranker: Reranker | None = None,
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
    meant = (
        _AHEAD.submit(_meant, query, embedder, dense, among, cancelled)
        if embedder is not None and dense is not None and use_dense
        else None
    )
    words = lexical.query(query.words) if lexical is not None else LexicalQuery.empty()
    written = surface_words(query.words)  # this and the next could wait, but the vector is not there yet
    span = find_span(query.text[:_OPENING], query.now_ms)
    fresh = rows.unindexed(indexed, _FRESH) if lexical is not None and use_lexical else []
    try:
        said = (
            said_of(lexical, words, _by_words(query, words, lexical, among))
            if lexical is not None and use_lexical
            else None
        )
        in_order = (
            _quoted(query, words, lexical, among) if lexical is not None and use_lexical else Quoted.nothing()
        )
        _check(cancelled)
        vector, near = meant.result() if meant is not None else (None, None)
        sides = Sides(words, lexical, dense, vector)
        _check(cancelled)
        near = near if near is not None else _by_meaning(query, sides, among, cancelled)
        _check(cancelled)
        candidates = sides.know(_either(near, said, in_order), near, said)
    except IndexReadError:
        if not use_dense:
            raise
        degraded = "The lexical index is damaged: memories are found by their meaning alone."
        use_lexical = False
        vector, near = meant.result() if meant is not None else (None, None)
        sides = Sides(words, None, dense, vector)
        near = near if near is not None else _by_meaning(query, sides, among, cancelled)
        in_order = Quoted.nothing()
        candidates = sides.know(_either(near, None, in_order), near)
    _check(cancelled)
    if use_lexical:
        candidates = _with_fresh(candidates, sides, fresh, among)

    by = fusion.weights(use_dense, use_lexical)
    strength = fusion.strength(candidates.evidence, dense=use_dense, lexical=use_lexical)
    within = query.scope.conversation_id is not None  # one conversation

    def relevant(of: Candidates) -> Rowids:
        flags = fusion.relevant(
            of.evidence,
            automatic=query.automatic,
            conversation=within,
            dense=use_dense,
            lexical=use_lexical,
        )
        return np.flatnonzero(flags)

    looked_at = max(_LEAST_LOOKED_AT, _LOOKED_AT * query.limit)
    kept = _best(
        relevant(candidates),
        fusion.scores(candidates.evidence, by) + in_order.gained(candidates.rowids),
        looked_at,
    )
    context = _in_context(candidates, kept, sides, rows, among, by)
    _check(cancelled)
    scores = context.own + context.lent + in_order.gained(context.candidates.rowids)
    kept = _best(relevant(context.candidates), scores, looked_at)
    by_row = {row.row: row for row in rows.rows(context.candidates.rowids[kept].tolist())}
    _check(cancelled)
    ranked = [
        Ranked(row, float(scores[i]), i, ("with the turn beside it",) if context.lent[i] >= _LENT else ())
        for i in kept.tolist()
        if (row := by_row.get(int(context.candidates.rowids[i]))) is not None
    ]
    ranked = across_languages(with_priors(ranked, query, words.terms, span), query.text)
    if within and use_lexical:
        ranked = said_at_one_place(ranked, words.terms, words.idf)
    ranked = collapse_duplicates(ranked, context.vectors)
    not_reranked: str | None = None
    if reranker is not None:
        judged = reranked(ranked, query.text, words.terms, reranker, cancelled)
        ranked, not_reranked = judged.ranked, judged.without
    ranked = earlier_below_later(ranked, context.candidates.held, words.terms, words.idf, context.vectors)
    ranked = demote_superseded(ranked)
    if query.min_score is not None:
        ranked = [each for each in ranked if each.score >= query.min_score]
    _check(cancelled)
    held: list[list[bool]] | None = context.candidates.held.tolist() if sides.lexical is not None else None
    memories = tuple(
        Recalled(
            row=each.row,
            score=round(min(max(each.score, 0.0), 1.0), 4),
            excerpt=excerpt(each.row.answer, words.terms, held=held[each.candidate] if held else None)
            if query.excerpts
            else "",
            why=(*_reasons(each.candidate, context.candidates, words, written), *each.why),
        )
        for each in ranked[: query.limit]
    )
    return Recollection(memories, degraded, float(strength.max(initial=0.0)), not_reranked)


def _by_words(query: RecallQuery, words: LexicalQuery, lexical: LexicalIndex, among: Rowids | None) -> Rowids:
    """The rows that share the most telling words with the query."""
    return lexical.search(words, _candidates(query), query.scope, _beyond(query, among))[0]


def _quoted(query: RecallQuery, words: LexicalQuery, lexical: LexicalIndex, among: Rowids | None) -> Quoted:
    """The rows that hold the query, or runs of it, word for word."""
    return quoted(lexical, query.text, words, query.scope, _beyond(query, among))


def _candidates(query: RecallQuery) -> int:
    return max(_LEAST_CANDIDATES, _CANDIDATES * query.limit)


def _beyond(query: RecallQuery, among: Rowids | None) -> Rowids | None:
    """The rows in scope, where the lexical index cannot tell: time and tag are known to the store alone."""
    beyond = query.scope.since is not None or query.scope.until is not None or query.scope.tag is not None
    return among if beyond else None


def _by_meaning(
    query: RecallQuery, sides: Sides, among: Rowids | None, cancelled: Callable[[], bool]
) -> Near | None:
    """The rows nearest to the query's vector, where it has one."""
    if sides.dense is None or sides.vector is None:
        return None
    return sides.dense.search(sides.vector, _candidates(query), among, cancelled)


def _meant(
    query: RecallQuery,
    embedder: QueryEmbedder,
    dense: DenseIndex,
    among: Rowids | None,
    cancelled: Callable[[], bool],
) -> tuple[NDArray[np.float32], Near | None]:
    """The query's vector; and what is near to it, where to look for that takes longer than to wake whoever
    waits for it: in a store so large words take longer too."""
    vector = embedder.encode_query(query.meaning)
    near = dense.search(vector, _candidates(query), among, cancelled) if dense.is_large else None
    return vector, near


def _either(near: Near | None, said: Said | None, in_order: Quoted) -> Rowids:
    """The rows that one of both sides found, or that hold runs of the query, ascending."""
    found = [side.rowids for side in (near, said, in_order) if side is not None]
    return np.unique(np.concatenate(found))


def _with_fresh(candidates: Candidates, sides: Sides, fresh: list[Row], among: Rowids | None) -> Candidates:
    """The candidates, and what was captured a moment ago and shares a word with the query."""
    if not fresh:
        return candidates
    known = {int(rowid) for rowid in candidates.rowids}
    new = [row for row in fresh if row.row not in known and (among is None or bool(np.isin(row.row, among)))]
    new, body, question, held = fresh_evidence(new, sides.words)
    if not new:
        return candidates
    rowids = np.array([row.row for row in new], dtype=np.int64)
    return candidates.then(sides.know_fresh(Said(rowids, body, question, held)))


def _in_context(
    candidates: Candidates, kept: Rowids, sides: Sides, rows: Rows, among: Rowids | None, by: fusion.Weights
) -> _InContext:
    """The best candidates and the turns beside them, each with what its neighbours lend it."""
    chosen = candidates.of(kept)
    turns = rows.turns(chosen.rowids.tolist())
    beside = {number for turn in turns.values() for number in (turn.before, turn.after) if number is not None}
    beside.difference_update(chosen.rowids.tolist())
    if among is not None:
        beside = set(np.intersect1d(np.array(list(beside), dtype=np.int64), among).tolist())
    if beside:
        at = {rowid: i for i, rowid in enumerate(candidates.rowids.tolist()) if rowid in beside}
        new = sorted(beside.difference(at))
        chosen = chosen.then(candidates.of(np.array(list(at.values()), dtype=np.int64)))
        if new:
            chosen = chosen.then(sides.know(np.array(new, dtype=np.int64)))
        turns |= rows.turns(chosen.rowids[len(kept) :].tolist())
    vectors = None
    if sides.dense is not None and len(chosen.rowids):
        known = sides.vector is not None
        vectors = widened(chosen.wholes) if known else sides.dense.vectors(chosen.rowids)
    lent = lent_by_neighbours(chosen.rowids, turns, chosen.held, sides.words.idf, vectors, sides.vector, by)
    return _InContext(chosen, fusion.scores(chosen.evidence, by), lent, vectors)


def _reasons(
    at: int, candidates: Candidates, words: LexicalQuery, written: list[tuple[str, frozenset[str]]]
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
    cosine = float(candidates.evidence.best[at])
    if cosine >= _SIMILAR:
        reasons.append(f"similar meaning ({cosine:.2f})")
    if not reasons:
        related = [word for word, stands_for in written if stands_for & held][:4]
        reasons.append(
            f"related words: {', '.join(related)}" if related else f"related meaning ({cosine:.2f})"
        )
    return reasons


def _best(kept: Rowids, scores: Floats, limit: int) -> Rowids:
    return kept[np.argsort(-scores[kept], kind="stable")][:limit]


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled
