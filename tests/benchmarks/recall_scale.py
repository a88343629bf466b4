"""How recall grows with the number of memories: over LSP as an editor meets it, beside two peers.

    python tests/benchmarks/recall_scale.py --data DIR [--size N ...] [--json FILE] [--plot FILE]
    python tests/benchmarks/recall_scale.py --quick     # a minute on the demo conversations: needs no data

DIR holds sets as `recall_quality.py` reads them; `big_store.py` joins their texts into stores of any size and
keeps these under .cache/bench-N (a million exchanges take 12 GB and, the first time, most of an hour). The
peers get the same exchanges: "prototype" is Faiss codes and Tantivy in one process, without a daemon;
"flat_fts5" compares every vector and looks words up in SQLite's FTS5, as most small memory layers do. Each
query goes to all in turn. Absolute times are noisy on a shared machine; the ratios are of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from big_store import SEED, big_store, read_queries, read_rows
from growth_plot import plot_caption, write_plot
from numpy.typing import NDArray
from over_lsp import cold_starts, disk, initialize_against_bare, memory, percentiles, window, writes
from results import run_facts, write_results
from scale_import import import_rate, recall_while_importing
from scale_peers import Peer, peers
from vector_cache import CACHE, VectorCache, load_embedder

from remanence.memory.backlog import Backlog
from remanence.memory.dense import DenseIndex
from remanence.memory.rows import Scope
from remanence.memory.store import Store
from remanence.models.embedder import Embedder
from remanence.paths import Home

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_BLOCK = 8192  # vectors read together
_NEAREST = 10
_RESTED_SECONDS = 40  # an engine left alone so long has merged the segments of its words

Floats = NDArray[np.float32]
Figures = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the sets; without it the demo conversations")
    parser.add_argument("--size", nargs="+", type=int, metavar="N", help=f"exchanges; {SIZES}")
    parser.add_argument("--queries", type=int, default=300, metavar="N")
    parser.add_argument("--imported", type=int, default=100_000, metavar="N", help="while recall is asked")
    parser.add_argument("--seconds", type=float, default=120, metavar="N", help="of recall while importing")
    parser.add_argument("--quick", action="store_true", help="a minute: small stores, few queries")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the growth there, as SVG")
    given = parser.parse_args()
    sizes = sorted(given.size or ((500, 1500) if given.quick else SIZES))
    queries = read_queries(given.data, 40 if given.quick else given.queries)
    rows = read_rows(given.data)
    vectors = VectorCache(load_embedder())
    figures: dict[str, Any] = {}
    homes: list[Home] = []
    for size in sizes:
        print(f"\n{size} exchanges", flush=True)
        place = CACHE / f"bench-{'' if given.data else 'demo-'}{size}"
        homes.append(big_store(rows, vectors, size, place))
        figures[str(size)] = asyncio.run(measure(homes[-1], queries, vectors.embedder, given.quick))
        _print(figures[str(size)])
    embedder = vectors.embedder
    del vectors
    print("\nimporting", flush=True)
    imported, seconds = (300, 5.0) if given.quick else (given.imported, given.seconds)
    figures["import"] = {
        "rate": asyncio.run(import_rate(rows, embedder, 60 if given.quick else 1500)),
        "recall_meanwhile": asyncio.run(recall_while_importing(homes[0], rows, queries, imported, seconds)),
    }
    _print(figures["import"])
    facts = run_facts(model=embedder.model_id, queries=len(queries))
    if given.json is not None:
        write_results(given.json, "recall_scale", facts, _rounded(figures))
    if given.plot is not None:
        machine: Any = facts["machine"]
        write_plot(given.plot, figures, plot_caption(facts["date"], machine["cores"]))


async def measure(home: Home, queries: Sequence[str], embedder: Embedder, quick: bool) -> Figures:
    """Everything about one store, its peers beside it."""
    async with window(home, queries) as opened:
        built = await opened.indexed()  # the first time both indexes are made
        await asyncio.sleep(0 if quick else _RESTED_SECONDS)
        figures = await initialize_against_bare(home, 2 if quick else 7)
    figures["indexes_built_after_s"] = built
    figures["cold_start_to_recall_s"] = float(np.median(await cold_starts(home, queries, 1 if quick else 3)))
    with peers(home, embedder.dimensions) as alive:
        async with window(home, queries) as opened:
            await opened.indexed()
            status = await opened.status()
            figures["exchanges"] = float(status.exchanges)
            figures |= {f"start_{name}": value for name, value in memory(status).items()}
            spent = await _in_turn(opened, alive, len(queries))
            figures |= {f"used_{name}": value for name, value in memory(await opened.status()).items()}
            figures |= await writes(opened, 20 if quick else 200, 5 if quick else 50)
        weights = {name: peer.weigh() for name, peer in alive.items()}
    for mark in (
        "purge",
        "purging",
    ):  # else the next engine builds the words anew, for those that were forgotten
        (home.indexes / mark).unlink(missing_ok=True)
    for name in ("recall", "hover"):
        figures |= percentiles(name, spent[name])
    figures |= disk(home) | dense_figures(home, queries, embedder)
    found: Figures = {"remanence": figures}
    for name in alive:
        found[name] = percentiles("recall", spent[name]) | weights[name]
        found["remanence"][f"recall_p50_times_{name}"] = (
            figures["recall_p50_ms"] / found[name]["recall_p50_ms"]
        )
    return found


async def _in_turn(opened: Any, alive: dict[str, Peer], count: int) -> dict[str, list[float]]:
    """Seconds of each query as recall, as hover and in each peer, in an order drawn anew for each."""
    spent: dict[str, list[float]] = {name: [] for name in ("recall", "hover", *alive)}
    chance = np.random.default_rng(SEED)
    for i in [*range(min(10, count)), *range(count)]:  # the first ones warm up
        for j in chance.permutation(len(spent)).tolist():
            name = list(spent)[j]
            begun = time.perf_counter()
            if name in alive:
                took = await asyncio.to_thread(alive[name].find, opened.queries[i])
            else:
                await getattr(opened, name)(i)
                took = time.perf_counter() - begun
            spent[name].append(took)
    return {name: each[-count:] for name, each in spent.items()}


def dense_figures(home: Home, queries: Sequence[str], embedder: Embedder) -> dict[str, float]:
    """Of the dense index in this process: its recall against exact search over the same vectors, and what
    a row added, a row removed and a snapshot cost."""
    store = Store.open(home.database)
    asked = np.stack([embedder.encode_query(query) for query in queries])
    nearest = exact(Backlog(store.database), embedder, asked)
    unused = int(store.scope(Scope()).max()) + 1
    store.close()
    (folder,) = home.indexes.glob("dense-*")
    index = DenseIndex.open(folder, embedder.model_id, embedder.dimensions)
    found = [index.search(vector, _NEAREST).rowids for vector in asked]
    shares = [len(np.intersect1d(*each)) / _NEAREST for each in zip(found, nearest, strict=True)]
    spent: dict[str, float] = {}
    for name, work in (
        ("dense_add_ms", lambda: index.add(np.array([unused]), asked[:1])),
        ("snapshot_after_add_ms", lambda: index.snapshot(index.revision)),
        ("dense_remove_ms", lambda: index.remove(np.array([unused]))),
        ("snapshot_after_remove_ms", lambda: index.snapshot(index.revision)),
    ):
        begun = time.perf_counter()
        work()
        spent[name] = (time.perf_counter() - begun) * 1e3
    index.close()
    return {"dense_recall_at_10": float(np.mean(shares)), **spent}


def exact(
    backlog: Backlog, embedder: Embedder, asked: Floats, block: int = _BLOCK
) -> list[NDArray[np.int64]]:
    """The ten nearest rows of each query (q, d) by the sum of whole and best unit, all vectors compared."""
    scores = np.full((len(asked), 0), -np.inf, np.float32)
    rows = np.zeros((len(asked), 0), np.int64)
    reached = 0
    while True:
        found = backlog.vectors(embedder.model_id, embedder.dimensions, reached, block)
        if not len(found.numbers):
            return list(rows)
        reached = found.revision
        cosines = asked @ found.values.astype(np.float32).T
        starts = np.cumsum(found.counts) - found.counts
        sums = cosines[:, starts] + np.maximum.reduceat(cosines, starts, axis=1)
        scores = np.concatenate([scores, sums], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(found.numbers, sums.shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_NEAREST]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)


def _rounded(figures: Any) -> Any:
    if isinstance(figures, dict):
        return {name: _rounded(value) for name, value in figures.items()}
    return round(float(figures), 4)


def _print(figures: Figures) -> None:
    for system, values in figures.items():
        print(f"  {system}")
        for name, value in values.items():
            print(f"    {name:<32}{value:12.3f}" if value < 10 else f"    {name:<32}{value:12.1f}")


if __name__ == "__main__":
    main()
