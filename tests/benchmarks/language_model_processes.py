"""The memory of every process while models are loaded, asked, switched and unloaded, and the times."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from over_lsp import window
from vector_cache import MODEL, load_embedder

from remanence.engine import model_messages as mm
from remanence.engine.address import read_address
from remanence.engine.client import EngineClient, connect
from remanence.paths import Home

_QUERIES = [f"how was the {word} made again" for word in ("index", "socket", "cache", "parser", "lock")]
_MB = 2**20
_EVERY_S = 0.02
_TIMES = 5


@dataclass(frozen=True, slots=True)
class Planned:
    """What the user's planning of the memory had set, for one application with its model inside."""

    start_mb: int = 150
    normal_mb: int = 350
    peak_mb: int = 600
    unload_s: float = 2.0
    switch_s: float = 1.0


ENDS = Planned()


@dataclass(frozen=True, slots=True)
class Moment:
    """Resident memory in MB: the language server, the engine, and the model workers together."""

    name: str
    door_mb: float
    engine_mb: float
    worker_mb: float

    @property
    def all_mb(self) -> float:
        return self.door_mb + self.engine_mb + self.worker_mb


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The five figures, and what else was measured on the way."""

    start_mb: float
    normal_mb: float
    peak_mb: float
    peak_without_worker_mb: float
    unload_s: float
    switch_s: float
    load_s: float
    first_token_s: float
    moments: list[Moment] = field(default_factory=list[Moment])


async def measure_whole(first: Path, second: Path, prompt: str, tokens: int, threads: int) -> Whole:
    """One language server and one engine on a data directory of their own, and two model files in turn."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").create()
        load_embedder()
        (home.models / MODEL.name).symlink_to(MODEL, target_is_directory=True)
        home.settings.write_text(_settings(first, second, threads), encoding="utf-8")
        moments: list[Moment] = []

        def note(name: str) -> Moment:
            moments.append(_now(home, name))
            return moments[-1]

        async with window(home, _QUERIES) as opened:
            await opened.recall(0)
            await opened.indexed()
            start = note("at start")
            for i in range(200):
                await opened.recall(i % len(_QUERIES))
            for i in range(20):
                await opened.capture(f"{_QUERIES[i % len(_QUERIES)]} ({i})", "By hand, with care.")
            await opened.indexed()
            normal = note("in normal use")
            client = await connect(home)
            try:
                times = await _times(client, prompt, tokens)
                with _peak(home) as peak:  # apart: looking takes its own time
                    await _models(client, "load", "first")
                moments.append(peak.moment())
                note("loaded")
                with _peak(home, "peak while it answers") as answering:
                    await _first_token(client, "first", prompt, tokens)
                moments.append(answering.moment())
                await _first_token(client, "second", prompt, 8)
                note("switched to the other")
                await _models(client, "unload", "second")
                note("unloaded")
            finally:
                await client.close()
        return Whole(
            start_mb=start.all_mb,
            normal_mb=normal.all_mb,
            peak_mb=peak.all_mb,
            peak_without_worker_mb=peak.others_mb,
            **times,
            moments=moments,
        )


def _settings(first: Path, second: Path, threads: int) -> str:
    lines = ["[language_models]", 'use = "first"', "most_loaded = 1"]
    for name, path in (("first", first), ("second", second)):
        lines += [f"[language_models.models.{name}]", f"path = {json.dumps(str(path.absolute()))}"]
        lines += [f"threads = {threads}"]
    return "\n".join(lines) + "\n"


async def _times(client: EngineClient, prompt: str, tokens: int) -> dict[str, float]:
    """Medians; the first load of all, which brings the engine's own half of it in, is left out."""
    loads: list[float] = []
    firsts: list[float] = []
    switches: list[float] = []
    unloads: list[float] = []
    await _models(client, "load", "first")
    for _ in range(_TIMES):
        await _models(client, "unload", "first")
        loads.append(await _models(client, "load", "first"))
        await _first_token(client, "first", prompt, 8)
        firsts.append(await _first_token(client, "first", prompt, tokens))
        switches.append(await _first_token(client, "second", prompt, 8))
        unloads.append(await _models(client, "unload", "second"))
    return {
        "load_s": statistics.median(loads),
        "first_token_s": statistics.median(firsts),
        "switch_s": statistics.median(switches),
        "unload_s": statistics.median(unloads),
    }


async def _models(client: EngineClient, action: mm.ModelAction, id: str) -> float:
    begun = time.perf_counter()
    await client.models(mm.ModelsRequest(action=action, id=id))
    return time.perf_counter() - begun


async def _first_token(client: EngineClient, model: str, prompt: str, tokens: int) -> float:
    """Seconds to the first piece of an answer, which is then read to its end."""
    request = mm.AskRequest(prompt=prompt, model=model, max_tokens=tokens, with_memory=False, remember=False)
    begun = time.perf_counter()
    first_at = 0.0
    async for event in client.ask(request):
        if event.text:
            first_at = first_at or time.perf_counter()
    return first_at - begun


def _now(home: Home, name: str) -> Moment:
    address = read_address(home)
    assert address is not None
    engine = psutil.Process(address.pid)
    door = workers = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "lsp" in child.cmdline():
                door += child.memory_info().rss / _MB
    for child in engine.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "remanence.models.model_worker" in child.cmdline():
                workers += child.memory_info().rss / _MB
    return Moment(name, door, engine.memory_info().rss / _MB, workers)


class _Peak:
    """The highest of each, looked at every few milliseconds."""

    def __init__(self, home: Home, name: str) -> None:
        self._home = home
        self._name = name
        self._over = threading.Event()
        self._highest = _now(home, name)
        self.all_mb = self._highest.all_mb
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def others_mb(self) -> float:
        return self._highest.door_mb + self._highest.engine_mb

    def moment(self) -> Moment:
        return self._highest

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            now, highest = _now(self._home, self._name), self._highest
            self._highest = Moment(
                self._name,
                max(now.door_mb, highest.door_mb),
                max(now.engine_mb, highest.engine_mb),
                max(now.worker_mb, highest.worker_mb),
            )
            self.all_mb = max(self.all_mb, now.all_mb)


@contextlib.contextmanager
def _peak(home: Home, name: str = "peak while it loads") -> Iterator[_Peak]:
    peak = _Peak(home, name)
    try:
        yield peak
    finally:
        peak.end()
