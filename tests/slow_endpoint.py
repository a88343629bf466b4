"""An OpenAI-compatible server that writes "tick" fifty times a second for as long as someone listens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_WORD_SECONDS = 0.02


class SlowEndpoint(ThreadingHTTPServer):
    """`asked` are the bodies of the requests, `listening` counts those whose client is still there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.listening = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: SlowEndpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.listening += 1
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for _ in range(body.get("max_tokens") or 10**6):
                part = {"choices": [{"index": 0, "delta": {"content": "tick "}, "text": "tick "}]}
                self.wfile.write(f"data: {json.dumps(part)}\n\n".encode())
                self.wfile.flush()
                time.sleep(_WORD_SECONDS)
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # the client hung up
        finally:
            self.server.listening -= 1

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def slow_endpoint() -> Iterator[SlowEndpoint]:
    """The server, on a port of its own."""
    server = SlowEndpoint()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
