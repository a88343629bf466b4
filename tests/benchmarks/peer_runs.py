"""One store in every system: imported one after another, then asked the same queries in turn."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from evaluation_sets import SEED, sample
from numpy.typing import NDArray
from peer_environments import IN_PROCESS, REMANENCE, System
from peer_processes.process import PeerFailed, PeerProcess
from vector_cache import MODEL

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], object]

MOST = 10
_BARE_TEXTS = 200
_WARM_UP = 5
_IMPORT_S, _FIND_S = 12 * 3600.0, 300.0


@dataclass(frozen=True)
class Ask:
    """One query, over everything or over one conversation."""

    key: str
    text: str
    conversation: str | None = None


@dataclass(frozen=True)
class Store:
    """What every system is given: exchanges as JSON Lines sources hold them, a vector each (n, d), queries.

    `built` is a Remanence data directory that holds these exchanges already.
    """

    name: str
    exchanges: Sequence[Mapping[str, object]]
    vectors: Floats
    asks: Sequence[Ask]
    built: Path | None = None


@dataclass
class Run:
    """What was measured of one system; `failed` says why there is no more."""

    imported: dict[str, float] = field(default_factory=dict)
    disk_mb: float = 0.0
    cold_s: list[float] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0  # of all its processes, for the queries counted
    rss_mb: dict[str, float] = field(default_factory=dict)
    network: set[str] = field(default_factory=set)
    failed: str | None = None


def text_of(exchange: Mapping[str, object]) -> str:
    """What is embedded of an exchange."""
    return f"{exchange['question']}\n{exchange['answer']}"


class Measurement:
    """The systems over one store, in a folder of their own that the caller removes."""

    def __init__(self, store: Store, pythons: Mapping[System, Path], folder: Path) -> None:
        self._store, self._pythons, self._folder = store, pythons, folder
        self._given = {"exchanges": str(folder / "exchanges.jsonl"), "vectors": str(folder / "vectors.npy")}
        with open(self._given["exchanges"], "w", encoding="utf-8") as file:
            file.writelines(json.dumps(each) + "\n" for each in store.exchanges)
        np.save(self._given["vectors"], store.vectors)
        # a built store may be of gigabytes: it is asked where it lies, and not copied
        self.runs = {each: Run() for each in pythons if store.built is None or each != IN_PROCESS}
        self._alive: dict[System, PeerProcess] = {}

    def import_all(self, bare: Embed, *, embed: bool, keywords: int) -> float:
        """Every system's import, each in a process that ends afterwards. `embed`: with the embedder's work.

        Seconds that `bare`, the embedder by itself, needs for one of the texts: some are taken before
        Remanence's import, as many after it, because the machine's speed drifts.
        """
        texts = sample([text_of(each) for each in self._store.exchanges], _BARE_TEXTS)
        bare_s = 0.0
        for system, run in self.runs.items():
            folder = self._folder / system.name
            folder.mkdir()
            if system == REMANENCE:
                _prepare_home(folder / "home", keywords, self._store.built)
                if self._store.built is not None:
                    continue
            print(f"  importing into {system.title} …", flush=True)
            for_itself = system in (REMANENCE, IN_PROCESS) or not system.by_meaning
            request = {"do": "add", "embed": embed and not for_itself, **self._given}
            bare_s += _seconds(bare, texts[::2]) if system == REMANENCE else 0
            self._start(system)
            run.imported = self._ask(system, request, _IMPORT_S)
            self._stop(system)
            bare_s += _seconds(bare, texts[1::2]) if system == REMANENCE else 0
        for system, run in self.runs.items():
            run.disk_mb = _disk_mb(self._folder / system.name)
        return (bare_s or _seconds(bare, texts)) / len(texts)

    def ask_all(self, starts: int = 3) -> None:
        """Each query to each system in turn, both in an order drawn anew for each query.

        Before that each is started `starts` times, and the time to the first answer taken.
        """
        chance = np.random.default_rng(SEED)
        asks = [self._store.asks[i] for i in chance.permutation(len(self._store.asks))]
        for start in range(starts):
            for system in self._going():
                if start:
                    self._stop(system)
                begun = self._start(system)
                answer = self._find(system, asks[start % len(asks)])
                if answer:
                    self.runs[system].cold_s.append(answer["at"] - (answer["begun"] or begun))
        warm_up = asks[:_WARM_UP]
        for i, ask in enumerate([*warm_up, *asks]):
            if i == len(warm_up):
                self._count_cpu(-1)
            going = self._going()
            for j in chance.permutation(len(going)):
                answer = self._find(going[j], ask)
                if answer and i >= len(warm_up):
                    self.runs[going[j]].found[ask.key] = answer["ids"]
                    self.runs[going[j]].ms.append(answer["ms"])
        self._count_cpu(1)
        for system in self._going():
            pids = self._pids(system)
            self.runs[system].rss_mb = {
                name: psutil.Process(pid).memory_info().rss / 2**20 for name, pid in pids.items()
            }
            self._stop(system)

    def _going(self) -> list[System]:
        return [system for system, run in self.runs.items() if run.failed is None]

    def _start(self, system: System) -> float:
        """Start its process; when that was."""
        folder = self._folder / system.name
        self._alive[system] = PeerProcess(self._pythons[system], system.module, folder, MODEL)
        return self._alive[system].begun

    def _find(self, system: System, ask: Ask) -> dict[str, Any]:
        request = {"do": "find", "text": ask.text, "most": MOST, "conversation": ask.conversation}
        return self._ask(system, request, _FIND_S)

    def _ask(self, system: System, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer; nothing where the system has failed now or before."""
        if self.runs[system].failed is not None:
            return {}
        try:
            return self._alive[system].ask(request, seconds)
        except PeerFailed as error:
            self.runs[system].failed = f"{request['do']}: {error}"
            return {}

    def _pids(self, system: System) -> dict[str, int]:
        return self._ask(system, {"do": "processes"}, _FIND_S).get("processes", {})

    def _count_cpu(self, sign: int) -> None:
        """Add to each system's processor time what its processes have spent so far, or take it away."""
        for system in self._going():
            for pid in self._pids(system).values():
                self.runs[system].cpu_s += sign * sum(psutil.Process(pid).cpu_times()[:2])

    def _stop(self, system: System) -> None:
        if self.runs[system].failed is None:
            self.runs[system].network.update(self._alive[system].reached_out())
        self.runs[system].network.update(self._ask(system, {"do": "stop"}, _FIND_S).get("refused", []))
        self._alive.pop(system).end()


def _seconds(embed: Embed, texts: Sequence[str]) -> float:
    begun = time.perf_counter()
    embed(texts)
    return time.perf_counter() - begun


def _prepare_home(home: Path, keywords: int, built: Path | None) -> None:
    """Remanence's data directory: the embedder that all share, and how many keywords an exchange gets."""
    if built is not None:
        home.symlink_to(built, target_is_directory=True)
        return
    (home / "models").mkdir(parents=True, mode=0o700)
    (home / "models" / MODEL.name).symlink_to(MODEL, target_is_directory=True)
    (home / "settings.toml").write_text(f"[keywords]\nper_exchange = {keywords}\n", encoding="utf-8")


def _disk_mb(folder: Path) -> float:
    """What its files take, without what they link to: the embedder is everyone's."""
    top = (folder / "home").resolve() if (folder / "home").is_symlink() else folder
    sizes = [
        (Path(place) / name).stat().st_size
        for place, _, names in os.walk(top)
        for name in names
        if not (Path(place) / name).is_symlink()
    ]
    return sum(sizes) / 2**20
