"""Stores of any size for the benchmarks: the real texts of the sets, recombined, and kept.

The first round takes the exchanges of the sets as they are; each further one joins the questions with the
answers in another order, so that every question and every answer is real. So is what vectors are made of:
the whole of a joined pair has the mean of the two real wholes, each piece its own with a share of that, at
unit norm. (To embed a million texts would take days, and one piece in fifty pairs must not be one vector.)
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from evaluation_sets import DEMO, SETS, load
from numpy.typing import NDArray
from vector_cache import MODEL, VectorCache

from remanence.memory.backlog import Backlog, Phrase
from remanence.memory.exchange import Exchange
from remanence.memory.identity import identify
from remanence.memory.rows import Row
from remanence.memory.store import Candidate, Store
from remanence.memory.units import pieces
from remanence.paths import Home

SEED = 20261121

_BATCH = 5000  # rows a transaction
_TOLD = 50_000
_OF_WHOLE = 0.2  # what a joined pair's whole adds to each of its pieces
_KEYWORDS = 3
_WORD = re.compile(r"[^\W\d_]{5,}")

Floats = NDArray[np.float32]
Pair = tuple[int, int, int]  # round, whose question, whose answer


def read_rows(data: Path | None) -> list[Row]:
    """The exchanges of all sets, or those of the demo where there is no data."""
    return [row for name in (SETS if data else [DEMO]) for row in load(name, data).rows]


def read_queries(data: Path | None, count: int) -> list[str]:
    """So many queries of all sets (or fewer, where there are no more), drawn with a fixed seed."""
    queries = [each.text for name in (SETS if data else [DEMO]) for each in load(name, data).questions]
    return [queries[i] for i in np.random.default_rng(SEED).permutation(len(queries))[:count]]


def new_home(place: Path) -> Home:
    """An empty data directory with the prepared embedder in it. It has no keywords made: they take days."""
    home = Home(place).create()
    (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
    home.settings.write_text("[keywords]\nper_exchange = 0\n", encoding="utf-8")
    return home


def big_store(rows: Sequence[Row], vectors: VectorCache, size: int, place: Path) -> Home:
    """The data directory with `size` exchanges at `place`; built unless an earlier run left it there."""
    if place.exists():
        return Home(place)
    unfinished = place.with_name(f"{place.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    store = Store.open(new_home(unfinished).database)
    filler = _Filler(store, rows, vectors)
    begun = time.perf_counter()
    for pairs in _batches(_pairs(len(rows)), _BATCH):
        wanted = size - filler.count
        if wanted <= 0:
            break
        before = filler.count
        filler.put(pairs[:wanted])
        if filler.count // _TOLD > before // _TOLD:
            print(f"  {filler.count} exchanges after {time.perf_counter() - begun:.0f} s", flush=True)
    store.close()
    os.replace(unfinished, place)
    return Home(place)


class _Filler:
    """Puts joined exchanges into a store, with keywords and vectors."""

    def __init__(self, store: Store, rows: Sequence[Row], vectors: VectorCache) -> None:
        self.count = 0
        self._store, self._rows = store, rows
        self._backlog = Backlog(store.database)
        self._model = vectors.embedder.model_id
        self._wholes = vectors.encode([pieces(row.question, row.answer)[0] for row in rows])
        parts = dict.fromkeys(part for row in rows for part in pieces(row.question, row.answer)[1:])
        self._pieces = vectors.encode(list(parts))
        self._place = {part: i for i, part in enumerate(parts)}
        self._words = [
            sorted(set(_WORD.findall(row.question.lower())), key=len, reverse=True)[:_KEYWORDS]
            for row in rows
        ]

    def put(self, pairs: Sequence[Pair]) -> None:
        captured = self._store.capture([self._candidate(*pair) for pair in pairs])
        stored = [pair for pair, one in zip(pairs, captured, strict=True) if one.outcome == "stored"]
        self.count += len(stored)
        waiting = self._backlog.to_embed(self._model, len(stored))[::-1]  # the newest rows: those just stored
        vectors = [self._vectors(i, j) for _, i, j in stored]
        self._backlog.put_vectors(self._model, waiting, vectors)
        phrases = [[Phrase(word, 0.5) for word in self._words[i]] for _, i, _ in stored]
        self._backlog.put_keywords(list(zip(waiting, phrases, strict=True)))

    def _candidate(self, turn: int, i: int, j: int) -> Candidate:
        asked = self._rows[i]
        exchange = Exchange(
            question=asked.question,
            answer=self._rows[j].answer,
            tool=asked.tool,
            conversation_id=f"{asked.conversation_id}:{turn}",
            turn_key=str(i),
            asked_at=asked.asked_at,
        )
        return Candidate(exchange, identify(exchange, exchange, self._store.identity_key), 1)

    def _vectors(self, i: int, j: int) -> Floats:
        """What indexing would store for the question of one exchange with the answer of another: (u, d)."""
        whole = _unit(self._wholes[i] + self._wholes[j])
        parts = pieces(self._rows[i].question, self._rows[j].answer)[1:]
        if not parts:
            return whole[None]
        # a side of a short exchange was never embedded alone: it has what its exchange has
        sides = [i if part == self._rows[i].question.strip() else j for part in parts]
        own = np.stack(
            [
                self._pieces[self._place[part]] if part in self._place else self._wholes[side]
                for part, side in zip(parts, sides, strict=True)
            ]
        )
        return np.vstack([whole, own if i == j else _unit(own + _OF_WHOLE * whole)])


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _pairs(count: int) -> Iterator[Pair]:
    """Without end: first each question with its own answer, then in orders drawn anew."""
    chance = np.random.default_rng(SEED)
    turn, partners = 0, np.arange(count)
    while True:
        yield from ((turn, i, j) for i, j in enumerate(partners.tolist()))
        turn, partners = turn + 1, chance.permutation(count)


def _batches(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == size:
            yield batch
            batch = []
