"""One engine per data directory, found or started by whoever needs it, gone when nobody does."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import ask, engines_of, kill, stop, wait_until

from remanence.engine.address import bind, read_address
from remanence.engine.client import EngineError, connect
from remanence.engine.messages import CaptureRequest, RecallRequest
from remanence.engine.starting import ALLOCATOR, ping
from remanence.paths import Home

pytestmark = pytest.mark.e2e

EXCHANGE = CaptureRequest(question="How do I undo the last commit?", answer="git reset --soft HEAD~1")


@pytest.fixture
def own_home(home: Home) -> Iterator[Home]:
    yield home
    stop(home)


def test_ten_doors_at_once_start_one_engine(own_home: Home) -> None:
    door = [sys.executable, "-m", "remanence", "--home", str(own_home.root), "status", "--json"]
    doors = [subprocess.Popen(door, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in doors]
    pids = {answer["processes"][0]["pid"] for answer in answers}
    assert len(pids) == 1
    assert [process.pid for process in engines_of(own_home)] == list(pids)


def test_two_data_directories_share_nothing(own_home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other").create()
    (other.models / "all-MiniLM-L6-v2").symlink_to(own_home.models / "all-MiniLM-L6-v2")
    try:
        ask(own_home, lambda client: client.capture(EXCHANGE))
        found = ask(other, lambda client: client.recall(RecallRequest(query="undo the last commit")))
        assert found.memories == []
        assert read_address(own_home) != read_address(other)
    finally:
        stop(other)


def test_a_door_whose_engine_dies_starts_another_and_asks_again(own_home: Home) -> None:
    async def run() -> None:
        client = await connect(own_home)
        captured = await client.capture(EXCHANGE)
        first = read_address(own_home)
        kill(own_home)
        found = await client.recall(RecallRequest(query="undo the last commit"))
        assert [memory.id for memory in found.memories] == [captured.id]
        assert read_address(own_home) != first
        await client.close()

    asyncio.run(run())


def test_an_idle_engine_ends_by_itself(own_home: Home) -> None:
    own_home.settings.write_text("[engine]\nidle_minutes = 0.02\n")
    ask(own_home, lambda client: client.status())
    assert engines_of(own_home)
    wait_until(lambda: not engines_of(own_home))
    assert read_address(own_home) is None
    assert not own_home.socket.exists()


def test_an_engine_whose_directory_is_taken_away_ends(own_home: Home) -> None:
    ask(own_home, lambda client: client.status())
    own_home.engine_state.unlink()
    wait_until(lambda: not engines_of(own_home))


def test_a_newer_door_replaces_an_older_engine_and_keeps_what_it_stored(own_home: Home) -> None:
    older = (
        "import sys, remanence; remanence.__version__ = '0.0.1'\n"
        "from pathlib import Path; from remanence.paths import Home\n"
        "from remanence.engine.lifecycle import run_engine\n"
        f"sys.argv.append('engine'); run_engine(Home(Path({str(own_home.root)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", older])
    wait_until(lambda: read_address(own_home) is not None)
    old = read_address(own_home)
    assert old is not None
    assert old.version == "0.0.1"
    status = ask(own_home, lambda client: client.status())
    assert process.wait(timeout=20) == 0
    assert status.processes[0].pid != old.pid


def test_a_second_engine_gives_way(own_home: Home) -> None:
    ask(own_home, lambda client: client.status())
    first = read_address(own_home)
    second = subprocess.run(
        [sys.executable, "-m", "remanence", "--home", str(own_home.root), "engine"], timeout=60, check=False
    )
    assert second.returncode == 0
    assert read_address(own_home) == first


def test_what_an_engine_leaves_when_killed_does_not_stop_the_next(own_home: Home) -> None:
    ask(own_home, lambda client: client.capture(EXCHANGE))
    kill(own_home)
    assert own_home.socket.exists()
    assert read_address(own_home) is not None
    assert ask(own_home, lambda client: client.status()).exchanges == 1


def test_an_engine_that_hangs_is_not_waited_for(own_home: Home) -> None:
    ask(own_home, lambda client: client.status())
    (engine,) = engines_of(own_home)
    address = read_address(own_home)
    assert address is not None
    engine.suspend()
    try:
        assert asyncio.run(ping(address)) is None
    finally:
        engine.resume()
    assert asyncio.run(ping(address)) is not None


def test_bad_settings_are_said_in_words(own_home: Home) -> None:
    own_home.settings.write_text("[engine]\nidle_minutes = 'soon'\n")
    with pytest.raises(EngineError, match=r"idle_minutes"):
        ask(own_home, lambda client: client.status())
    own_home.settings.unlink()


def test_every_file_is_private_and_inside_the_home(own_home: Home) -> None:
    ask(own_home, lambda client: client.capture(EXCHANGE))
    stop(own_home)
    for path in own_home.root.rglob("*"):
        if path.is_symlink() or any(parent.is_symlink() for parent in path.parents):
            continue
        forbidden = stat.S_IRWXG | stat.S_IRWXO
        assert path.stat().st_mode & forbidden == 0, path.relative_to(own_home.root)


def test_a_home_with_a_long_name_still_has_a_socket(own_home: Home, tmp_path: Path) -> None:
    deep = Home(tmp_path / ("d" * 60) / ("e" * 60)).create()
    try:
        assert ask(deep, lambda client: client.status()).home == str(deep.root)
        assert len(os.fsencode(deep.socket)) < 104
    finally:
        stop(deep)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")
def test_a_door_that_comes_before_the_engine_serves_waits_instead_of_starting_another(tmp_path: Path) -> None:
    listening, address = bind(Home(tmp_path).create(), "1", "")
    with listening, socket.socket(socket.AF_UNIX) as door:
        door.connect(str(address.socket))  # refused until someone listens


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_an_engine_keeps_the_pages_of_what_each_recall_needs_again() -> None:
    program = """
import resource, threading, numpy
def work(rounds):
    for _ in range(rounds):
        numpy.ones(450_000, dtype=numpy.float32)
def in_a_thread(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=work, args=(rounds,))
    thread.start(), thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
in_a_thread(5)
print(in_a_thread(200))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **ALLOCATOR},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert int(ran.stdout) < 10_000  # taken anew each time they would be 88,000
