"""txtai with hybrid=True: Faiss and its own BM25, half and half, and the texts in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from txtai import Embeddings

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

_SCOPED_CANDIDATES = 2000  # a scope is a filter behind the search: with fewer it would come out empty


class Txtai(Peer):
    def __init__(self, folder: Path, embedding: Embedding) -> None:
        def transform(texts: list[str]) -> Floats:
            return embedding.query(texts[0])[None] if len(texts) == 1 else embedding.passages(texts)

        self._folder = folder / "txtai"
        settings = {"method": "external", "transform": transform}
        if self._folder.exists():
            self._index = Embeddings()
            self._index.load(str(self._folder), config=settings)
        else:
            self._index = Embeddings({**settings, "hybrid": True, "content": True})

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        self._index.index(
            (each.id, {"text": each.text, "conversation": each.conversation}) for each in exchanges
        )
        self._index.config.pop("transform")  # a function is not saved
        self._index.save(str(self._folder))

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        if conversation is None:
            found = self._index.search(text, most)
        else:
            found = self._index.search(
                f"select id, text, score from txtai where similar(:text, {_SCOPED_CANDIDATES}) "
                "and conversation = :conversation",
                most,
                parameters={"text": text, "conversation": conversation},
            )
        return [each["id"] for each in found]


if __name__ == "__main__":
    serve(Txtai)
