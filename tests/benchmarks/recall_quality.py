"""How good recall is: R@5, R@10, hit@10 and MRR of words alone, meaning alone and both, on labelled sets.

    python tests/benchmarks/recall_quality.py --data DIR [--set NAME ...] [--abstention]

DIR holds NAME/exchanges.jsonl.gz and NAME/queries.jsonl.gz. Every system gets the same queries: at most
400 a set, drawn with a fixed seed. The real indexes and the real `recall` run; vectors are cached under
.cache/ by model and text. "prototype" is max-normalised BM25 plus min-max-normalised cosine, 1:1, over the
same candidates, without a gate; the other three go through recall's gate, which costs "words" and "meaning"
up to .03, so they are not those sides at their best. Abstention:
how often recall returns anything for the queries of a set on its own store
and on the store of each other set.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from remanence.memory.backlog import LexicalRow
from remanence.memory.dense import DenseIndex
from remanence.memory.lexical import LexicalIndex
from remanence.memory.query import Mode, RecallQuery
from remanence.memory.recall import recall
from remanence.memory.rows import Row, Scope
from remanence.memory.timestamps import to_ms
from remanence.models.embedder import Embedder

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
MOST_QUERIES = 400
SEED = 0
FACT_TYPES = {
    "information_extraction",
    "knowledge_update",
    "temporal_reasoning",
    "multi_session_reasoning",
    "contradiction_resolution",
}
NOW_MS = 1_767_225_600_000  # fixed: how recent a memory is must not depend on the day of the run


@dataclass(frozen=True)
class Question:
    text: str
    type: str
    relevant: frozenset[int]
    conversation: str | None
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """One line of the table: a set's queries, over the whole set or each over its conversation."""

    set: str
    scoped: bool = False
    wanted: Callable[[Question], bool] = field(default=lambda _: True)
    label: str = ""


CASES = [
    Case("beam_500k_coding", False, lambda q: q.type in FACT_TYPES),
    Case("beam_500k_coding", True, lambda q: q.type in FACT_TYPES),
    Case("beam_500k_general", False, lambda q: q.type in FACT_TYPES),
    Case("beam_500k_general", True, lambda q: q.type in FACT_TYPES),
    Case("locomo"),
    Case("locomo", True),
    Case("conala"),
    Case("mconala_es"),
    Case("mconala_es", False, lambda q: q.type.startswith("en"), "English on Spanish"),
    Case("memorycode"),
    Case("memorycode", True),
]


class VectorCache:
    """Vectors by text, kept between runs: embedding the sets takes minutes."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        name = embedder.model_id.replace("/", "-")
        self._path = CACHE / "recall_quality" / f"{name}.npz"
        self._vectors: dict[bytes, NDArray[np.float16]] = {}
        if self._path.exists():
            stored = np.load(self._path)
            self._vectors = dict(zip(map(bytes, stored["keys"]), stored["vectors"], strict=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        keys = [hashlib.sha256(text.encode()).digest()[:16] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        if new:
            print(f"embedding {len(new)} texts …", flush=True)
            vectors = self._embedder.encode(list(new.values())).astype(np.float16)
            self._vectors.update(zip(new, vectors, strict=True))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            stacked = np.stack(list(self._vectors.values()))
            np.savez(self._path, keys=np.array([list(k) for k in self._vectors], np.uint8), vectors=stacked)
        return np.stack([self._vectors[key] for key in keys]).astype(np.float32)


class Query:
    """An embedder of one query whose vector is known: the sets are embedded once for every system."""

    def __init__(self, vector: NDArray[np.float32]) -> None:
        self._vector = vector

    def encode_query(self, text: str) -> NDArray[np.float32]:
        return self._vector


class SetStore:
    """A set's exchanges as `Rows`, row numbers as they stand in the file, with both indexes built."""

    def __init__(self, data: Path, name: str, vectors: VectorCache, folder: Path) -> None:
        exchanges = list(_lines(data / name / "exchanges.jsonl.gz"))
        self.numbers = {exchange["id"]: number for number, exchange in enumerate(exchanges)}
        self.all = [_row(number, exchange) for number, exchange in enumerate(exchanges)]
        self.next_turns = next_turns(self.all)
        self.lexical = LexicalIndex.open(folder / name / "lexical")
        self.lexical.add([_lexical_row(row) for row in self.all])
        self.lexical.commit(1)
        embedded = vectors.encode([f"{row.question}\n{row.answer}" for row in self.all])
        self.dense = DenseIndex.open(folder / name / "dense", "cached", embedded.shape[1])
        self.dense.add(np.arange(len(self.all), dtype=np.int64), embedded)
        queries = [
            query
            for query in _lines(data / name / "queries.jsonl.gz")
            if query.get("answerable", True) and query["relevant_ids"]
        ]
        encoded = vectors.encode([query["query"] for query in queries])
        self.questions = [
            Question(
                query["query"],
                query["type"],
                frozenset(self.numbers[each] for each in query["relevant_ids"] if each in self.numbers),
                query.get("conversation_id"),
                vector,
            )
            for query, vector in zip(queries, encoded, strict=True)
        ]

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        return [self.all[number] for number in numbers]

    def following(self, numbers: Sequence[int]) -> dict[int, int]:
        return {number: self.next_turns[number] for number in numbers if number in self.next_turns}

    def unindexed(self, after_revision: int, limit: int) -> list[Row]:
        return []

    def scope(self, scope: Scope) -> NDArray[np.int64]:
        return np.array([r.row for r in self.all if r.conversation_id == scope.conversation_id], np.int64)

    def search(
        self, question: Question, mode: Mode, scoped: bool = False, automatic: bool = False
    ) -> list[int]:
        scope = Scope(conversation_id=question.conversation) if scoped else Scope()
        query = RecallQuery(text=question.text, now_ms=NOW_MS, mode=mode, scope=scope, automatic=automatic)
        found = recall(
            query, rows=self, lexical=self.lexical, dense=self.dense, embedder=Query(question.vector)
        )
        return [memory.row.row for memory in found.memories]

    def prototype(self, question: Question, scoped: bool) -> list[int]:
        scope = Scope(conversation_id=question.conversation) if scoped else None
        among = self.scope(scope) if scope else None
        words = self.lexical.query(question.text)
        near, _ = self.dense.search(question.vector, 200, among)
        rowids = np.union1d(near, self.lexical.search(words, 200, scope)[0])
        bm25, _ = self.lexical.evidence(words, rowids)
        cosines = self.dense.vectors(rowids) @ question.vector
        spread = (cosines - cosines.min()) / max(float(np.ptp(cosines)), 1e-9)
        return rowids[np.argsort(-(bm25 / max(float(bm25.max()), 1e-9) + spread))][:10].tolist()


