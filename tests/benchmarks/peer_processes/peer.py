"""What every peer process is: a store in a folder that takes exchanges and finds them by a text.

`serve` speaks with the driver in JSON lines: one request on standard input, one answer on standard output.
What the peer's libraries print goes to standard error. A peer may not open a network connection: every
attempt that Python sees is refused and told to the driver at the end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from remanence.models.embedder import Embedder

Floats = NDArray[np.float32]

THREADS = 2  # of the embedder, as in the engine's own settings


@dataclass(frozen=True)
class Said:
    """One exchange as it is handed to every system."""

    id: str
    text: str  # question and answer
    conversation: str


class Peer:
    """A system under measurement, opened on its folder."""

    begun: float | None = None  # when it was started (epoch), where that is not when its process was

    def add(self, exchanges: Sequence[Said], vectors: Floats) -> dict[str, float] | None:
        """Store them, so that another process finds them; `vectors` (n, d) are those of their texts.

        Seconds, by name, of what should be told apart.
        """
        raise NotImplementedError

    def find(self, text: str, most: int, conversation: str | None) -> list[str]:
        """The ids of the best `most`, best first; only of one conversation where it is named.

        Asks for the texts of what is found as well: a result that cannot be shown is none.
        """
        raise NotImplementedError

    def processes(self) -> dict[str, int]:
        """The ids of the processes that it needs to answer, by what they are."""
        return {"": os.getpid()}

    def close(self) -> None:
        """End what would outlive this process."""


class Embedding:
    """The embedder that all share; loaded at the first text that has no vector yet."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._given: dict[str, Floats] = {}

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder.load(self._model, THREADS)

    def give(self, texts: Sequence[str], vectors: Floats) -> None:
        """For peers that embed for themselves: what `passages` answers to these texts."""
        self._given.update(zip(texts, vectors, strict=True))

    def passages(self, texts: Sequence[str]) -> Floats:
        """Vectors of stored texts: (n, d)."""
        if texts and all(text in self._given for text in texts):
            return np.stack([self._given[text] for text in texts])
        return self._embedder.encode(texts)

    def query(self, text: str) -> Floats:
        """The vector of a query: (d,)."""
        return self._embedder.encode_query(text)


def serve(open_peer: Callable[[Path, Embedding], Peer]) -> None:
    """Answer the driver until it says stop. Arguments: the store's folder, the embedder's folder."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    refused = refuse_network()
    folder, model = map(Path, sys.argv[1:3])
    embedding = Embedding(model)
    peer = open_peer(folder, embedding)
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["do"] == "stop":
                break
            if asked["do"] == "add":
                answer = _add(peer, embedding, asked)
            elif asked["do"] == "find":
                answer = _find(peer, asked)
            else:
                answer = {"processes": peer.processes()}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    finally:
        peer.close()  # also where it failed, or where the driver is gone
    answers.write(json.dumps({"refused": refused}) + "\n")
    answers.flush()
    os._exit(0)  # what these libraries do at exit is not measured, and some hang


def read_said(path: Path) -> list[Said]:
    """The exchanges of a JSON Lines file, as Remanence imports it."""
    with path.open(encoding="utf-8") as file:
        return [
            Said(each["id"], f"{each['question']}\n{each['answer']}", each["conversation_id"])
            for each in map(json.loads, file)
        ]


def refuse_network() -> list[str]:
    """From now on no Python code of this process reaches a network; the list of what tried."""
    refused: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        # sockets of the file system have a path for an address, those of a network a tuple
        wanted = (event == "socket.connect" and isinstance(arguments[1], tuple)) or (
            event == "socket.getaddrinfo" and arguments[0] is not None
        )
        if wanted:
            refused.append(str(arguments[0 if event == "socket.getaddrinfo" else 1]))
            raise PermissionError("no network in a benchmark")

    sys.addaudithook(hook)
    return refused


def _add(peer: Peer, embedding: Embedding, asked: dict[str, Any]) -> dict[str, Any]:
    exchanges = read_said(Path(asked["exchanges"]))
    texts = [each.text for each in exchanges]
    figures: dict[str, float] = {}
    begun = time.perf_counter()
    if asked["embed"]:
        vectors = embedding.passages(texts)
        figures["embedding"] = time.perf_counter() - begun
    else:
        vectors = np.load(asked["vectors"])
    embedding.give(texts, vectors)
    begun = time.perf_counter()
    apart = peer.add(exchanges, vectors) or {}
    return {"seconds": time.perf_counter() - begun, **figures, **apart}


def _find(peer: Peer, asked: dict[str, Any]) -> dict[str, Any]:
    begun = time.perf_counter()
    found = peer.find(asked["text"], asked["most"], asked["conversation"])
    took = time.perf_counter() - begun
    return {"ids": found, "ms": took * 1000, "at": time.time(), "begun": peer.begun}
