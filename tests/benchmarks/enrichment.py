"""What share of the gold evidence is still there after packing, beside the first memories whole.

    python tests/benchmarks/enrichment.py --data DIR [--set NAME ...] [--most N] [--json FILE]
    python tests/benchmarks/enrichment.py    # the demo conversations: needs no data

Each question is recalled once, wide, and its memories packed at 500, 1,000, 2,000 and 4,000 tokens (estimated
as the packer does), the question and the fence included: with the embedder, by words alone, and by "top k cut
off", which writes the first memories whole, under the same headings, until the budget ends. "Automatic" is
what the endpoint's requests get: fewer memories, of which less is read. What counts as evidence, and when it
survives: `evidence.py`. Two figures: the surviving share of all gold over recall@10
(above 1 where what ranks from 11 on fitted too), and of the gold within the first ten alone. memorycode is
asked within its conversation, the others over the whole set; beam's five fact types alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from evaluation_sets import DEMO, FACT_TYPES, SETS, Question, load, sample
from evidence import Evidence, terms_of
from results import run_facts, write_results
from set_store import SetStore
from vector_cache import MODEL, VectorCache, load_embedder

from remanence.memory.entries import heading
from remanence.memory.extracts import Embed
from remanence.memory.fence import fenced
from remanence.memory.packing import how_wide, pack
from remanence.memory.recall import Recalled
from remanence.memory.rows import Row
from remanence.memory.token_count import count_tokens

Packer = Literal["top k cut off", "automatic", "by words", "by meaning too"]
PACKERS: tuple[Packer, ...] = ("top k cut off", "automatic", "by words", "by meaning too")
BUDGETS = (500, 1000, 2000, 4000)
SCOPED = ("memorycode",)  # its rules are the same in hundreds of conversations
MOST = 200
_LEAST_SHARE = 0.5  # of the best score, as the engine has it


def packed(packer: Packer, encode: Embed, question: Question, rows: Sequence[Row], room: int) -> list[str]:
    """The entries of the prompt."""
    if packer == "top k cut off":
        return _cut_off(rows, room)
    embed = encode if packer == "by meaning too" else None
    quick = packer == "automatic"
    return [each.text for each in pack(question.text, rows, room, embed=embed, quick=quick)]


def _cut_off(rows: Sequence[Row], room: int) -> list[str]:
    entries: list[str] = []
    for row in rows:
        text = f"{heading(row)}\nQuestion: {row.question}\nAnswer: {row.answer}"
        if (cost := count_tokens(text) + 1) > room:
            return [*entries, text[: 4 * room]]
        entries.append(text)
        room -= cost
    return entries


def measured(store: SetStore, evidence: Evidence, encode: Embed, most: int) -> dict[str, Any]:
    """One set's lines, printed and returned."""
    name = store.set.name
    questions = [q for q in store.set.answerable if not name.startswith("beam") or q.type in FACT_TYPES]
    questions = sample(questions, most)
    kept: dict[tuple[Packer, int], list[tuple[float, float, float]]] = {}
    at10: list[float] = []
    for question in questions:
        within = question.conversation if name in SCOPED else None
        found = store.recall(question.text, within, most=how_wide(max(BUDGETS)))
        few = _worth_it(store.recall(question.text, within, most=how_wide(max(BUDGETS), quick=True)))
        first = frozenset(each.row.row for each in found[:10]) & question.relevant
        at10.append(len(first) / len(question.relevant))
        wide = _worth_it(found)
        for budget in BUDGETS:
            room = budget - count_tokens(f"{fenced('')}\n\n{question.text}")
            for packer in PACKERS:
                rows = few if packer == "automatic" else wide[: how_wide(budget)]
                begun = time.perf_counter()
                entries = packed(packer, encode, question, rows, room)
                spent = (time.perf_counter() - begun) * 1000
                held = [terms_of(each) for each in entries]
                alive = {gold for gold in question.relevant if evidence.survives(question, gold, held)}
                of_first = len(alive & first) / len(first) if first else np.nan
                kept.setdefault((packer, budget), []).append(
                    (len(alive) / len(question.relevant), of_first, spent)
                )
    found_at10 = float(np.mean(at10))
    figures: dict[str, Any] = {"n": len(questions), "R@10": round(found_at10, 4)}
    print(f"\n{name} ({len(questions)}), recall@10 {found_at10:.3f}")
    for packer in PACKERS:
        line: dict[str, Any] = {}
        for budget in BUDGETS:
            every, of_first, spent = np.array(kept[packer, budget]).T
            line[str(budget)] = {
                "of recall@10": round(float(every.mean()) / found_at10, 4),
                "of the first ten": round(float(np.nanmean(of_first)), 4),
                "ms p50": round(float(np.median(spent)), 1),
            }
        figures[packer] = line
        shown = "".join(
            f"{each['of recall@10']:>9.3f} ({each['of the first ten']:.3f})" for each in line.values()
        )
        print(f"  {packer:<16}{shown}   {line['2000']['ms p50']:.0f} ms at 2,000", flush=True)
    return figures


def _worth_it(found: Sequence[Recalled]) -> list[Row]:
    least = _LEAST_SHARE * max((each.score for each in found), default=0.0)
    return [each.row for each in found if each.score >= least]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the sets; without it the demo conversations")
    parser.add_argument("--set", nargs="+", metavar="NAME", help=f"of {', '.join([*SETS, DEMO])}")
    parser.add_argument(
        "--most", type=int, default=MOST, metavar="N", help="questions a set, the same ones in every run"
    )
    parser.add_argument("--embedder", type=Path, default=MODEL, help="the folder of a prepared embedder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    vectors = VectorCache(load_embedder(given.embedder, threads=1))
    names: list[str] = given.set or ([DEMO] if given.data is None else [*SETS, DEMO])
    figures: dict[str, Any] = {}
    print(
        "evidence kept over recall@10 (of the gold in the first ten), at tokens: "
        + ", ".join(map(str, BUDGETS))
    )
    for name in names:
        evaluated = load(name, given.data)
        with tempfile.TemporaryDirectory() as folder:
            store = SetStore(evaluated, vectors, Path(folder))
            figures[name] = measured(
                store, Evidence(evaluated, given.data), vectors.embedder.encode, given.most
            )
    if given.json is not None:
        facts = run_facts(model=vectors.embedder.model_id, queries_a_line=given.most, sets=names)
        write_results(given.json, "enrichment", facts, figures)


if __name__ == "__main__":
    main()
