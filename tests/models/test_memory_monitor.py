from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from remanence.models.memory_monitor import MemoryMonitor, OwnProcess, find_doors, own_processes

_TAKE = "import os, sys; held = os.urandom(2**20) * int(sys.argv[1]); print(flush=True); sys.stdin.read()"


class Children:
    """Child processes that each hold some memory, as models would."""

    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, mb: int) -> None:
        arguments = [sys.executable, "-c", _TAKE, str(mb)]
        child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        self.running[name] = child

    def end(self, name: str) -> None:
        child = self.running.pop(name)
        child.kill()
        child.communicate()

    def unload_idle(self, is_enough: Callable[[], bool]) -> list[str]:
        unloaded: list[str] = []
        while not is_enough():
            name = next((name for name in self.running if not name.startswith("busy")), None)
            if name is None:
                break
            self.end(name)
            unloaded.append(name)
        return unloaded


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    for name in list(children.running):
        children.end(name)


def total() -> float:
    return sum(process.rss_mb for process in own_processes())


def monitor(children: Children, above_now_mb: float) -> MemoryMonitor:
    return MemoryMonitor(round(total() + above_now_mb), children.unload_idle, doors=list, shown=0.0)


def test_below_the_threshold_nothing_is_said_and_nothing_unloaded(children: Children):
    watching = monitor(children, 400)
    children.start("one", 100)
    watching.check()
    assert watching.warning is None
    assert list(children.running) == ["one"]


def test_above_it_idle_models_go_until_it_is_enough_and_it_is_said(children: Children):
    watching = monitor(children, 250)
    for name in ("busy", "first", "second"):
        children.start(name, 100)
    watching.check()
    assert list(children.running) == ["busy", "second"]
    warning = watching.warning
    assert warning is not None
    assert f"more than {watching.warn_mb:,} (`warn_mb`); unloaded: first. It now takes" in warning


def test_it_is_said_once_until_all_is_well_again(children: Children):
    watching = monitor(children, 80)
    own_mb = psutil.Process().memory_info().rss / 2**20  # which grows with the tests before this one
    children.start("busy", round(own_mb) + 200)
    watching.check()
    first = watching.warning
    assert first is not None
    assert f"nothing of it is idle. Most has worker (pid {children.running['busy'].pid})" in first
    children.start("busy too", 100)
    watching.check()
    assert watching.warning == first
    children.end("busy")
    children.end("busy too")
    watching.warn_mb = round(total() * 1.3)  # clearly below it again, whatever this process itself takes
    watching.check()
    assert watching.warning is None
    children.start("busy again", round(total()))
    watching.check()
    assert watching.warning not in (None, first)


def test_a_warning_stays_long_enough_to_be_seen(children: Children):
    watching = MemoryMonitor(round(total() + 80), children.unload_idle, doors=list, shown=60.0)
    children.start("one", 200)
    watching.check()
    watching.warn_mb *= 10
    watching.check()
    assert watching.warning is not None
    assert "unloaded: one" in watching.warning


def test_it_looks_by_itself_until_it_is_closed(children: Children):
    watching = MemoryMonitor(round(total() + 80), children.unload_idle, doors=list, every=0.05)
    children.start("one", 200)
    watching.start()
    deadline = time.monotonic() + 20
    while children.running and time.monotonic() < deadline:
        time.sleep(0.01)
    watching.close()
    assert children.running == {}
    children.start("two", 200)
    time.sleep(0.3)
    assert list(children.running) == ["two"]


def test_the_engine_and_its_children_are_known_by_name_with_what_they_take(children: Children):
    worker = [sys.executable, "-m", "remanence.models.model_worker", "none"]
    child = subprocess.Popen(worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        children.start("one", 100)
        found = own_processes()
        assert found[0].name == "engine"
        assert found[0].pid == os.getpid()
        assert "model_worker" in {each.name for each in found if each.pid == child.pid}
        (holder,) = (each for each in found if each.pid == children.running["one"].pid)
        assert 100 < holder.rss_mb < 160
    finally:
        child.kill()
        child.communicate()


def test_a_door_that_another_process_started_is_found_and_counted(tmp_path: Path):
    program = tmp_path / "remanence"
    program.write_text("import time; time.sleep(60)", encoding="utf-8")
    script = (
        "import subprocess as s, sys; "
        "print(s.Popen([sys.executable, *sys.argv[1:]], stdout=s.DEVNULL, stderr=s.DEVNULL).pid)"
    )
    started = subprocess.run(  # its parent ends, so that it is nobody's child here
        [sys.executable, "-c", script, str(program), "--home", "somewhere", "lsp"],
        stdout=subprocess.PIPE,
        check=True,
    )
    door = psutil.Process(int(started.stdout))
    try:
        assert door.pid not in {each.pid for each in own_processes()}
        assert door in find_doors()
        found = own_processes([door])
        assert OwnProcess("lsp", door.pid, found[-1].rss_mb) == found[-1]
        assert found[-1].rss_mb > 1
    finally:
        door.kill()
        door.wait(10)
    assert door.pid not in {each.pid for each in own_processes([door])}
