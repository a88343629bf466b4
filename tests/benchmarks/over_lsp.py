"""Latency, memory and throughput as an editor meets them: over LSP, on a store of a given size.

    python tests/benchmarks/over_lsp.py --data DIR [--size 126000]

DIR holds sets as `recall_quality.py` reads them. To reach the size, the question of one exchange is
joined with the answer of another of the same set; the pair's vector is the unit mean of the two real
ones (embedding 126,000 texts takes most of an hour). The store is kept under .cache/ for later runs.
Absolute times are noisy on a shared machine: what can be is printed as a ratio to a peer of the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import psutil
from lsprotocol import types
from numpy.typing import NDArray
from recall_quality import CACHE, ROOT, VectorCache, _lines

sys.path.insert(0, str(ROOT / "configs" / "demo"))

from editor import CAPABILITIES, Editor
from pygls.lsp.client import LanguageClient

from remanence.engine import messages as m
from remanence.engine.starting import drain
from remanence.memory.backlog import Backlog, Waiting
from remanence.memory.dense import DenseIndex
from remanence.memory.exchange import Exchange
from remanence.memory.identity import identify
from remanence.memory.store import Candidate, Store
from remanence.models.embedder import Embedder
from remanence.paths import Home

SETS = ["beam_500k_coding", "beam_500k_general", "locomo", "conala", "mconala_es", "memorycode"]
QUERIES = 300
CAPTURES = 200
STARTS = 9
IMPORTED = 1500
SEED = 20261121
MODEL = CACHE / "remanence" / "models" / "all-MiniLM-L6-v2"
BARE_SERVER = "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=126_000)
    arguments = parser.parse_args()
    embedder = Embedder.load(MODEL, threads=2)
    exchanges = [each for name in SETS for each in _lines(arguments.data / name / "exchanges.jsonl.gz")]
    home = Home(CACHE / f"bench-{arguments.size}")
    vectors = VectorCache(embedder)
    build(home, exchanges, vectors, arguments.size)
    queries = [each["query"] for name in SETS for each in _lines(arguments.data / name / "queries.jsonl.gz")]
    chosen = [queries[i] for i in np.random.default_rng(SEED).permutation(len(queries))[:QUERIES]]
    dense_recall(home, embedder, chosen)
    del vectors, embedder
    asyncio.run(over_lsp(home, chosen))
    asyncio.run(throughput(exchanges))


def build(home: Home, exchanges: list[dict], vectors: VectorCache, size: int) -> None:  # type: ignore[type-arg]
    """The store of `size` exchanges, unless an earlier run left it."""
    home.create()
    if not (home.models / MODEL.name).exists():
        (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
    store = Store.open(home.database)
    if store.count() >= size:
        store.close()
        return
    print(f"building {size} exchanges …", flush=True)
    own = vectors.encode([f"{each['question']}\n{each['answer']}" for each in exchanges]).astype(np.float32)
    backlog, model = Backlog(store.database), Embedder.load(MODEL).model_id
    chance = np.random.default_rng(SEED)
    done, round_number = store.count(), 0
    while done < size:
        partner = np.arange(len(exchanges)) if round_number == 0 else chance.permutation(len(exchanges))
        for start in range(0, min(len(exchanges), size - done), 1000):
            part = range(start, min(start + 1000, len(exchanges), start + size - done))
            pairs = [(i, int(partner[i])) for i in part]
            made = [
                Exchange(
                    question=exchanges[i]["question"],
                    answer=exchanges[j]["answer"],
                    tool=exchanges[i]["source"],
                    conversation_id=f"{exchanges[i]['conversation_id']}:{round_number}",
                    turn_key=str(i),
                )
                for i, j in pairs
            ]
            captured = store.capture(
                Candidate(each, identify(each, each, store.identity_key), 1) for each in made
            )
            rows = [store.get(each.id) for each in captured]
            waiting = [Waiting(row.row, 0, row.question, row.answer) for row in rows if row is not None]
            joined = np.array([own[i] + own[j] for i, j in pairs])
            joined /= np.linalg.norm(joined, axis=1, keepdims=True)
            backlog.put_vectors(model, waiting, joined)
            backlog.put_keywords([(item, []) for item in waiting])
        done, round_number = store.count(), round_number + 1
        print(f"  {done}", flush=True)
    store.close()


def dense_recall(home: Home, embedder: Embedder, queries: list[str]) -> None:
    """Recall@10 of the index against exact search over the same vectors."""
    store = Store.open(home.database)
    backlog = Backlog(store.database)
    with tempfile.TemporaryDirectory() as folder:
        index = DenseIndex.open(Path(folder), embedder.model_id, embedder.dimensions)
        numbers, values, reached = [], [], 0
        while len((found := backlog.vectors(embedder.model_id, reached, 8192)).numbers):
            index.add(found.numbers, found.values)
            numbers.append(found.numbers)
            values.append(found.values)
            reached = found.revision
        every, rows = np.concatenate(values).astype(np.float32), np.concatenate(numbers)
        shares: list[float] = []
        spent: list[float] = []
        for query in queries:
            vector = embedder.encode_query(query)
            exact = set(rows[np.argpartition(-(every @ vector), 10)[:10]].tolist())
            begun = time.perf_counter()
            got, _ = index.search(vector, 10)
            spent.append(time.perf_counter() - begun)
            shares.append(len(exact & set(got.tolist())) / 10)
        share = np.mean(shares)
        print(f"dense recall@10 against exact search on {len(rows)}: {share:.4f}; {percentiles(spent)}")
        index.close()
    store.close()


async def over_lsp(home: Home, queries: list[str]) -> None:
    """Start-up, memory, hover, recall, completion and capture through the real language server."""
    await drain(home)
    with tempfile.TemporaryDirectory() as folder:
        ours: list[float] = []
        bare: list[float] = []
        for _ in range(STARTS):  # in turn: the machine's speed drifts
            ours.append(await initialize(["-m", "remanence", "lsp"], home, Path(folder)))
            bare.append(await initialize(["-c", BARE_SERVER], home, Path(folder)))
        own_ms, bare_ms = np.median(ours) * 1e3, np.median(bare) * 1e3
        print(f"initialize {own_ms:.0f} ms, bare pygls {bare_ms:.0f} ms: × {own_ms / bare_ms:.2f}")
        await drain(home)
        document = Path(folder) / "code.py"
        lines = [f"# {' '.join(query.split())}" for query in queries]
        apart = "\nvalue = 1\n"  # neighbouring comment lines are one comment
        document.write_text(apart.join(lines), encoding="utf-8")
        editor = Editor()
        begun = time.perf_counter()
        await editor.start({**os.environ, "REMANENCE_HOME": str(home.root)}, Path(folder))
        status = await editor.run("remanence.status", m.Empty(), m.StatusResponse)
        print(f"engine answers {time.perf_counter() - begun:.2f} s after the editor started")
        print(f"RSS at start: {rss(status)}; language server {door_rss():.0f} MB")
        while (await editor.run("remanence.status", m.Empty(), m.StatusResponse)).pending:
            await asyncio.sleep(0.2)
        uri = editor.open(document, "python")

        async def recall(i: int) -> object:
            return await editor.run("remanence.recall", m.RecallRequest(query=queries[i]), m.RecallResponse)

        async def hover(i: int) -> object:
            return await editor.hover(uri, types.Position(2 * i, 2 + len(lines[i].split()[1]) // 2))

        async def capture(i: int) -> object:
            request = m.CaptureRequest(question=f"{queries[i]} ({time.time_ns()})", answer=f"Answer {i}.")
            return await editor.run("remanence.capture", request, m.CaptureResponse)

        await timed("first recall (loads the embedder)", recall, 1)
        await timed("recall", recall, len(queries))
        await timed("hover", hover, len(queries))
        captured = await timed("capture", capture, CAPTURES)
        status = await editor.run("remanence.status", m.Empty(), m.StatusResponse)
        print(
            f"RSS in use at {status.exchanges} exchanges: {rss(status)}; language server {door_rss():.0f} MB"
        )
        disk = sum(file.stat().st_size for file in home.indexes.rglob("*") if file.is_file())
        print(f"on disk: database {status.database_bytes / 2**20:.0f} MB, indexes {disk / 2**20:.0f} MB")
        ids = [each.id for each in captured if isinstance(each, m.CaptureResponse)]
        await editor.run("remanence.forget", m.ForgetRequest(ids=ids), m.ForgetResponse)
        await editor.close()
    await drain(home)


async def initialize(command: list[str], home: Home, folder: Path) -> float:
    """Seconds from starting a server process to its answer to `initialize`."""
    client = LanguageClient("bench", "1")
    begun = time.perf_counter()
    await client.start_io(sys.executable, *command, env={**os.environ, "REMANENCE_HOME": str(home.root)})
    await client.initialize_async(types.InitializeParams(capabilities=CAPABILITIES, root_uri=folder.as_uri()))
    took = time.perf_counter() - begun
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return took


async def throughput(exchanges: list[dict]) -> None:  # type: ignore[type-arg]
    """Importing and embedding against the bare embedder on the same texts, in turn."""
    chosen = np.random.default_rng(SEED).permutation(len(exchanges))[:IMPORTED]
    texts = [exchanges[i] for i in chosen]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").create()
        (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
        file = Path(folder) / "import.jsonl"
        fields = ("id", "question", "answer", "conversation_id")
        file.write_text("\n".join(json.dumps({key: each[key] for key in fields}) for each in texts))
        embedder = Embedder.load(MODEL, threads=2)
        begun = time.perf_counter()
        embedder.encode([f"{each['question']}\n{each['answer']}" for each in texts])
        bare = IMPORTED / (time.perf_counter() - begun)
        editor = Editor()
        await editor.start({**os.environ, "REMANENCE_HOME": str(home.root)}, Path(folder))
        begun = time.perf_counter()
        request = m.ImportRequest(source="jsonl", path=str(file))
        job = await editor.run("remanence.import", request, m.ImportResponse)
        stored_after = None
        while True:
            status = await editor.run("remanence.status", m.Empty(), m.StatusResponse)
            (state,) = (
                await editor.run("remanence.jobs", m.JobsRequest(job_id=job.job_id), m.JobsResponse)
            ).jobs
            if stored_after is None and state.state == "done":
                stored_after = time.perf_counter() - begun
            if state.state == "done" and not status.pending_by.embedding:
                break
            await asyncio.sleep(0.5)
        took = time.perf_counter() - begun
        await editor.close()
        await drain(home)
    print(
        f"import {IMPORTED}: stored after {stored_after:.1f} s; embedded and found by meaning at "
        f"{IMPORTED / took:.1f}/s, bare embedder {bare:.1f}/s: × {IMPORTED / took / bare:.2f}"
    )


async def timed(name: str, ask: Callable[[int], Awaitable[object]], count: int) -> list[object]:
    spent: list[float] = []
    answers: list[object] = []
    for i in range(count):
        begun = time.perf_counter()
        answers.append(await ask(i))
        spent.append(time.perf_counter() - begun)
    empty = sum(not answer for answer in answers)
    print(f"{name}: {percentiles(spent)} ({count} calls{f', {empty} with nothing to show' if empty else ''})")
    return answers


def percentiles(seconds: list[float]) -> str:
    values: NDArray[np.float64] = np.array(seconds) * 1e3
    return f"p50 {np.percentile(values, 50):.1f} ms, p95 {np.percentile(values, 95):.1f} ms"


def rss(status: m.StatusResponse) -> str:
    return ", ".join(f"{process.name} {process.rss_mb:.0f} MB" for process in status.processes)


def door_rss() -> float:
    for child in psutil.Process().children():
        if "lsp" in child.cmdline():
            return child.memory_info().rss / 2**20
    return 0.0


if __name__ == "__main__":
    main()
