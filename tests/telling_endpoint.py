"""An OpenAI-compatible server that answers as a test tells it: a function from what was asked to the text."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Tell = Callable[[list[dict[str, str]]], str]


class TellingEndpoint(ThreadingHTTPServer):
    """`tell` gets the messages of each request; `asked` are the bodies."""

    daemon_threads = True

    def __init__(self, tell: Tell) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tell = tell
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: TellingEndpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        part = {"choices": [{"index": 0, "delta": {"content": self.server.tell(body["messages"])}}]}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(part)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def telling_endpoint(tell: Tell) -> Iterator[TellingEndpoint]:
    """The server, on a port of its own."""
    server = TellingEndpoint(tell)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
