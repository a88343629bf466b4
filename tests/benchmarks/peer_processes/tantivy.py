"""Tantivy alone: BM25 with English stems over question and answer; no meaning at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import tantivy

from peer_processes.peer import Embedding, Floats, Peer, Said, serve


class Words(Peer):
    """The words of texts in a Tantivy index."""

    def __init__(self, folder: Path, _: Embedding | None = None) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("id", stored=True, tokenizer_name="raw")
        builder.add_text_field("conversation", tokenizer_name="raw")
        builder.add_text_field("text", stored=True, tokenizer_name="en_stem")
        self._schema = builder.build()
        path = folder / "tantivy"
        path.mkdir(exist_ok=True)
        self._index = tantivy.Index(self._schema, str(path))

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        writer = self._index.writer()
        for each in exchanges:
            writer.add_document(tantivy.Document(id=each.id, conversation=each.conversation, text=each.text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        return [name for name, _ in self.scored(text, most, conversation)]

    def scored(self, text: str, most: int, conversation: str | None) -> list[tuple[str, float]]:
        """(id, BM25), best first."""
        words = re.findall(r"[^\W_]+", text.lower())
        if not words:
            return []
        query = self._index.parse_query(" ".join(words), ["text"])
        if conversation is not None:
            term = tantivy.Query.term_query(self._schema, "conversation", conversation)
            scope = tantivy.Query.const_score_query(term, 0.0)
            must = tantivy.Occur.Must
            query = tantivy.Query.boolean_query([(must, query), (must, scope)])
        searcher = self._index.searcher()
        found: list[tuple[str, float]] = []
        for score, address in searcher.search(query, most, count=False).hits:
            document = searcher.doc(address).to_dict()
            found.append((document["id"][0], score))
        return found


if __name__ == "__main__":
    serve(Words)
