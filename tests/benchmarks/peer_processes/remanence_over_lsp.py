"""Remanence as an editor meets it: a language server on standard input and output, its engine behind it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from peer_processes.peer import Embedding, Floats, Peer, Said, serve

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "configs" / "demo"))

from editor import Editor

from remanence.engine import messages as m
from remanence.engine.starting import drain
from remanence.paths import Home

T = TypeVar("T")
_POLL_S = 0.1


class OverLsp(Peer):
    """Embeds for itself: the vectors that others are given are not used."""

    def __init__(self, folder: Path, _: Embedding) -> None:
        self._folder, self._home = folder, Home(folder / "home")
        self._loop = asyncio.new_event_loop()
        self._editor: Editor | None = None

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> dict[str, float]:
        return self._wait(self._import(self._folder.parent / "exchanges.jsonl"))

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        request = m.RecallRequest(query=text, limit=most, conversation_id=conversation)
        found = self._wait(self._ask("remanence.recall", request, m.RecallResponse))
        return [each.external_id or each.id for each in found.memories]

    def processes(self) -> dict[str, int]:
        status = self._wait(self._ask("remanence.status", m.Empty(), m.StatusResponse))
        return {each.name: each.pid for each in status.processes}  # the language server among them

    def close(self) -> None:
        if self._editor is not None:
            self._wait(self._editor.close())
            self._wait(drain(self._home))

    async def _import(self, path: Path) -> dict[str, float]:
        await self._ask("remanence.status", m.Empty(), m.StatusResponse)  # the engine is there
        begun = time.perf_counter()
        request = m.ImportRequest(source="jsonl", path=str(path))
        started = await self._ask("remanence.import", request, m.ImportResponse)
        passed: dict[str, float] = {}
        while "with keywords" not in passed:
            await asyncio.sleep(_POLL_S)
            jobs = await self._ask("remanence.jobs", m.JobsRequest(job_id=started.job_id), m.JobsResponse)
            status = await self._ask("remanence.status", m.Empty(), m.StatusResponse)
            (job,) = jobs.jobs
            if job.state in ("failed", "cancelled"):
                raise RuntimeError(f"the import {job.state}: {job.error}")
            now = time.perf_counter() - begun
            if job.state == "done":
                passed.setdefault("stored", now)
                if not status.pending_by.embedding and not status.pending_by.indexing:
                    passed.setdefault("seconds", now)  # found by words and by meaning
                if not status.pending:
                    passed["with keywords"] = now
        return passed

    async def _ask(self, command: str, request: m.Request, response: type[Any]) -> Any:
        if self._editor is None:
            self.begun = time.time()
            self._editor = Editor()
            await self._editor.start({**os.environ, "REMANENCE_HOME": str(self._home.root)}, self._folder)
        return await self._editor.run(command, request, response)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)


if __name__ == "__main__":
    serve(OverLsp)
