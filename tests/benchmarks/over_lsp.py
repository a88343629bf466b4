"""Remanence as an editor meets it, over LSP: times, memory, disk. `recall_scale.py` is the command."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lsprotocol import types
from vector_cache import ROOT

sys.path.insert(0, str(ROOT / "configs" / "demo"))

from editor import CAPABILITIES, Editor
from pygls.lsp.client import LanguageClient

from remanence.engine import messages as m
from remanence.engine.starting import drain
from remanence.paths import Home

_BARE_SERVER = "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"
_APART = "\nvalue = 1\n"  # neighbouring comment lines are one comment
_POLL_S = 0.1
_MB = 2**20


@dataclass(frozen=True)
class Window:
    """An editor with one document open, in which each query is a comment."""

    editor: Editor
    uri: str
    queries: Sequence[str]

    async def recall(self, i: int) -> m.RecallResponse:
        request = m.RecallRequest(query=self.queries[i])
        return await self.editor.run("remanence.recall", request, m.RecallResponse)

    async def hover(self, i: int) -> str:
        first = self.queries[i].split()[0]
        return await self.editor.hover(self.uri, types.Position(2 * i, 2 + len(first) // 2))

    async def capture(self, question: str, answer: str) -> m.CaptureResponse:
        request = m.CaptureRequest(question=question, answer=answer)
        return await self.editor.run("remanence.capture", request, m.CaptureResponse)

    async def forget(self, ids: list[str]) -> m.ForgetResponse:
        return await self.editor.run("remanence.forget", m.ForgetRequest(ids=ids), m.ForgetResponse)

    async def status(self) -> m.StatusResponse:
        return await self.editor.run("remanence.status", m.Empty(), m.StatusResponse)

    async def import_(self, path: Path) -> str:
        """The id of the job."""
        request = m.ImportRequest(source="jsonl", path=str(path))
        return (await self.editor.run("remanence.import", request, m.ImportResponse)).job_id

    async def job(self, job_id: str) -> m.Job:
        answer = await self.editor.run("remanence.jobs", m.JobsRequest(job_id=job_id), m.JobsResponse)
        return answer.jobs[0]

    async def indexed(self) -> float:
        """Seconds until everything stored is found by words and by meaning."""
        begun = time.perf_counter()
        while (by := (await self.status()).pending_by).embedding or by.indexing:
            await asyncio.sleep(_POLL_S)
        return time.perf_counter() - begun


@asynccontextmanager
async def window(home: Home, queries: Sequence[str]) -> AsyncIterator[Window]:
    """An editor on this data directory, its engine started if none runs and ended afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "code.py"
        lines = [f"# {' '.join(query.split())}" for query in queries]
        document.write_text(_APART.join(lines) + "\n", encoding="utf-8")
        editor = Editor()
        await editor.start({**os.environ, "REMANENCE_HOME": str(home.root)}, Path(folder))
        try:
            yield Window(editor, editor.open(document, "python"), queries)
            await editor.close()
        finally:
            await editor.kill()
            await drain(home)


async def cold_starts(home: Home, queries: Sequence[str], times: int) -> list[float]:
    """Seconds from starting the language server, with no engine running, to its first recall."""
    spent: list[float] = []
    for i in range(times):
        await drain(home)
        begun = time.perf_counter()
        async with window(home, queries) as opened:
            await opened.recall(i % len(queries))
            spent.append(time.perf_counter() - begun)
    return spent


async def initialize_against_bare(home: Home, times: int) -> dict[str, float]:
    """Milliseconds from a server's start to its answer to `initialize`: ours and a bare pygls server's, in
    turn because the machine's speed drifts."""
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(times):
            ours.append(await _initialize(["-m", "remanence", "lsp"], home, Path(folder)))
            bare.append(await _initialize(["-c", _BARE_SERVER], home, Path(folder)))
    await drain(home)
    own_ms, bare_ms = float(np.median(ours)) * 1e3, float(np.median(bare)) * 1e3
    return {"initialize_ms": own_ms, "bare_ms": bare_ms, "initialize_times_bare": own_ms / bare_ms}


async def _initialize(command: list[str], home: Home, folder: Path) -> float:
    client = LanguageClient("bench", "1")
    begun = time.perf_counter()
    await client.start_io(sys.executable, *command, env={**os.environ, "REMANENCE_HOME": str(home.root)})
    await client.initialize_async(types.InitializeParams(capabilities=CAPABILITIES, root_uri=folder.as_uri()))
    took = time.perf_counter() - begun
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return took


async def writes(opened: Window, captures: int, forgets: int) -> dict[str, float]:
    """What it costs to capture and to forget, one at a time; the store is left as it was."""
    spent: list[float] = []
    ids: list[str] = []
    for i in range(captures):
        query = opened.queries[i % len(opened.queries)]
        begun = time.perf_counter()
        captured = await opened.capture(f"{query} ({time.time_ns()})", f"Answer {i}.")
        spent.append(time.perf_counter() - begun)
        ids.append(captured.id)
    figures = percentiles("capture", spent)
    figures["captures_indexed_after_s"] = await opened.indexed()
    spent.clear()
    for i in range(forgets):
        begun = time.perf_counter()
        await opened.forget([ids[i]])
        spent.append(time.perf_counter() - begun)
    await opened.forget(ids)
    return figures | percentiles("forget", spent)


def memory(status: m.StatusResponse) -> dict[str, float]:
    """Resident megabytes of the engine, and of the language server, which the engine counts too."""
    return {f"{process.name}_rss_mb": process.rss_mb for process in status.processes}


def disk(home: Home) -> dict[str, float]:
    """Megabytes of the database, with its log, and of each index."""
    dense = sum(folder_mb(folder) for folder in home.indexes.glob("dense-*"))
    database = sum(file.stat().st_size for file in home.root.glob("memory.db*"))
    return {
        "database_mb": database / _MB,
        "dense_mb": dense,
        "lexical_mb": folder_mb(home.indexes / "lexical"),
    }


def folder_mb(folder: Path) -> float:
    """Megabytes of a folder's own files."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / _MB


def percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """`name_p50_ms` and `name_p95_ms`."""
    return {f"{name}_p{p}_ms": float(np.percentile(seconds, p)) * 1e3 for p in (50, 95)} if seconds else {}
