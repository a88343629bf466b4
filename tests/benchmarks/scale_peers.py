"""The peers that growth is drawn beside, on the exchanges of a store: built, asked and weighed."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from over_lsp import folder_mb
from peer_processes.process import PeerProcess
from vector_cache import CACHE, MODEL

from remanence.paths import Home

PEERS = {"prototype": "prototype", "flat_fts5": "flat_fts5"}  # what each is called, and its module
_BUILD_S, _FIND_S = 7200.0, 120.0
_MOST = 10
_MB = 2**20


class Peer:
    """A peer's process over one store. Times are those inside it: text in, results out."""

    def __init__(self, module: str, folder: Path) -> None:
        self._folder = folder
        self._process = PeerProcess(Path(sys.executable), module, folder, MODEL)
        self.cold_s = 0.0

    def find(self, text: str) -> float:
        """Seconds that it needed for the best ten."""
        request = {"do": "find", "text": text, "most": _MOST, "conversation": None}
        answer = self._process.ask(request, _FIND_S)
        self.cold_s = self.cold_s or answer["at"] - self._process.begun
        return answer["ms"] / 1e3

    def weigh(self) -> dict[str, float]:
        """Its memory, its disk, and the seconds from its start to its first answer."""
        (pid,) = self._process.ask({"do": "processes"}, _FIND_S)["processes"].values()
        return {
            "rss_mb": psutil.Process(pid).memory_info().rss / _MB,
            "disk_mb": folder_mb(self._folder),
            "cold_start_s": self.cold_s,
        }

    def end(self) -> None:
        self._process.ask({"do": "stop"}, _FIND_S)
        self._process.end()


@contextmanager
def peers(home: Home, dimensions: int) -> Iterator[dict[str, Peer]]:
    """Each peer with all exchanges of the store and the vectors of their wholes, while this lasts."""
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        folder = Path(place)
        given = {"exchanges": str(folder / "exchanges.jsonl"), "vectors": str(folder / "vectors.npy")}
        _write_exchanges(home, Path(given["exchanges"]))
        _write_wholes(home, Path(given["vectors"]), dimensions)
        for name, module in PEERS.items():
            (folder / name).mkdir()
            print(f"  importing into {name} …", flush=True)
            importing = PeerProcess(Path(sys.executable), module, folder / name, MODEL)
            importing.ask({"do": "add", "embed": False, **given}, _BUILD_S)
            importing.ask({"do": "stop"}, _FIND_S)
            importing.end()
        for path in given.values():
            Path(path).unlink()
        alive = {name: Peer(module, folder / name) for name, module in PEERS.items()}
        try:
            yield alive
        finally:
            for peer in alive.values():
                peer.end()


def _write_exchanges(home: Home, path: Path) -> None:
    with closing(sqlite3.connect(home.database)) as database, path.open("w", encoding="utf-8") as file:
        names = ("id", "question", "answer", "conversation_id")
        for record in database.execute(f"SELECT {', '.join(names)} FROM exchanges ORDER BY row"):
            file.write(json.dumps(dict(zip(names, record, strict=True))) + "\n")


def _write_wholes(home: Home, path: Path, dimensions: int) -> None:
    with closing(sqlite3.connect(home.database)) as database:
        (count,) = database.execute("SELECT count(*) FROM vectors").fetchone()
        shape = (count, dimensions)
        wholes: NDArray[np.float32] = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        for i, (blob,) in enumerate(database.execute("SELECT vector FROM vectors ORDER BY row")):
            wholes[i] = np.frombuffer(blob, np.float16, dimensions)
        wholes.flush()
