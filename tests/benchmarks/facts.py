"""Stale answers with and without facts: of what changed, does recall show what holds, and say what does not?

    python tests/benchmarks/facts.py --data DIR [--set NAME ...] [--most N] [--json FILE]

DIR holds NAME/exchanges.jsonl.gz and NAME/queries.jsonl.gz. Asked are the questions about what changed: those
that name both what holds and what it replaced (`current_ids`, `stale_ids`), each over its conversation; of
BEAM also all of its knowledge_update and contradiction_resolution questions, where facts must do no harm.
The halves are those of recall_quality.py: rules were written by looking at half A.
The rules alone draw and compare the facts, each conversation a project of its own. Of the first five
memories that recall gives, with and without facts:

  stale first: one that no longer holds stands above every one that does (or there is no other)
  unmarked: the same, and nothing in its `why` says that it changed
  current: one that holds is among them
  gold: the share of the relevant ones that is there

Vectors are kept under .cache/.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation_sets import EvaluationSet, Question, load, sample
from results import run_facts, write_results
from set_store import SetStore
from vector_cache import VectorCache, load_embedder

from remanence.engine.facts import FactReading
from remanence.memory.exchange import Exchange
from remanence.memory.fact_store import FactStore
from remanence.memory.identity import identify
from remanence.memory.recall import Recalled
from remanence.memory.staleness import successors_of, with_facts
from remanence.memory.store import Candidate, Store

SETS = ("memorycode", "beam_500k_coding", "beam_500k_general")
CHANGE_TYPES = {"knowledge_update", "contradiction_resolution"}
_FIRST = 5
_MARKS = ("no longer so", "changed later", "superseded")
_BATCH = 500


class KnownFacts:
    """The facts of a set in a database of its own, drawn and compared by the rules."""

    def __init__(self, evaluated: EvaluationSet, folder: Path) -> None:
        self._store = Store.open(folder / "memory.db")
        self.facts = FactStore(self._store.database)
        rows = evaluated.rows
        self._row_of: dict[int, int] = {}
        for start in range(0, len(rows), _BATCH):
            candidates: list[Candidate] = []
            for row in rows[start : start + _BATCH]:
                exchange = Exchange(
                    question=row.question,
                    answer=row.answer,
                    tool=row.tool,
                    conversation_id=row.conversation_id,
                    turn_key=str(row.row),
                    asked_at=row.asked_at,
                    workspace=row.conversation_id,
                )
                identity = identify(exchange, exchange, self._store.identity_key)
                # the same text is stored once; here each conversation has its own
                identity = replace(identity, content_hash=f"{row.row:032}".encode())
                candidates.append(Candidate(exchange, identity, 1))
            captured = self._store.capture(candidates)
            for row, one in zip(rows[start : start + _BATCH], captured, strict=True):
                stored = self._store.get(one.id)
                if stored is not None:  # one without an answer is not stored
                    self._row_of[row.row] = stored.row
        reading = FactReading(self.facts)
        started = time.perf_counter()
        while reading.read():
            pass
        self.read_seconds = time.perf_counter() - started
        while reading.decide():
            pass
        self.decide_seconds = time.perf_counter() - started - self.read_seconds

    def tell(self, found: Sequence[Recalled]) -> list[Recalled]:
        """What recall found, as the engine tells it."""
        places = {each.row.row: self._row_of.get(each.row.row, -1) for each in found}
        said = self.facts.of_exchanges(list(places.values()))
        by_row = {number: said[place] for number, place in places.items() if place in said}
        successors = {fact.id: fact for fact in self.facts.get_all(successors_of(by_row))}
        return with_facts(found, by_row, successors)

    def close(self) -> None:
        self._store.close()


def judge(found: Sequence[Recalled], question: Question) -> dict[str, float]:
    """What one list of memories says to one question."""
    places = {each.row.row: place for place, each in enumerate(found)}
    current = min((places[row] for row in question.current if row in places), default=None)
    stale = min((places[row] for row in question.stale if row in places), default=None)
    stale_first = stale is not None and (current is None or stale < current)
    marked = stale is not None and any(mark in why for why in found[stale].why for mark in _MARKS)
    return {
        "stale first": float(stale_first),
        "unmarked": float(stale_first and not marked),
        "current": float(current is not None),
        "gold": len(question.relevant & places.keys()) / len(question.relevant),
    }


def measure(evaluated: EvaluationSet, vectors: VectorCache, folder: Path, most: int | None) -> dict[str, Any]:
    """The figures of one set."""
    store = SetStore(evaluated, vectors, folder)
    known = KnownFacts(evaluated, folder)
    groups = {
        "changed": [q for q in evaluated.answerable if q.current and q.stale],
        **{
            f"changed, half {half}": [
                q for q in evaluated.answerable if q.current and q.stale and q.half == half
            ]
            for half in ("A", "B")
        },
        "update and contradiction": [q for q in evaluated.answerable if q.type in CHANGE_TYPES],
        "all": evaluated.answerable,
    }
    figures: dict[str, Any] = {
        "exchanges": len(evaluated.rows),
        "facts that hold": known.facts.count(),
        "decisions": len(known.facts.decisions("done", 100_000)),
        "pending": known.facts.count_pending(),
        "read ms each": round(1000 * known.read_seconds / len(evaluated.rows), 2),
        "compare s": round(known.decide_seconds, 2),
    }
    for name, questions in groups.items():
        asked = sample(questions, most)
        if not asked:
            continue
        without: list[dict[str, float]] = []
        with_them: list[dict[str, float]] = []
        told = 0.0
        for question in asked:
            found = list(store.recall(question.text, question.conversation))
            started = time.perf_counter()
            after = known.tell(found)
            told += time.perf_counter() - started
            without.append(judge(found[:_FIRST], question))
            with_them.append(judge(after[:_FIRST], question))
        figures[name] = {
            "questions": len(asked),
            "telling ms": round(1000 * told / len(asked), 2),
            "without": _means(without),
            "with": _means(with_them),
        }
    known.close()
    return figures


def _means(judged: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(sum(each[name] for each in judged) / len(judged), 3) for name in judged[0]}


def show(name: str, figures: dict[str, Any]) -> None:
    """Print one set's table."""
    plain = {key: value for key, value in figures.items() if not isinstance(value, dict)}
    print(f"\n{name}: " + ", ".join(f"{key} {value}" for key, value in plain.items()))
    for group, said in figures.items():
        if isinstance(said, dict):
            print(f"  {group}, {said['questions']} questions ({said['telling ms']} ms to tell)")
            for side in ("without", "with"):
                print(f"    {side:8}" + "".join(f"  {key} {value:.3f}" for key, value in said[side].items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", action="append", dest="sets", choices=SETS)
    parser.add_argument("--most", type=int, help="questions of each group")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    facts = run_facts()
    vectors = VectorCache(load_embedder())
    figures: dict[str, Any] = {}
    for name in arguments.sets or SETS:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measure(load(name, arguments.data), vectors, Path(folder), arguments.most)
        show(name, figures[name])
    if arguments.json:
        write_results(arguments.json, "facts", facts, figures)


if __name__ == "__main__":
    main()
