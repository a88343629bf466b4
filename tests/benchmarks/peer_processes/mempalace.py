"""MemPalace: exchanges filed as its live integrations file them, found by `search_memories` as it is.

Its embedding function is replaced by the one that all share; a conversation is a wing of the palace.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import mempalace.embedding
from chromadb.api.types import EmbeddingFunction
from mempalace.convo_miner import file_conversation_exchange
from mempalace.palace import get_collection
from mempalace.searcher import search_memories

from peer_processes.peer import Embedding, Floats, Peer, Said, serve


class MemPalace(Peer):
    def __init__(self, folder: Path, embedding: Embedding) -> None:
        mempalace.embedding.get_embedding_function = lambda *_, **__: _function(embedding)
        self._palace = str(folder / "palace")
        self._names = folder / "names.json"
        self._by_drawer: dict[str, str] = {}
        self._wings: dict[str, str] = {}
        if self._names.exists():
            self._by_drawer, self._wings = json.loads(self._names.read_text(encoding="utf-8"))

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        collection = get_collection(self._palace)
        for each in exchanges:
            wing = self._wings.setdefault(each.conversation, f"conversation {len(self._wings)}")
            drawer = file_conversation_exchange(
                collection,
                wing=wing,
                room="conversations",
                text=each.text,
                source_file=f"{each.conversation}.jsonl",
                agent="benchmark",
            )
            self._by_drawer[drawer] = each.id
        self._names.write_text(json.dumps([self._by_drawer, self._wings]), encoding="utf-8")

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        wing = None if conversation is None else self._wings[conversation]
        found = search_memories(text, self._palace, wing=wing, n_results=most)
        if "error" in found:
            raise RuntimeError(found["error"])
        return [self._by_drawer[each["drawer_id"]] for each in found["results"]]


def _function(embedding: Embedding) -> EmbeddingFunction:
    """Under the name that Chroma keeps for its own default, which is the same model."""

    class Shared(EmbeddingFunction):
        def __init__(self) -> None:
            pass

        def __call__(self, input: list[str]) -> list[Floats]:
            return list(embedding.passages(input))

        def embed_query(self, input: list[str]) -> list[Floats]:
            return [embedding.query(text) for text in input]

        @staticmethod
        def name() -> str:
            return "default"

    return Shared()


if __name__ == "__main__":
    serve(MemPalace)
