"""Chroma: its HNSW index over cosines, with the texts stored beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import chromadb
from chromadb.config import Settings

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

_BATCH = 4096  # below Chroma's own limit


class Chroma(Peer):
    def __init__(self, folder: Path, embedding: Embedding) -> None:
        self._embedding = embedding
        client = chromadb.PersistentClient(str(folder / "chroma"), Settings(anonymized_telemetry=False))
        self._collection = client.get_or_create_collection(
            "exchanges", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        for start in range(0, len(exchanges), _BATCH):
            part = exchanges[start : start + _BATCH]
            self._collection.add(
                ids=[each.id for each in part],
                documents=[each.text for each in part],
                embeddings=vectors[start : start + _BATCH],
                metadatas=[{"conversation": each.conversation} for each in part],
            )

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        found = self._collection.query(
            query_embeddings=self._embedding.query(text)[None],
            n_results=most,
            where={"conversation": conversation} if conversation is not None else None,
            include=["documents", "distances"],
        )
        return found["ids"][0]


if __name__ == "__main__":
    serve(Chroma)
