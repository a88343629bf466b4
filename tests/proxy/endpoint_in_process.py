"""The real endpoint over a real service, on an event loop of its own in the test's process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from remanence.engine import messages as m
from remanence.engine.app import Activity
from remanence.engine.service import Service
from remanence.proxy.door import keep_open
from remanence.proxy.state import key_of, read_endpoint
from remanence.settings import ProxySettings, Settings


@dataclass(frozen=True)
class Endpoint:
    """Where clients find it. `ollama` is the address without a path, `keyed` the one with the key in it."""

    service: Service
    port: int
    key: str
    activity: Activity

    @property
    def ollama(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai(self) -> str:
        return f"{self.ollama}/v1"

    @property
    def keyed(self) -> str:
        return f"{self.ollama}/{self.key}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def open_endpoint(service: Service, **chosen: Any) -> Generator[Endpoint]:
    """The endpoint over this service; recall gets all the time it needs unless told otherwise."""
    given: dict[str, Any] = {"enabled": True, "port": 0, "patience_ms": 5000, **chosen}
    proxy = ProxySettings(**given)
    settings = msgspec.structs.replace(Settings(), proxy=proxy)
    loop = asyncio.new_event_loop()
    activity = Activity()
    running: list[asyncio.Task[None]] = []

    async def run() -> None:
        running.append(asyncio.ensure_future(keep_open(service.home, settings, service.handlers(), activity)))
        await asyncio.wait(running)

    thread = threading.Thread(target=loop.run_until_complete, args=[run()], name="endpoint", daemon=True)
    thread.start()
    try:
        yield Endpoint(service, _port(service), key_of(service.home), activity)
    finally:
        loop.call_soon_threadsafe(running[0].cancel)
        thread.join()
        loop.close()


def _port(service: Service) -> int:
    deadline = time.monotonic() + 10
    while True:
        found = read_endpoint(service.home)
        if found is not None and found.port:
            return found.port
        assert found is None or found.problem is None, found
        assert time.monotonic() < deadline, "the endpoint did not open"
        time.sleep(0.02)


def remember(service: Service, question: str, answer: str, **more: Any) -> str:
    """One exchange, recallable when this returns."""
    return service.capture(m.CaptureRequest(question=question, answer=answer, **more), _never).id


def recalled(service: Service, query: str) -> list[m.Memory]:
    return service.recall(m.RecallRequest(query=query), _never).memories


def kept(service: Service, query: str, holding: str = "", seconds: float = 10.0) -> m.Memory:
    """The memory that this query finds and whose text holds so much, waited for: the endpoint captures after
    its last byte is sent."""
    deadline = time.monotonic() + seconds
    while True:
        for found in recalled(service, query):
            if holding in f"{found.question}\n{found.answer}":
                return found
        assert time.monotonic() < deadline, f"nothing was kept that {query!r} finds"
        time.sleep(0.02)


def _never() -> bool:
    return False
