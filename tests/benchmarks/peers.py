"""Remanence beside its peers: the same texts, embedder and queries, in turn, in one run.

    python tests/benchmarks/peers.py --data DIR [--set NAME ...] [--size N] [--json FILE]
    python tests/benchmarks/peers.py --quick     # two minutes on the demo conversations: needs no data

DIR holds sets as `recall_quality.py` reads them. Each peer runs in an environment of its own, made under
.cache/peers at the first run (pip; PIP_FLAGS reaches it); one that cannot be installed is named and left out.
All embed queries live, with the same prepared model; a result counts from the text that goes in to the texts
that come out, as the system's own client sees it: of Remanence that is an editor, over LSP.

Peers are given the texts' vectors, so that their import is their own work; the rate printed adds what the
bare embedder needs for these texts in the same run (--embed lets each embed for real). Remanence embeds for
itself, and is through when all is found by words and by meaning.
--size N adds a store of N exchanges, joined from the sets' real texts: no quality, all else.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scoring
from evaluation_sets import CASES, DEMO, SETS, Case, EvaluationSet, Question, first_of_same, load, sample
from peer_environments import IN_PROCESS, PLACE, REMANENCE, SYSTEMS, NotInstalled, System, environment
from peer_report import costs, print_costs, print_quality
from peer_runs import Ask, Floats, Measurement, Run, Store, text_of
from results import run_facts, write_results
from vector_cache import CACHE, MODEL, VectorCache, load_embedder

from remanence.memory.rows import Row
from remanence.models.embedder import Embedder

MOST = 400  # queries a line
QUICK_MOST, QUICK_SIZE = 40, 500
SIZE_QUERIES = 300
JOINING_SEED = 20261121  # over_lsp.py's: the stores that it leaves hold the same exchanges


def set_store(
    evaluated: EvaluationSet, vectors: VectorCache, most: int
) -> tuple[Store, dict[Case, list[Question]]]:
    """A set as a store, and the questions of each of its lines."""
    exchanges = [_exchange(row) for row in evaluated.rows]
    lines = {
        case: chosen
        for case in CASES
        if case.set == evaluated.name and (chosen := case.questions(evaluated.answerable, most))
    }
    asks = {
        key(question, case.scoped): Ask(
            key(question, case.scoped), question.text, question.conversation if case.scoped else None
        )
        for case, questions in lines.items()
        for question in questions
    }
    embedded = vectors.encode([text_of(each) for each in exchanges])
    return Store(evaluated.name, exchanges, embedded, list(asks.values())), lines


def sized_store(sets: Sequence[EvaluationSet], vectors: VectorCache, size: int, queries: int) -> Store:
    """`size` exchanges: one's question with another's answer; a pair has the mean of their vectors."""
    rows = [row for evaluated in sets for row in evaluated.rows]
    own = vectors.encode([text_of(_exchange(row)) for row in rows])
    chance = np.random.default_rng(JOINING_SEED)
    exchanges: list[dict[str, object]] = []
    joined: list[Floats] = []
    partner, turn = np.arange(len(rows)), 0
    while len(exchanges) < size:
        first = np.arange(min(len(rows), size - len(exchanges)))
        second = partner[first]
        for i, j in zip(first.tolist(), second.tolist(), strict=True):
            name = {"id": f"{i}:{turn}", "conversation_id": f"{rows[i].conversation_id}:{turn}"}
            exchanges.append({**_exchange(rows[i]), "answer": rows[j].answer, **name})
        joined.append(own[first] + own[second])
        partner, turn = chance.permutation(len(rows)), turn + 1
    together = np.concatenate(joined)
    together /= np.linalg.norm(together, axis=1, keepdims=True)
    questions = sample([question for evaluated in sets for question in evaluated.questions], queries)
    asks = [Ask(f"{i}", question.text) for i, question in enumerate(questions)]
    left = CACHE / f"bench-{size}"
    built = left if (left / "memory.db").exists() and [each.name for each in sets] == SETS else None
    return Store(f"{size} exchanges", exchanges, together.astype(np.float32), asks, built)


def measure(
    store: Store, pythons: Mapping[System, Path], embedder: Embedder, keywords: int, given: argparse.Namespace
) -> tuple[dict[System, Run], float]:
    """Every system over one store, and seconds of the bare embedder for one of its texts."""
    print(f"\n{store.name}: {len(store.exchanges)} exchanges, {len(store.asks)} queries", flush=True)
    folder = PLACE / "stores" / f"{store.name.replace(' ', '-')}-{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        measurement = Measurement(store, pythons, folder)
        bare = measurement.import_all(embedder.encode, embed=given.embed, keywords=keywords)
        print(f"  asking {len(store.asks)} queries in turn …", flush=True)
        measurement.ask_all(1 if given.quick else 3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return measurement.runs, bare


def quality(
    evaluated: EvaluationSet, lines: Mapping[Case, Sequence[Question]], runs: Mapping[System, Run]
) -> dict[str, Any]:
    """R@5, R@10, hit@10 and MRR of each line and system, and what Remanence is below.

    Exchanges that say the same, word for word, count as one: a system that stores them once loses nothing.
    """
    same = first_of_same(evaluated.rows)
    numbers = {row.id: row.row for row in evaluated.rows}
    figures: dict[str, Any] = {}
    for case, questions in lines.items():
        values = {
            system: scoring.per_query(
                [[numbers[name] for name in run.found[key(each, case.scoped)]] for each in questions],
                questions,
                same,
            )
            for system, run in runs.items()
            if run.failed is None
        }
        line: dict[str, Any] = {"n": len(questions)}
        line |= {system.title: scoring.means(each) for system, each in values.items()}
        if REMANENCE in values:
            line["above"] = _above(values)
        figures[case.name] = line
    return figures


def _above(values: Mapping[System, scoring.Floats]) -> dict[str, Any]:
    """By how much Remanence is above the best of the others, with the interval of a paired bootstrap."""
    found: dict[str, Any] = {}
    for metric in ("R@5", "R@10", "MRR"):
        column = scoring.METRICS.index(metric)
        others = {s: each[:, column] for s, each in values.items() if s not in (REMANENCE, IN_PROCESS)}
        if others:
            best = max(others, key=lambda system: float(others[system].mean()))
            apart = scoring.difference(values[REMANENCE][:, column], others[best])
            found[metric] = {"best other": best.title, **apart._asdict()}
    return found


def key(question: Question, scoped: bool) -> str:
    """What an answer is kept under."""
    return f"{question.qid}{' scoped' if scoped else ''}"


def _exchange(row: Row) -> dict[str, object]:
    """A line of the JSON Lines source."""
    return {
        "id": row.id,
        "question": row.question,
        "answer": row.answer,
        "timestamp": row.created_at or None,
        "conversation_id": row.conversation_id,
        "source": row.tool,
    }


def _environments(names: Sequence[str]) -> tuple[dict[System, Path], dict[str, str]]:
    """The Python of each system, and why one has none."""
    pythons: dict[System, Path] = {}
    absent: dict[str, str] = {}
    for system in SYSTEMS:
        if system.name not in names:
            continue
        try:
            pythons[system] = environment(system)
        except NotInstalled as error:
            absent[system.title] = f"not installed: {error}"
            print(f"{system.title} {absent[system.title]}")
    return pythons, absent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the sets; without it the demo conversations")
    parser.add_argument("--set", nargs="*", metavar="NAME", help=f"of {', '.join([*SETS, DEMO])}")
    parser.add_argument(
        "--size", nargs="*", type=int, default=[], metavar="N", help="also stores of N exchanges"
    )
    parser.add_argument(
        "--most", type=int, metavar="N", help=f"queries a line; {MOST}, drawn with a fixed seed"
    )
    parser.add_argument("--systems", nargs="+", metavar="NAME", default=[each.name for each in SYSTEMS])
    parser.add_argument("--embed", action="store_true", help="every peer embeds the texts for itself")
    parser.add_argument(
        "--keywords", type=int, default=5, metavar="N", help="Remanence's, an exchange: as shipped 5"
    )
    parser.add_argument("--quick", action="store_true", help="two minutes: the demo, and 500 joined from it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    most = given.most or (QUICK_MOST if given.quick else MOST)
    every = SETS if given.data and not given.quick else [DEMO]
    sizes = given.size or ([QUICK_SIZE] if given.quick else [])
    pythons, absent = _environments(given.systems)
    vectors = VectorCache(load_embedder(MODEL))
    facts = run_facts(
        model=vectors.embedder.model_id,
        queries_a_line=most,
        embedding="by each system" if given.embed else "vectors given to peers",
        peers={each.title: each.requirements[0] for each in pythons if each.requirements},
        absent=absent,
    )
    figures: dict[str, Any] = {}
    for name in every if given.set is None else given.set:
        evaluated = load(name, given.data)
        store, lines = set_store(evaluated, vectors, most)
        runs, bare = measure(store, pythons, vectors.embedder, given.keywords, given)
        figures[name] = {
            "quality": quality(evaluated, lines, runs),
            "costs": costs(runs, len(store.exchanges), bare),
        }
        print_quality(figures[name]["quality"])
        print_costs(figures[name]["costs"])
        _save(given.json, facts, figures)
    joined = [load(name, given.data) for name in every] if sizes else []
    for size in sizes:
        store = sized_store(joined, vectors, size, min(most, SIZE_QUERIES))
        runs, bare = measure(store, pythons, vectors.embedder, 0, given)
        figures[store.name] = {"costs": costs(runs, size, bare)}
        print_costs(figures[store.name]["costs"])
        _save(given.json, facts, figures)


def _save(path: Path | None, facts: dict[str, object], figures: dict[str, Any]) -> None:
    """After every store: a run of hours may be broken off."""
    if path is not None:
        write_results(path, "peers", facts, figures)


if __name__ == "__main__":
    main()
