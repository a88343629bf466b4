"""Importing: how fast against the bare embedder, and how recall does meanwhile."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from big_store import SEED, new_home
from over_lsp import Window, percentiles, window
from vector_cache import CACHE

from remanence.memory.rows import Row
from remanence.memory.units import pieces
from remanence.models.embedder import Embedder
from remanence.paths import Home

_BLOCK = 50  # recalls between two looks at how far the import is
_LIVE = shutil.ignore_patterns("engine.json", "*.lock")


async def import_rate(rows: Sequence[Row], embedder: Embedder, count: int) -> dict[str, float]:
    """Importing and embedding `count` exchanges into an empty store, against the bare embedder on the same
    texts: one half of them before the import and one after it, because the machine's speed drifts."""
    chosen = [rows[i] for i in np.random.default_rng(SEED).permutation(len(rows))[:count]]
    texts = [text for row in chosen for text in pieces(row.question, row.answer)]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = new_home(Path(folder) / "home")
        path = _written(Path(folder) / "import.jsonl", zip(chosen, chosen, strict=True))
        bare = _seconds(embedder, texts[::2])
        async with window(home, ["nothing"]) as opened:
            await opened.status()  # the engine is there
            begun = time.perf_counter()
            job_id = await opened.import_(path)
            while await _is_running(opened, job_id):
                await asyncio.sleep(0.2)
            stored = time.perf_counter() - begun
            await opened.indexed()
            took = time.perf_counter() - begun
        bare += _seconds(embedder, texts[1::2])
    return {
        "count": len(chosen),
        "texts_count": len(texts),
        "stored_after_s": stored,
        "exchanges_a_second": len(chosen) / took,
        "times_bare": bare / took,
    }


async def recall_while_importing(
    home: Home, rows: Sequence[Row], queries: Sequence[str], count: int, seconds: float
) -> dict[str, float]:
    """Recall over LSP during the import of `count` exchanges into a copy of a store, while they are stored
    and then while they are embedded, for so many seconds each at most; and before and after on a copy that
    nothing is imported into."""
    chance = np.random.default_rng(SEED + 1)
    pairs = [(rows[i], rows[j]) for i, j in chance.integers(0, len(rows), (count, 2)).tolist()]
    async with _copy_of(home, queries) as opened:
        idle = await _recalls(opened, len(queries))
    async with _copy_of(home, queries) as opened:
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            job_id = await opened.import_(_written(Path(folder) / "import.jsonl", pairs))
            storing = await _recalls_while(opened, seconds, lambda: _is_running(opened, job_id))
            embedding = await _recalls_while(opened, seconds, lambda: _is_embedding(opened))
            job = await opened.job(job_id)
    async with _copy_of(home, queries) as opened:
        idle += await _recalls(opened, len(queries))
    figures = percentiles("idle", idle) | {"imported_count": float(job.figures.get("read", 0))}
    for name, spent in (("storing", storing), ("embedding", embedding)):
        if spent:
            figures |= percentiles(name, spent) | {f"{name}_recalls_count": float(len(spent))}
            figures[f"{name}_p95_times_idle"] = figures[f"{name}_p95_ms"] / figures["idle_p95_ms"]
    return figures


@asynccontextmanager
async def _copy_of(home: Home, queries: Sequence[str]) -> AsyncIterator[Window]:
    """An editor on a copy of a data directory, warm."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        copied = Path(folder) / "home"
        shutil.copytree(home.root, copied, symlinks=True, ignore=_LIVE)
        async with window(Home(copied), queries) as opened:
            await opened.indexed()
            await _recalls(opened, _BLOCK)
            yield opened


async def _is_running(opened: Window, job_id: str) -> bool:
    return (await opened.job(job_id)).state in ("queued", "running")


async def _is_embedding(opened: Window) -> bool:
    return (await opened.status()).pending_by.embedding > 0


async def _recalls(opened: Window, count: int) -> list[float]:
    spent: list[float] = []
    for i in range(count):
        begun = time.perf_counter()
        await opened.recall(i % len(opened.queries))
        spent.append(time.perf_counter() - begun)
    return spent


async def _recalls_while(
    opened: Window, seconds: float, is_going: Callable[[], Awaitable[bool]]
) -> list[float]:
    spent: list[float] = []
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline and await is_going():
        spent += await _recalls(opened, _BLOCK)
    return spent


def _written(path: Path, pairs: Iterable[tuple[Row, Row]]) -> Path:
    """Each pair's question and answer as a line for the JSON Lines source."""
    with path.open("w", encoding="utf-8") as file:
        for number, (asked, answered) in enumerate(pairs):
            line = {
                "id": str(number),
                "question": asked.question,
                "answer": answered.answer,
                "conversation_id": f"imported {asked.conversation_id}",
            }
            file.write(json.dumps(line) + "\n")
    return path


def _seconds(embedder: Embedder, texts: Sequence[str]) -> float:
    begun = time.perf_counter()
    embedder.encode(texts)
    return time.perf_counter() - begun
