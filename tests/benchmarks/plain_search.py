"""What recall is compared with: BM25, cosines and a fixed-weight sum of both, as others have them.

One vector of question and answer, one Tantivy field of the same text with English stems, no gate and no
constants of ours: these stay as they are when recall's own indexes change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import tantivy
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rowids = NDArray[np.int64]

_CANDIDATES = 200  # of each side, for the prototype


class PlainSearch:
    """n texts and their vectors (n, d), numbered as they are given."""

    def __init__(self, texts: Sequence[str], vectors: Floats) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("row", fast=True)
        builder.add_text_field("text", tokenizer_name="en_stem")
        self._index = tantivy.Index(builder.build())
        writer = self._index.writer(num_threads=1)
        for row, text in enumerate(texts):
            writer.add_document(tantivy.Document(row=row, text=text))
        writer.commit()
        self._index.reload()
        self._vectors = vectors

    def bm25(self, text: str) -> Floats:
        """Every text's BM25 (n,), 0 where it shares no word with the query."""
        scores = np.zeros(len(self._vectors), np.float32)
        words = re.findall(r"[^\W_]+", text.lower())
        if not words:
            return scores
        searcher = self._index.searcher()
        query = self._index.parse_query(" ".join(words), ["text"])
        hits = searcher.search(query, len(scores), count=False).hits
        rows = searcher.fast_field_values("row", [address for _, address in hits])
        scores[np.array(rows, np.int64)] = [score for score, _ in hits]
        return scores

    def words(self, text: str, limit: int, among: Rowids | None = None) -> list[int]:
        """The rows of the highest BM25."""
        return _best(self.bm25(text), limit, among, above=0)

    def meaning(self, vector: Floats, limit: int, among: Rowids | None = None) -> list[int]:
        """The rows of the highest cosine, exactly."""
        return _best(self._vectors @ vector, limit, among)

    def prototype(self, text: str, vector: Floats, limit: int, among: Rowids | None = None) -> list[int]:
        """Max-normalised BM25 plus min-max-normalised cosine, 1:1, over the candidates of both."""
        bm25, cosines = self.bm25(text), self._vectors @ vector
        near = _best(cosines, _CANDIDATES, among)
        rows = np.union1d(near, _best(bm25, _CANDIDATES, among, above=0)).astype(np.int64)
        if len(rows) == 0:
            return []
        spread = (cosines[rows] - cosines[rows].min()) / max(float(np.ptp(cosines[rows])), 1e-9)
        sums = bm25[rows] / max(float(bm25[rows].max()), 1e-9) + spread
        return rows[np.argsort(-sums, kind="stable")][:limit].tolist()


def _best(scores: Floats, limit: int, among: Rowids | None, above: float | None = None) -> list[int]:
    rows = np.arange(len(scores)) if among is None else among
    if above is not None:
        rows = rows[scores[rows] > above]
    return rows[np.argsort(-scores[rows], kind="stable")][:limit].tolist()
