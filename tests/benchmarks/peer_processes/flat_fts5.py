"""What most small memory layers do: every vector compared in RAM, words by SQLite's FTS5, a weighted sum."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

_CANDIDATES = 200  # of each side
_OF_MEANING = 0.7


class Flat(Peer):
    """A vector of question and answer each, in a file of float32 that is read whole at the start."""

    def __init__(self, folder: Path, embedding: Embedding) -> None:
        self._embedding = embedding
        self._file = folder / "vectors.npy"
        self._texts = sqlite3.connect(folder / "texts.db")
        self._texts.execute("create table if not exists said (id text, conversation text)")
        self._texts.execute("create virtual table if not exists words using fts5 (text)")
        self._vectors: Floats = np.load(self._file) if self._file.exists() else np.empty((0, 0), np.float32)

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        np.save(self._file, vectors.astype(np.float32))
        self._vectors = vectors
        with self._texts:
            rows = ((row, each.id, each.conversation) for row, each in enumerate(exchanges))
            self._texts.executemany("insert into said (rowid, id, conversation) values (?, ?, ?)", rows)
            texts = ((row, each.text) for row, each in enumerate(exchanges))
            self._texts.executemany("insert into words (rowid, text) values (?, ?)", texts)

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        cosines = self._vectors @ self._embedding.query(text)
        kept = min(_CANDIDATES, len(cosines))
        near = np.argpartition(-cosines, kept - 1)[:kept].tolist()
        words = self._bm25(text)
        rows = list({*near, *words})
        if conversation is not None:
            rows = [row for row in rows if self._said(row)[1] == conversation]
        strongest = max(words.values(), default=1.0)
        scores = {
            row: _OF_MEANING * float(cosines[row]) + (1 - _OF_MEANING) * words.get(row, 0.0) / strongest
            for row in rows
        }
        best = sorted(rows, key=lambda row: -scores[row])[:most]
        for row in best:  # what is found is shown
            self._texts.execute("select text from words where rowid = ?", (row,)).fetchone()
        return [self._said(row)[0] for row in best]

    def _bm25(self, text: str) -> dict[int, float]:
        words = [f'"{word}"' for word in dict.fromkeys(re.findall(r"[^\W_]+", text.lower()))]
        if not words:
            return {}
        found = self._texts.execute(
            "select rowid, -bm25(words) from words where words match ? order by rank limit ?",
            (" OR ".join(words), _CANDIDATES),
        )
        return dict(found.fetchall())

    def _said(self, row: int) -> tuple[str, str]:
        return self._texts.execute("select id, conversation from said where rowid = ?", (row,)).fetchone()


if __name__ == "__main__":
    serve(Flat)
