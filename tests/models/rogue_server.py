"""A small server of real sockets that answers as a test tells it to: with nonsense, slowly, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answer = Callable[[Request, socket.socket], None]


@dataclass
class RogueServer:
    """Hands each request to `answer`, with the connection to write to, which is closed afterwards."""

    answer: Answer
    requests: list[Request] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()

    def wait_for_hang_up(self, connection: socket.socket) -> None:
        """Say nothing until the client goes away."""
        connection.settimeout(30)
        if connection.recv(1) == b"":
            self.hung_up.set()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(30)
            try:
                request = _read(connection)
                self.requests.append(request)
                self.answer(request, connection)
            except OSError:  # the client is gone
                return


def reply(status: int, body: object, content_type: str = "application/json", extra: str = "") -> bytes:
    """A whole HTTP answer; `body` is bytes, or what becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    described = f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    return f"HTTP/1.1 {status} X\r\n{described}{extra}\r\n".encode() + content


def delta(text: str, finish: str | None = None) -> bytes:
    """One event of a streamed chat."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode() + b"\n\n"


def _read(connection: socket.socket) -> Request:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    method, path, _ = first.split()
    return Request(method, path, headers, json.loads(body) if body else None)


def sends(content: bytes) -> Answer:
    """The same to every request."""
    return lambda _, connection: connection.sendall(content)
