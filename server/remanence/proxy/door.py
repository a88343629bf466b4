"""The endpoint's life inside the engine: open while the user wants it, and until then no socket at all."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn

from remanence.engine.app import Activity
from remanence.engine.verbs import Handler
from remanence.paths import Home
from remanence.proxy.app import create_proxy
from remanence.proxy.remembering import Remembering
from remanence.proxy.state import Endpoint, is_turned_on, key_of, write_endpoint
from remanence.proxy.upstream import Servers
from remanence.settings import ProxySettings, Settings

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 5.0
_LAST_ANSWERS_SECONDS = 5


class _NotOpen(Exception):
    """Why the endpoint cannot be had now, in words."""


async def keep_open(home: Home, settings: Settings, handlers: dict[str, Handler], activity: Activity) -> None:
    """Serve the endpoint whenever it is wanted; runs until it is cancelled, and then takes leave in order.

    While it is open the engine counts as used: whoever has its address set expects an answer.
    """
    told = None
    try:
        while True:
            if _is_wanted(home, settings):
                try:
                    await _serve(home, settings, handlers, activity)
                except _NotOpen as error:
                    if told != str(error):
                        told = str(error)
                        log.warning("the endpoint is not open: %s", told)
                    write_endpoint(home, Endpoint(pid=os.getpid(), problem=told))
                    await _while_wanted(home, settings, _AGAIN_SECONDS)
            write_endpoint(home, None)  # also what an engine left that was killed
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        write_endpoint(home, None)


async def _while_wanted(home: Home, settings: Settings, seconds: float = math.inf) -> None:
    until = asyncio.get_running_loop().time() + seconds
    while _is_wanted(home, settings) and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(_LOOK_SECONDS)


def _is_wanted(home: Home, settings: Settings) -> bool:
    return settings.proxy.enabled or is_turned_on(home)


async def _serve(home: Home, settings: Settings, handlers: dict[str, Handler], activity: Activity) -> None:
    chosen = settings.proxy
    listening = _bind(chosen)
    upstream = Servers(
        chosen.upstream_openai,
        chosen.upstream_ollama,
        os.environ.get(chosen.upstream_key_env, "") if chosen.upstream_key_env else "",
        chosen.silent_seconds,
    )
    memory = Remembering(
        handlers,
        enrich=chosen.enrich,
        capture=chosen.capture,
        token_budget=chosen.token_budget,
        patience=chosen.patience_ms / 1000,
    )
    server = _Server(_config())
    server.config.app = create_proxy(key_of(home), upstream, memory)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="endpoint")
    activity.requests += 1
    try:
        write_endpoint(home, Endpoint(pid=os.getpid(), port=int(listening.getsockname()[1])))
        await _while_wanted(home, settings)
    finally:
        server.should_exit = True
        await serving
        if cut := set(server.server_state.tasks):  # their answers took too long; what came of them is kept
            await asyncio.wait(cut, timeout=_LAST_ANSWERS_SECONDS)
        await memory.finish()
        await upstream.close()
        activity.requests -= 1
        activity.last = asyncio.get_running_loop().time()


def _bind(chosen: ProxySettings) -> socket.socket:
    """The socket that clients connect to. Raises _NotOpen."""
    # with its protocol named, or asyncio leaves Nagle's algorithm on: 40 ms for an answer in two parts
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":  # there it would let two listen at once
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", chosen.port))
        if trouble := _trouble(chosen, int(listening.getsockname()[1])):
            raise _NotOpen(trouble)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise _NotOpen(f"port {chosen.port} cannot be had: {error.strerror or error}") from error
    except _NotOpen:
        listening.close()
        raise
    return listening


def _trouble(chosen: ProxySettings, port: int) -> str | None:
    """What is wrong with the upstreams that the settings name, in words."""
    for name in ("upstream_openai", "upstream_ollama"):
        address: str = getattr(chosen, name)
        try:
            parts = urlsplit(address)
            upstream_port = parts.port
        except ValueError:
            return f"{name} is no address: {address}"
        if address and (parts.scheme not in ("http", "https") or not parts.hostname):
            return f"{name} is no http address: {address}"
        if parts.hostname in ("127.0.0.1", "localhost", "::1") and upstream_port == port:
            return f"{name} is the endpoint's own address"
    return None


class _Server(uvicorn.Server):
    """A server beside the engine's own, which alone hears signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        app="",
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
        timeout_keep_alive=60,
    )
