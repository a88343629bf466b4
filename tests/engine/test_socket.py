"""The engine's HTTP interface as any client meets it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from engine_process import ask, engines_of, stop, wait_until

from remanence.engine.address import Address, read_address
from remanence.engine.connections import Connections
from remanence.engine.messages import CaptureRequest, RecallRequest
from remanence.engine.starting import ping
from remanence.paths import Home

pytestmark = pytest.mark.e2e


@pytest.fixture
def running(home: Home) -> Iterator[Home]:
    ask(home, lambda client: client.status())
    yield home
    stop(home)


def send(home: Home, verb: str, body: bytes) -> tuple[int, bytes]:
    async def run() -> tuple[int, bytes]:
        address = read_address(home)
        assert address is not None
        with closing(Connections(address)) as connections:
            answer = await connections.post(verb, body)
        return answer.status, answer.content

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("verb", "body", "status", "said"),
    [
        ("recall", b'{"query": 5}', 400, b'"field":"query"'),
        ("recall", b"{", 400, b"not JSON"),
        ("capture", b'{"question": "q"}', 400, b'"field":"answer"'),
        (
            "capture",
            b'{"question": "q", "answer": "' + b"x" * (65 * 2**20) + b'"}',
            400,
            b"larger than 64 MB",
        ),
        ("dance", b"{}", 404, b"no verb"),
        ("memory", b'{"id": "none"}', 404, b"no memory"),
    ],
)
def test_a_bad_request_is_answered_in_words(
    running: Home, verb: str, body: bytes, status: int, said: bytes
) -> None:
    answered, content = send(running, verb, body)
    assert answered == status
    assert said in content


def test_a_door_that_hangs_up_leaves_a_working_engine(running: Home) -> None:
    async def hang_up() -> None:
        address = read_address(running)
        assert address is not None
        for _ in range(20):
            connections = Connections(address)
            asking = asyncio.create_task(connections.post("recall", b'{"query": "anything at all"}'))
            await asyncio.sleep(0.001)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            connections.close()

    asyncio.run(hang_up())
    assert send(running, "status", b"")[0] == 200


def test_without_unix_sockets_the_engine_asks_for_its_token(home: Home) -> None:
    windows = (
        "from remanence.engine import address; address.HAS_UNIX_SOCKETS = False\n"
        "from pathlib import Path; from remanence.paths import Home\n"
        "from remanence.engine.lifecycle import run_engine\n"
        f"run_engine(Home(Path({str(home.root)!r})))"
    )
    engine = subprocess.Popen([sys.executable, "-c", windows])
    try:
        wait_until(lambda: read_address(home) is not None)
        address = read_address(home)
        assert address is not None
        assert address.port
        assert asyncio.run(ping(address)) is not None
        captured = ask(home, lambda client: client.capture(CaptureRequest(question="q?", answer="Loopback.")))
        found = ask(home, lambda client: client.recall(RecallRequest(query="loopback")))
        assert [memory.id for memory in found.memories] == [captured.id]

        async def intrude(token: str) -> int:
            stranger = Address(pid=0, version="", port=address.port, token=token)
            with closing(Connections(stranger)) as connections:
                return (await connections.post("status", b"")).status

        assert [asyncio.run(intrude(token)) for token in ("", "guess")] == [403, 403]
    finally:
        stop(home)
        engine.wait(timeout=20)
    assert engines_of(home) == []