def _lines(path: Path) -> Iterable[dict]:  # type: ignore[type-arg]  each set has fields of its own
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _row(number: int, exchange: dict) -> Row:  # type: ignore[type-arg]
    return Row(
        row=number,
        id=exchange["id"],
        question=exchange["question"],
        answer=exchange["answer"],
        tool=exchange["source"],
        created_at=to_ms(exchange["timestamp"]) or 0,
        conversation_id=exchange["conversation_id"] or "",
    )


def next_turns(rows: Sequence[Row]) -> dict[int, int]:
    """For each row the next one of its conversation, as the store would tell it."""
    turns: dict[int, int] = {}
    last: dict[str, int] = {}
    for row in rows:
        if row.conversation_id in last:
            turns[last[row.conversation_id]] = row.row
        if row.conversation_id:
            last[row.conversation_id] = row.row
    return turns


def _lexical_row(row: Row) -> LexicalRow:
    fields = {"keywords": (), "title": "", "tool": row.tool, "workspace": ""}
    return LexicalRow(
        row=row.row,
        revision=1,
        question=row.question,
        answer=row.answer,
        conversation_id=row.conversation_id,
        **fields,  # type: ignore[arg-type]
    )


def sample(questions: Sequence[Question]) -> list[Question]:
    order = np.random.default_rng(SEED).permutation(len(questions))[:MOST_QUERIES]
    return [questions[i] for i in order]


def scores(found: Sequence[Sequence[int]], questions: Sequence[Question]) -> list[float]:
    """R@5, R@10, hit@10, MRR."""
    values = []
    for rows, question in zip(found, questions, strict=True):
        hits = [rank for rank, row in enumerate(rows[:10], start=1) if row in question.relevant]
        wanted = len(question.relevant)
        at5 = sum(rank <= 5 for rank in hits)
        values.append((at5 / wanted, len(hits) / wanted, float(bool(hits)), 1 / hits[0] if hits else 0.0))
    return np.mean(values, axis=0).tolist()


def quality(stores: dict[str, SetStore]) -> None:
    print(f"\n{'R@5   R@10  hit   MRR':>100}")
    print(f"{'set':<42}{'n':>5}  {'words':<25}{'meaning':<25}{'prototype':<25}{'recall':<25}")
    for case in CASES:
        if case.set not in stores:
            continue
        store = stores[case.set]
        questions = [q for q in store.questions if q.relevant and case.wanted(q)]
        questions = sample([q for q in questions if q.conversation] if case.scoped else questions)
        label = f"{case.set}, {'scoped' if case.scoped else 'global'} {case.label}"
        line = f"{label:<42}{len(questions):>5}  "
        for system in ("lexical", "dense", "prototype", "hybrid"):
            if system == "prototype":
                found = [store.prototype(q, case.scoped) for q in questions]
            else:
                found = [store.search(q, system, case.scoped) for q in questions]
            line += f"{' '.join(f'{value:.3f}' for value in scores(found, questions)):<25}"
        print(line, flush=True)


def abstention(stores: dict[str, SetStore]) -> None:
    print(
        "\nshare of queries for which anything is returned, asked / automatic (rows: store, columns: queries)"
    )
    print(f"{'':<20}" + "".join(f"{name[:16]:>18}" for name in stores))
    for name, store in stores.items():
        line = f"{name:<20}"
        for other in stores.values():
            questions = sample(other.questions)[:150]
            shares = [
                np.mean([bool(store.search(q, "hybrid", automatic=automatic)) for q in questions])
                for automatic in (False, True)
            ]
            line += f"{shares[0]:>10.2f} / {shares[1]:.2f} "
        print(line, flush=True)


def latency(stores: dict[str, SetStore]) -> None:
    print("\nms per recall, vectors given (p50, p95)")
    for name, store in stores.items():
        taken = []
        for question in sample(store.questions)[:200]:
            start = time.perf_counter()
            store.search(question, "hybrid")
            taken.append((time.perf_counter() - start) * 1000)
        print(f"{name:<20} {np.percentile(taken, 50):6.2f} {np.percentile(taken, 95):6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", nargs="*", default=list(dict.fromkeys(case.set for case in CASES)))
    parser.add_argument("--embedder", type=Path, default=CACHE / "remanence" / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--abstention", action="store_true")
    parser.add_argument("--latency", action="store_true")
    given = parser.parse_args()
    vectors = VectorCache(Embedder.load(given.embedder))
    with tempfile.TemporaryDirectory() as folder:
        stores = {name: SetStore(given.data, name, vectors, Path(folder)) for name in given.set}
        quality(stores)
        if given.abstention:
            abstention(stores)
        if given.latency:
            latency(stores)


if __name__ == "__main__":
    main()
