"""How good recall is on labelled sets, beside each side alone and a fixed-weight sum; and when it is silent.

    python tests/benchmarks/recall_quality.py --data DIR [--set NAME ...] [--most N] [--json FILE]
    python tests/benchmarks/recall_quality.py --quick    # the demo conversations: needs no data

DIR holds NAME/exchanges.jsonl.gz and NAME/queries.jsonl.gz. Every system gets the same texts, vectors and
queries; the real indexes and the real `recall` run. Words: our lexical index alone. Tantivy, meaning,
prototype: plain BM25, exact cosine of one vector an exchange, and their normalised sum (plain_search.py),
without a gate. Every figure comes for all queries and for both halves (by a hash of the query's id):
constants are chosen on half A and checked on half B. Exchanges that say the same word for word count as
one, as in peers.py: recall shows them once. Differences are recall's to the best other system, with the 95 %
interval of a paired bootstrap: "noise" where that holds 0. Vectors are kept under .cache/.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scoring
from abstention import abstention
from evaluation_sets import (
    CASES,
    DEMO,
    SETS,
    SMALL_SETS,
    Case,
    Question,
    first_of_same,
    load,
    read_lines,
    sample,
)
from results import run_facts, write_results
from set_store import SYSTEMS, SetStore, System
from tail_probe import tail_probe
from vector_cache import CACHE, MODEL, ROOT, VectorCache, load_embedder

_lines = read_lines
__all__ = [
    "CACHE",
    "MODEL",
    "ROOT",
    "SetStore",
    "VectorCache",
    "_lines",
]  # other benchmarks take them from here

PARTS = ("quality", "order", "tail", "abstention", "latency")
QUICK_MOST = 150
_JUDGED = (("R@5", 0), ("R@10", 1), ("MRR", 3))


def quality(stores: Mapping[str, SetStore], most: int | None) -> dict[str, Any]:
    """The table, printed and returned: every case, every system, all queries and both halves."""
    figures: dict[str, Any] = {}
    verdicts: list[str] = []
    for case in CASES:
        if case.set not in stores:
            continue
        store = stores[case.set]
        questions = case.questions(store.set.answerable, most)
        if not questions:
            continue
        in_a = np.array([question.half == "A" for question in questions])
        same = first_of_same(store.set.rows)
        values: dict[System, scoring.Floats] = {
            system: scoring.per_query(
                [store.find(system, q, case.scoped) for q in questions], questions, same
            )
            for system in SYSTEMS
        }
        figures[case.name] = {
            "n": len(questions),
            **{
                system: {
                    "all": scoring.means(each),
                    "half A": scoring.means(each[in_a]),
                    "half B": scoring.means(each[~in_a]),
                }
                for system, each in values.items()
            },
        }
        _print_case(case.name, figures[case.name], int(in_a.sum()))
        found, verdict = _judged(values)
        figures[case.name]["below"] = found
        verdicts.append(f"{case.name:<40} {verdict}")
    print("\nis recall below any of them? (R@5, R@10, MRR)", *verdicts, sep="\n", flush=True)
    return figures


def _print_case(name: str, line: Mapping[str, Any], in_a: int) -> None:
    n = line["n"]
    print(
        f"\n{name} ({n}){'':<{max(45 - len(name) - len(str(n)), 1)}}"
        + "".join(f"{m:>8}" for m in scoring.METRICS),
        end="",
    )
    print(f"   R@10 of A ({in_a}) / B ({n - in_a})    MRR of A / B")
    for system in SYSTEMS:
        every, a, b = line[system]["all"], line[system]["half A"], line[system]["half B"]
        print(f"  {system:<46}" + "".join(f"{every[metric]:>8.3f}" for metric in scoring.METRICS), end="")
        r, m = (" / ".join(f"{half[key]:.3f}" if half else "–" for half in (a, b)) for key in ("R@10", "MRR"))
        print(f"{r:>20}{m:>24}")


def _judged(values: Mapping[System, scoring.Floats]) -> tuple[dict[str, Any], str]:
    """What recall is below, for the file and in words."""
    found: dict[str, Any] = {}
    words: list[str] = []
    for metric, column in _JUDGED:
        others = {name: each[:, column] for name, each in values.items() if name != "recall"}
        best = max(others, key=lambda name: float(others[name].mean()))
        to_best = scoring.difference(values["recall"][:, column], others[best])
        found[metric] = {
            "best other": best,
            "recall above it by": to_best._asdict(),
            "below": {
                name: each._asdict()
                for name, each in scoring.below(values["recall"][:, column], others).items()
            },
        }
        verdict = "above" if to_best.mean >= 0 else ("below, noise" if to_best.is_noise else "BELOW")
        interval = f"[{to_best.low:+.3f} {to_best.high:+.3f}]"
        words.append(f"{metric} {to_best.mean:+.3f} {interval} {verdict} {best}")
    return found, " · ".join(words)


def order(stores: Mapping[str, SetStore]) -> dict[str, Any]:
    """The share of (current, stale) pairs with the current one above, printed and returned."""
    figures: dict[str, Any] = {}
    for case in CASES:
        if case.set not in stores or case.label not in ("", "five fact types"):
            continue
        store = stores[case.set]
        questions = [q for q in case.questions(store.set.answerable) if q.current and q.stale]
        if not questions:
            continue
        if not figures:
            print("\ncurrent above stale: share of pairs; in brackets recall's R@10 on these queries")
            print(
                f"{'':<46}{'pairs':>6}"
                + "".join(f"{system:>11}" for system in SYSTEMS)
                + "   recall of A / B"
            )
        line: dict[str, Any] = {"n": len(questions)}
        for half in ("all", "half A", "half B"):
            chosen = [q for q in questions if half in ("all", f"half {q.half}")]
            line[half] = {system: _pairs(store, system, chosen, case) for system in SYSTEMS}
        pairs = sum(len(q.current) * len(q.stale) for q in questions)
        found = [store.find("recall", q, case.scoped) for q in questions]
        at10 = scoring.means(scoring.per_query(found, questions))["R@10"]
        line |= {"pairs": pairs, "R@10 of recall": at10}
        figures[case.name] = line
        shares = "".join(f"{line['all'][system]:>11.3f}" for system in SYSTEMS)
        halves = f"{line['half A']['recall']:.3f} / {line['half B']['recall']:.3f}"
        print(f"{case.name:<46}{pairs:>6}{shares} ({at10:.3f})  {halves}", flush=True)
    return figures


def _pairs(store: SetStore, system: System, questions: Sequence[Question], case: Case) -> float:
    counts = [scoring.ordered_pairs(store.find(system, q, case.scoped), q) for q in questions]
    right, every = (sum(each) for each in zip(*counts, strict=True)) if counts else (0, 0)
    return round(right / every, 4) if every else 0.0


def latency(stores: Mapping[str, SetStore]) -> dict[str, Any]:
    """Milliseconds of a recall and, in turn with it, of the prototype; vectors given."""
    print("\nms, vectors given: recall p50, p95; prototype p50, p95")
    figures: dict[str, Any] = {}
    for name, store in stores.items():
        taken: dict[System, list[float]] = {"recall": [], "prototype": []}
        for question in sample(store.set.answerable, 200):
            for system, spent in taken.items():
                begun = time.perf_counter()
                store.ask(system, question.text)
                spent.append((time.perf_counter() - begun) * 1000)
        line = {
            f"{system} {percentile} ms": round(float(np.percentile(spent, int(percentile[1:]))), 2)
            for system, spent in taken.items()
            for percentile in ("p50", "p95")
        }
        figures[name] = line
        print(f"{name:<20}" + "".join(f"{value:>8.2f}" for value in line.values()), flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the sets; without it the demo conversations")
    parser.add_argument("--set", nargs="+", metavar="NAME", help=f"of {', '.join([*SETS, DEMO])}")
    parser.add_argument("--most", type=int, metavar="N", help="queries a line, drawn with a fixed seed")
    parser.add_argument(
        "--quick", action="store_true", help="a minute: the demo, with --data also three sets"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:4])
    parser.add_argument("--embedder", type=Path, default=MODEL, help="the folder of a prepared embedder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    most = given.most or (QUICK_MOST if given.quick else None)
    sets = [DEMO] if given.data is None else [*SMALL_SETS, DEMO] if given.quick else [*SETS, DEMO]
    vectors = VectorCache(load_embedder(given.embedder))
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        stores = {name: SetStore(load(name, given.data), vectors, Path(folder)) for name in given.set or sets}
        if "quality" in given.parts:
            figures["quality"] = quality(stores, most)
        if "order" in given.parts:
            figures["current above stale"] = order(stores)
        if "tail" in given.parts:
            figures["tail"] = tail_probe(stores)
        if "abstention" in given.parts:
            figures["abstention"] = abstention(stores, most)
        if "latency" in given.parts:
            figures["latency"] = latency(stores)
    if given.json is not None:
        facts = run_facts(model=vectors.embedder.model_id, queries_a_line=most, sets=list(stores))
        write_results(given.json, "recall_quality", facts, figures)


if __name__ == "__main__":
    main()
