"""The engine's state as `remanence status` tells it."""

from __future__ import annotations

import functools
from importlib.metadata import version

import psutil

from remanence import __version__
from remanence.engine import messages as m
from remanence.engine.embedding import EmbedderSlot
from remanence.engine.indexing import Indexing
from remanence.engine.reranking import RerankerSlot
from remanence.memory.store import Store
from remanence.paths import Home

_LIBRARIES = ("pygls", "faiss-cpu", "tantivy", "onnxruntime", "keybert")
_MB = 2**20


def observe(
    home: Home,
    store: Store,
    indexing: Indexing,
    embedders: EmbedderSlot,
    rerankers: RerankerSlot,
    jobs: list[m.Job],
    degraded: str | None,
) -> m.StatusResponse:
    """What is stored, what waits, what runs, and what is wrong, now."""
    pending = _pending(store, indexing, embedders)
    return m.StatusResponse(
        exchanges=store.count(),
        facts=0,
        pending=max(pending.embedding, pending.keywords, pending.indexing),
        pending_by=pending,
        indexes=_indexes(indexing),
        processes=_processes(),
        versions=_versions(),
        home=str(home.root),
        embedder=embedders.describe(),
        reranker=rerankers.describe(),
        jobs=jobs[:5],
        database_bytes=store.database.size(),
        forgotten=store.count_forgotten(),
        degraded=degraded,
    )


@functools.cache
def _versions() -> dict[str, str]:
    return {"remanence": __version__, **{name: version(name) for name in _LIBRARIES}}


def _pending(store: Store, indexing: Indexing, embedders: EmbedderSlot) -> m.Pending:
    model, dense = embedders.model_id(), indexing.dense
    embedded = indexing.backlog.count_vectors(dense.model_id if dense is not None else model or "")
    return m.Pending(
        embedding=indexing.backlog.count_to_embed(model) if model else store.count(),
        keywords=indexing.count_to_keyword(),
        indexing=max(
            store.count_changed(indexing.lexical.revision),
            embedded - (len(dense) if dense is not None else 0),
        ),
    )


def _indexes(indexing: Indexing) -> list[m.IndexState]:
    dense = indexing.dense
    return [
        m.IndexState(
            name="lexical",
            state="building" if indexing.is_building_text() else "ready",
            items=len(indexing.lexical),
            bytes=indexing.lexical.nbytes,
        ),
        m.IndexState(
            name="dense",
            state="absent" if dense is None else "building" if indexing.is_building() else "ready",
            items=len(dense) if dense is not None else 0,
            bytes=dense.nbytes if dense is not None else 0,
        ),
    ]


def _processes() -> list[m.ProcessState]:
    """The engine and its workers."""
    own = psutil.Process()
    states = [m.ProcessState(name="engine", pid=own.pid, rss_mb=round(own.memory_info().rss / _MB, 1))]
    for child in own.children(recursive=True):
        try:
            command = " ".join(child.cmdline())
            rss = child.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
        name = next(
            (part.rpartition(".")[2] for part in command.split() if part.startswith("remanence.")), "worker"
        )
        states.append(m.ProcessState(name=name, pid=child.pid, rss_mb=round(rss / _MB, 1)))
    return states
