"""mem0 with infer=False: what is said is stored as it is, in its default store (Qdrant, in process)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mem0 import Memory

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

_USER = "benchmark"


class Mem0(Peer):
    def __init__(self, folder: Path, embedding: Embedding) -> None:
        unused = {"api_key": "unused"}  # its default clients want one, though nothing is ever sent
        store = {"path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": 384}
        self._memory = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": {"collection_name": "mem0", **store}},
                "llm": {"provider": "openai", "config": unused},
                "embedder": {"provider": "openai", "config": unused},
                "history_db_path": str(folder / "history.db"),
            }
        )
        self._memory.embedding_model = _Shared(embedding)

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        for each in exchanges:
            self._memory.add(
                each.text,
                user_id=_USER,
                run_id=each.conversation or None,
                metadata={"name": each.id},
                infer=False,
            )

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        filters = {"user_id": _USER} | ({"run_id": conversation} if conversation is not None else {})
        found = self._memory.search(text, filters=filters, top_k=most)
        return [each["metadata"]["name"] for each in found["results"]]


class _Shared:
    """mem0's embedder, in the shape that it calls."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        if memory_action == "search":
            return self._embedding.query(text).tolist()
        return self._embedding.passages([text])[0].tolist()

    def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
        return [self.embed(text, memory_action) for text in texts]


if __name__ == "__main__":
    serve(Mem0)
