"""What all processes of Remanence take in memory, and what is done when it is too much."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
_DOORS_SECONDS = 60.0  # how often the doors are looked for, among all processes of the machine
_AGAIN_BELOW = 0.9  # of the threshold: below it a warning is over, and may be given again
_SHOWN_SECONDS = 300.0  # at least, so that whoever looks now and then sees it
_LEAST_FREE = 0.05  # of the machine's memory: below it, idle models go whatever we take ourselves
_DOORS = ("lsp", "mcp")
_MB = 2**20


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """One process of ours: engine, one of its children by the name of its module, or a door."""

    name: str
    pid: int
    rss_mb: float


def own_processes(doors: Iterable[psutil.Process] = ()) -> list[OwnProcess]:
    """This process, which is the engine, its children, and those of `doors` that still run."""
    engine = psutil.Process()
    found = [OwnProcess("engine", engine.pid, _rss_mb(engine))]
    for process in (*engine.children(recursive=True), *doors):
        try:
            found.append(OwnProcess(_name(process.cmdline()), process.pid, _rss_mb(process)))
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def find_doors() -> list[psutil.Process]:
    """The language servers and other doors of this user that run now, as far as the system shows them."""
    engine = psutil.Process()
    ours = {engine.pid, *(child.pid for child in engine.children(recursive=True))}
    doors: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and _is_door(process.cmdline()) and _is_same_user(process, engine):
                doors.append(process)
        except (psutil.Error, OSError):  # it ended meanwhile, or is not ours to look at
            continue
    return doors


class MemoryMonitor:
    """Looks now and then at what all processes of ours take. Above `warn_mb`, or where the machine has next
    to nothing left, it has idle models unloaded; and it says once what happened, until all is well again.

    `unload_idle` unloads until it is told that it is enough, and gives the names of what it unloaded.
    """

    def __init__(
        self,
        warn_mb: int,
        unload_idle: Callable[[Callable[[], bool]], list[str]],
        *,
        doors: Callable[[], list[psutil.Process]] = find_doors,
        every: float = _LOOK_SECONDS,
        shown: float = _SHOWN_SECONDS,
    ) -> None:
        self.warn_mb = warn_mb
        self._unload_idle = unload_idle
        self._find_doors = doors
        self._every = every
        self._shown = shown
        self._doors: list[psutil.Process] = []
        self._doors_at = float("-inf")
        self._warning: str | None = None
        self._warned_at = 0.0
        self._one_look = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def warning(self) -> str | None:
        """What there is to say now, in words: the same words until it is over, so say them once."""
        return self._warning

    def processes(self) -> list[OwnProcess]:
        """Every process of ours, the engine first."""
        now = time.monotonic()
        if now - self._doors_at > _DOORS_SECONDS:
            self._doors, self._doors_at = self._find_doors(), now
        return own_processes(self._doors)

    def start(self) -> None:
        """Look from now on, in a thread."""
        self._thread = threading.Thread(target=self._watch, name="memory monitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=self._every)

    def check(self) -> None:
        """Look once, and act."""
        with self._one_look:
            taken = self._taken()
            is_scarce = not _is_enough_free()
            if taken > self.warn_mb or is_scarce:
                unloaded = self._unload_idle(lambda: self._taken() <= self.warn_mb and _is_enough_free())
                if self._warning is None and (unloaded or taken > self.warn_mb):
                    self._warning = self._in_words(taken, unloaded, is_scarce=is_scarce)
                    self._warned_at = time.monotonic()
                    log.warning(self._warning)
            elif taken < self.warn_mb * _AGAIN_BELOW and time.monotonic() - self._warned_at > self._shown:
                self._warning = None

    def _watch(self) -> None:
        while not self._closing.wait(self._every):
            try:
                self.check()
            except (psutil.Error, OSError) as error:
                log.warning("memory could not be looked at: %s", type(error).__name__)

    def _taken(self) -> float:
        return sum(process.rss_mb for process in self.processes())

    def _in_words(self, taken: float, unloaded: list[str], *, is_scarce: bool) -> str:
        if taken > self.warn_mb:
            said = f"Remanence takes {taken:,.0f} MB of memory, more than {self.warn_mb:,} (`warn_mb`)"
        else:
            said = f"The machine is short of memory; Remanence takes {taken:,.0f} MB"
        largest = max(self.processes(), key=lambda process: process.rss_mb)
        if unloaded:
            done = f"unloaded: {', '.join(unloaded)}. It now takes {self._taken():,.0f} MB"
        else:
            done = (
                "nothing of it is idle. Most has"
                f" {largest.name} (pid {largest.pid}): {largest.rss_mb:,.0f} MB"
            )
        return f"{said}; {done}."


def _is_enough_free() -> bool:
    memory = psutil.virtual_memory()
    return memory.available > memory.total * _LEAST_FREE


def _rss_mb(process: psutil.Process) -> float:
    return round(process.memory_info().rss / _MB, 1)


def _name(command: list[str]) -> str:
    """`model_worker` for `python -m remanence.models.model_worker …`, `lsp` for a language server."""
    module = next((part for part in command if part.startswith("remanence.")), None)
    if module is not None:
        return module.rpartition(".")[2]
    return next((verb for verb in _DOORS if verb in command), "worker")


def _is_door(command: list[str]) -> bool:
    """`…/remanence lsp`, as the editors start it, under Python or as a program of its own."""
    for index, part in enumerate(command[:-1]):
        program = part.replace("\\", "/").rpartition("/")[2].removesuffix(".exe")
        if program in ("remanence", "remanence.cli"):
            return any(verb in command[index + 1 :] for verb in _DOORS)
    return False


def _is_same_user(process: psutil.Process, other: psutil.Process) -> bool:
    return process.username() == other.username()
