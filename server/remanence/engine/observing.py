"""The engine's state as `remanence status` tells it."""

from __future__ import annotations

import functools
from importlib.metadata import version

from remanence import __version__
from remanence.engine import messages as m
from remanence.engine.embedding import EmbedderSlot
from remanence.engine.indexing import Indexing
from remanence.engine.language_models import LanguageModels
from remanence.engine.reranking import RerankerSlot
from remanence.memory.fact_store import FactStore
from remanence.memory.store import Store
from remanence.paths import Home

_LIBRARIES = ("pygls", "faiss-cpu", "tantivy", "onnxruntime", "keybert")


def observe(
    home: Home,
    store: Store,
    indexing: Indexing,
    embedders: EmbedderSlot,
    rerankers: RerankerSlot,
    jobs: list[m.Job],
    degraded: str | None,
    language_models: LanguageModels,
    learning: str | None,
) -> m.StatusResponse:
    """What is stored, what waits, what runs, and what is wrong, now."""
    pending = _pending(store, indexing, embedders)
    return m.StatusResponse(
        exchanges=store.count(),
        facts=FactStore(store.database).count(),
        pending=max(pending.embedding, pending.keywords, pending.indexing),
        pending_by=pending,
        indexes=_indexes(indexing),
        processes=[
            m.ProcessState(name=each.name, pid=each.pid, rss_mb=each.rss_mb)
            for each in language_models.processes()
        ],
        versions=_versions(),
        home=str(home.root),
        embedder=embedders.describe(),
        reranker=rerankers.describe(),
        jobs=jobs[:5],
        database_bytes=store.database.size(),
        forgotten=store.count_forgotten(),
        learning=learning,
        warning=language_models.warning,
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
