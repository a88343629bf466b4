"""Remanence's engine in one process, on a copy of what the language server's engine stored.

What it is faster by than over LSP is what two sockets and two processes cost.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from peer_processes.peer import Embedding, Floats, Peer, Said, serve
from remanence.engine import messages as m
from remanence.engine.service import open_service
from remanence.paths import Home


class InProcess(Peer):
    def __init__(self, folder: Path, _: Embedding) -> None:
        self._folder = folder
        self._service = open_service(Home(folder / "home")) if (folder / "home").exists() else None

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> None:
        passing = shutil.ignore_patterns("engine.*", "start.lock", "logs")
        stored = self._folder.parent / "remanence" / "home"
        shutil.copytree(stored, self._folder / "home", symlinks=True, ignore=passing)

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        assert self._service is not None
        request = m.RecallRequest(query=text, limit=most, conversation_id=conversation)
        found = self._service.recall(request, lambda: False)
        return [each.external_id or each.id for each in found.memories]

    def close(self) -> None:
        if self._service is not None:
            self._service.close()


if __name__ == "__main__":
    serve(InProcess)
