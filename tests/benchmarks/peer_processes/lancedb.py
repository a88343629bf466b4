"""LanceDB: vector search and full-text search, joined by its default reranker (reciprocal ranks).

No vector index: its documentation advises one only for large tables, and exact search finds more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lancedb
import pyarrow as pa
from lancedb.index import FTS

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

_NAME = "exchanges"


class LanceDB(Peer):
    def __init__(self, folder: Path, embedding: Embedding) -> None:
        self._embedding = embedding
        self._database = lancedb.connect(str(folder / "lancedb"))
        stored = (folder / "lancedb" / f"{_NAME}.lance").exists()
        self._table = self._database.open_table(_NAME) if stored else None

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        columns = {
            "id": [each.id for each in exchanges],
            "text": [each.text for each in exchanges],
            "conversation": [each.conversation for each in exchanges],
            "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1]),
        }
        table = self._database.create_table(_NAME, pa.table(columns))
        table.create_index("text", config=FTS(with_position=True))  # it takes a query in quotes as a phrase
        self._table = table

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        assert self._table is not None
        search = (
            self._table.search(query_type="hybrid")
            .vector(self._embedding.query(text))
            .text(text)
            .distance_type("cosine")
        )
        if conversation is not None:
            search = search.where(f"conversation = '{conversation.replace(chr(39), chr(39) * 2)}'")
        return search.select(["id", "text"]).limit(most).to_arrow()["id"].to_pylist()


if __name__ == "__main__":
    serve(LanceDB)
