"""Checks of everything the engine keeps, and what is done about what they find."""

from __future__ import annotations

from remanence.engine.embedding import EmbedderSlot
from remanence.engine.indexing import Indexing
from remanence.engine.messages import DoctorRequest, Finding
from remanence.engine.reranking import RerankerSlot
from remanence.memory.store import Store

_MB = 2**20


def examine(
    store: Store,
    indexing: Indexing,
    embedders: EmbedderSlot,
    rerankers: RerankerSlot,
    request: DoctorRequest,
) -> list[Finding]:
    """Check the database, the models and both indexes; repair what `request` allows, and say so."""
    findings = [_database(store), _permissions(store), _embedder(embedders), *_reranker(rerankers)]
    indexes = [_lexical(store, indexing), _dense(indexing)]
    if request.reembed:
        indexing.backlog.forget_vectors()
        indexing.rebuild()
        findings.append(
            Finding(
                check="vectors",
                ok=True,
                detail="asked for",
                done="every memory is embedded again in the background",
            )
        )
    elif request.rebuild or (request.repair and not all(finding.ok for finding in indexes)):
        indexing.rebuild()
        done = "both indexes are built again in the background"
        indexes = [Finding(check=each.check, ok=each.ok, detail=each.detail, done=done) for each in indexes]
    findings += indexes
    if request.vacuum or request.repair:
        freed = store.database.vacuum()
        findings.append(
            Finding(
                check="free space", ok=True, detail=f"{freed / _MB:.1f} MB", done="given back to the disk"
            )
        )
    return findings


def _database(store: Store) -> Finding:
    problems = store.database.problems()
    if problems:
        return Finding(check="database", ok=False, detail="; ".join(problems))
    return Finding(check="database", ok=True, detail=f"{store.count()} exchanges, SQLite finds it sound")


def _permissions(store: Store) -> Finding:
    mode = store.database.path.stat().st_mode & 0o777
    if mode & 0o077:
        store.database.path.chmod(0o600)
        return Finding(
            check="permissions",
            ok=False,
            detail=f"others could read the database ({mode:o})",
            done="closed to others",
        )
    return Finding(check="permissions", ok=True, detail="only you can read the database")


def _embedder(embedders: EmbedderSlot) -> Finding:
    problem = embedders.problem()
    return Finding(check="embedder", ok=problem is None, detail=problem or embedders.describe())


def _reranker(rerankers: RerankerSlot) -> list[Finding]:
    """Its state, where there is one."""
    state = rerankers.describe()
    if state is None:
        return []
    problem = rerankers.problem()
    return [Finding(check="reranker", ok=problem is None, detail=problem or state)]


def _lexical(store: Store, indexing: Indexing) -> Finding:
    held, stored = len(indexing.lexical), store.count()
    waiting = store.count_changed(indexing.lexical.revision)
    whole = indexing.is_text_whole()
    ok = whole and (bool(waiting) or held == stored)
    damage = "" if whole else ", and its files are damaged"
    return Finding(
        check="lexical index", ok=ok, detail=f"{held} of {stored} exchanges, {waiting} waiting{damage}"
    )


def _dense(indexing: Indexing) -> Finding:
    dense = indexing.dense
    if dense is None:
        return Finding(check="dense index", ok=True, detail="not loaded yet")
    held, stored = len(dense), indexing.backlog.count_vectors(dense.model_id)
    sound = dense.verify()
    waiting = indexing.backlog.count_to_embed(dense.model_id)  # a grown answer's old vector serves meanwhile
    ok = indexing.is_building() or (stored <= held <= stored + waiting and sound)
    damage = "" if sound else ", and its vectors are damaged"
    return Finding(check="dense index", ok=ok, detail=f"{held} of {stored} vectors{damage}")
