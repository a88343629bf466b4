"""The prototype that Remanence's speed is held against: what its design measured, in one process.

Faiss sign codes, the nearest 400 re-scored by their vectors; the first 200 of BM25; the sum of both after
normalising each. One vector an exchange, no gate, no daemon, no socket.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import tantivy
from numpy.typing import NDArray

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

_NEAR, _WORDS = 400, 200


class Prototype(Peer):
    def __init__(self, folder: Path, embedding: Embedding) -> None:
        faiss.omp_set_num_threads(1)
        self._folder, self._embedding = folder, embedding
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("row", fast=True)
        builder.add_text_field("conversation", tokenizer_name="raw")
        builder.add_text_field("text", tokenizer_name="en_stem")
        self._schema = builder.build()
        (folder / "tantivy").mkdir(exist_ok=True)
        self._words = tantivy.Index(self._schema, str(folder / "tantivy"))
        self._texts = sqlite3.connect(folder / "texts.db")
        if (folder / "codes").exists():
            self._open()

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        writer = self._words.writer()
        for row, each in enumerate(exchanges):
            writer.add_document(tantivy.Document(row=row, conversation=each.conversation, text=each.text))
        writer.commit()
        writer.wait_merging_threads()
        codes = faiss.IndexBinaryFlat(vectors.shape[1])
        codes.add(np.packbits(vectors > 0, axis=1))
        faiss.write_index_binary(codes, str(self._folder / "codes"))
        np.save(self._folder / "vectors.npy", vectors)
        rows_of: dict[str, list[int]] = {}
        for row, each in enumerate(exchanges):
            rows_of.setdefault(each.conversation, []).append(row)
        (self._folder / "conversations.json").write_text(json.dumps(rows_of), encoding="utf-8")
        self._texts.execute("create table said (row integer primary key, id text, text text)")
        said = ((row, each.id, each.text) for row, each in enumerate(exchanges))
        self._texts.executemany("insert into said values (?, ?, ?)", said)
        self._texts.commit()
        self._open()

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        vector = self._embedding.query(text)
        bm25 = self._bm25(text, conversation)
        rows = np.union1d(self._near(vector, conversation), np.array(list(bm25), np.int64))
        if len(rows) == 0:
            return []
        cosines = self._vectors[rows] @ vector
        meaning = (cosines - cosines.min()) / max(float(np.ptp(cosines)), 1e-9)
        words = np.array([bm25.get(row, 0.0) for row in rows.tolist()])
        sums = words / max(float(words.max()), 1e-9) + meaning
        best = rows[np.argsort(-sums, kind="stable")][:most].tolist()
        return [self._said(row) for row in best]

    def _open(self) -> None:
        self._codes = faiss.read_index_binary(str(self._folder / "codes"))
        self._vectors = np.load(self._folder / "vectors.npy", mmap_mode="r")
        self._rows_of = json.loads((self._folder / "conversations.json").read_text(encoding="utf-8"))
        self._words.reload()

    def _near(self, vector: Floats, conversation: str | None) -> NDArray[np.int64]:
        if conversation is not None:
            return np.array(self._rows_of.get(conversation, []), np.int64)
        _, rows = self._codes.search(np.packbits(vector > 0)[None], min(_NEAR, self._codes.ntotal))
        best = rows[0][np.argsort(-(self._vectors[rows[0]] @ vector))]
        return best[:_WORDS]

    def _bm25(self, text: str, conversation: str | None) -> dict[int, float]:
        words = re.findall(r"[^\W_]+", text.lower())
        if not words:
            return {}
        query = self._words.parse_query(" ".join(words), ["text"])
        if conversation is not None:
            term = tantivy.Query.term_query(self._schema, "conversation", conversation)
            scope = tantivy.Query.const_score_query(term, 0.0)
            must = tantivy.Occur.Must
            query = tantivy.Query.boolean_query([(must, query), (must, scope)])
        searcher = self._words.searcher()
        hits = searcher.search(query, _WORDS, count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        return dict(zip(rows, (score for score, _ in hits), strict=True))

    def _said(self, row: int) -> str:
        name, _ = self._texts.execute("select id, text from said where row = ?", (row,)).fetchone()
        return name


if __name__ == "__main__":
    serve(Prototype)
