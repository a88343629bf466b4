"""A small server that speaks OpenAI's and Ollama's shapes and records every byte it was sent.

What a request's `model` names decides how it answers: `slow` says nothing, `broken` breaks off, `page` gives
HTML, `packed` gzips, `refuses` gives an error of its own, `endless` streams until the client has gone.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
from starlette.types import Receive, Scope, Send

ANSWER = "Use the Quibblequay lock: it waits – and never longer than ☃ seconds."
ODD_ERROR = (
    b'{ "error" : {"message":"no such model\\u2028", "type":"odd", "code":null, "extra":[1.0, 2e3]}}\n'
)


@dataclass(frozen=True)
class Received:
    """One request as it arrived. `at` is on `time.perf_counter`'s clock, when its last byte was there."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    at: float

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each == name), None)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class UpstreamServer:
    """A running server; `url` without a path. `sent` holds the bodies that it answered with, `pause` is how
    many seconds lie between two pieces, `begun` and `hung_up` tell of clients of `slow` and `endless`.
    """

    port: int
    received: list[Received] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)
    answer: str = ANSWER
    pause: float = 0.002

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Received:
        return self.received[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        body = b"".join(parts)
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        target = scope["raw_path"].decode() + ("?" + scope["query_string"].decode()).rstrip("?")
        self.received.append(Received(scope["method"], target, headers, body, time.perf_counter()))
        try:
            asked = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            asked = {}
        await _Reply(self, scope["path"], asked if isinstance(asked, dict) else {}, receive, send).run()


class _Reply:
    """The answer to one request."""

    def __init__(
        self, server: UpstreamServer, path: str, asked: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        self.server, self.path, self.asked, self.receive, self.send = server, path, asked, receive, send
        self.model = str(asked.get("model", "tiny"))
        self.name = f"resp_{len(server.received)}"

    async def run(self) -> None:
        if self.model == "slow":
            self.server.begun.set()
            await asyncio.wait_for(self.disconnected(), 30)
            self.server.hung_up.set()
            return
        await asyncio.sleep(self.server.pause)
        if self.model == "page":
            await self.whole(b"<!DOCTYPE html><title>Welcome</title>", "text/html; charset=utf-8")
        elif self.model == "refuses":
            await self.whole(ODD_ERROR, "application/json", status=429, extra=[(b"Retry-After", b"7")])
        elif self.path in ("/v1/models", "/api/tags"):
            await self.whole(b'{"object":"list",  "data":[{"id":"tiny"}], "models":[]}', "application/json")
        elif self.path.startswith("/v1/") and self.path.removeprefix("/v1/") in _OPENAI:
            await self.openai(self.path.removeprefix("/v1/"))
        elif self.path in ("/api/chat", "/api/generate"):
            await self.ollama(is_chat=self.path == "/api/chat")
        else:
            await self.whole(b"\x00\xffwhatever " + self.path.encode(), "application/octet-stream")

    async def openai(self, kind: str) -> None:
        if self.asked.get("stream"):
            events = _OPENAI[kind][1](self)
            await self.streamed(events, "text/event-stream; charset=utf-8")
        else:
            body = json.dumps(_OPENAI[kind][0](self), indent=1, ensure_ascii=False).encode()
            if self.model == "packed":
                packed = gzip.compress(body)
                await self.whole(packed, "application/json", extra=[(b"Content-Encoding", b"gzip")])
            else:
                await self.whole(body, "application/json")

    async def ollama(self, *, is_chat: bool) -> None:
        def line(text: str, done: bool, calls: list[Any] | None = None) -> bytes:
            said: dict[str, Any] = {"model": self.model, "created_at": "2026-01-01T00:00:00Z", "done": done}
            if is_chat:
                said["message"] = {"role": "assistant", "content": text}
                said["message"] |= {"tool_calls": calls} if calls else {}
            else:
                said["response"] = text
            if done:
                said |= {"done_reason": "stop", "eval_count": 3}
            return json.dumps(said, ensure_ascii=False).encode() + b"\n"

        call = {"function": {"name": "look", "arguments": {"at": "x"}}}
        calls = [call] if self.wants_tool() else None
        if self.asked.get("stream", True) is False:
            await self.whole(line("" if calls else self.server.answer, True, calls), "application/json")
            return

        async def lines() -> AsyncIterator[bytes]:
            if calls:
                yield line("", False, calls)
            else:
                for piece in pieces(self.server.answer):
                    yield line(piece, False)
            yield line("", True)

        await self.streamed(lines(), "application/x-ndjson")

    def wants_tool(self) -> bool:
        messages = self.asked.get("messages")
        if not self.asked.get("tools") or not isinstance(messages, list):
            return False
        return not any(message.get("role") == "tool" for message in cast(list[dict[str, Any]], messages))

    async def whole(
        self, body: bytes, kind: str, status: int = 200, extra: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        self.server.sent.append(body)
        headers = [(b"Content-Type", kind.encode()), (b"Content-Length", str(len(body)).encode())]
        headers += [(b"X-Odd", b"one"), (b"X-Odd", b"two"), (b"Access-Control-Allow-Origin", b"*")]
        await self.send({"type": "http.response.start", "status": status, "headers": headers + (extra or [])})
        await self.send({"type": "http.response.body", "body": body})

    async def streamed(self, parts: AsyncIterator[bytes], kind: str) -> None:
        sent: list[bytes] = []
        headers = [(b"Content-Type", kind.encode()), (b"X-Odd", b"one")]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        async for part in parts:
            if self.model == "broken" and len(sent) == 4:
                return  # uvicorn closes a connection whose answer is not complete
            sent.append(part)
            await self.send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(self.server.pause)
        if self.model == "endless":
            self.server.begun.set()
            gone = asyncio.create_task(self.disconnected())
            while not gone.done():
                await self.send({"type": "http.response.body", "body": b": wait\n\n", "more_body": True})
                await asyncio.sleep(0.01)
            self.server.hung_up.set()
            return
        self.server.sent.append(b"".join(sent))
        await self.send({"type": "http.response.body", "body": b""})

    async def disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue


def pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _event(said: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(said, ensure_ascii=False).encode() + b"\n\n"


_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "x"}'}}


def _chat(reply: _Reply) -> dict[str, Any]:
    calls = reply.wants_tool()
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else reply.server.answer}
    if calls:
        message["tool_calls"] = [_CALL]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    base = {"id": "c1", "object": "chat.completion", "created": 1, "model": f"{reply.model}-2026"}
    return {**base, "choices": [choice], "usage": usage, "x_unknown": 1.0}


async def _chat_events(reply: _Reply) -> AsyncIterator[bytes]:
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": f"{reply.model}-2026"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _event({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    if reply.wants_tool():
        yield chunk({"tool_calls": [{"index": 0, **_CALL}]})
        yield chunk({}, "tool_calls")
    else:
        for piece in pieces(reply.server.answer):
            yield chunk({"content": piece})
        if reply.model == "endless":
            return
        yield chunk({}, "stop")
    yield b"data: [DONE]\n\n"


def _completion(reply: _Reply) -> dict[str, Any]:
    choice = {"index": 0, "text": reply.server.answer, "finish_reason": "stop", "logprobs": None}
    base = {"id": "t1", "object": "text_completion", "created": 1, "model": reply.model}
    return {**base, "choices": [choice]}


async def _completion_events(reply: _Reply) -> AsyncIterator[bytes]:
    base = {"id": "t1", "object": "text_completion", "created": 1, "model": reply.model}
    for piece in pieces(reply.server.answer):
        choice: dict[str, Any] = {"index": 0, "text": piece, "finish_reason": None, "logprobs": None}
        yield _event({**base, "choices": [choice]})
    done = {"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}
    yield _event({**base, "choices": [done]})
    yield b"data: [DONE]\n\n"


def _response(reply: _Reply, status: str = "completed") -> dict[str, Any]:
    text = {"type": "output_text", "text": reply.server.answer, "annotations": []}
    message = {"type": "message", "id": "m1", "role": "assistant", "status": status, "content": [text]}
    if _calls_a_function(reply.asked):
        call = {"type": "function_call", "id": "f1", "call_id": "call_1", "name": "look", "arguments": "{}"}
        message = {**call, "status": status}
    base = {"id": reply.name, "object": "response", "created_at": 1, "model": reply.model, "status": status}
    settings = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "error": None}
    return {**base, **settings, "output": [message] if status == "completed" else []}


def _calls_a_function(asked: dict[str, Any]) -> bool:
    given = asked.get("input")
    items = cast(list[dict[str, Any]], given) if isinstance(given, list) else []
    return bool(asked.get("tools")) and not any(each.get("type") == "function_call_output" for each in items)


async def _response_events(reply: _Reply) -> AsyncIterator[bytes]:
    def event(name: str, number: int, **said: Any) -> bytes:
        return f"event: {name}\n".encode() + _event({"type": name, "sequence_number": number, **said})

    yield event("response.created", 0, response=_response(reply, "in_progress"))
    place = {"item_id": "m1", "output_index": 0, "content_index": 0, "logprobs": []}
    number = 0
    told = "" if _calls_a_function(reply.asked) else reply.server.answer
    for number, piece in enumerate(pieces(told), start=1):
        yield event("response.output_text.delta", number, delta=piece, **place)
    yield event("response.completed", number + 1, response=_response(reply))


_OPENAI: dict[str, tuple[Any, Any]] = {
    "chat/completions": (_chat, _chat_events),
    "completions": (_completion, _completion_events),
    "responses": (_response, _response_events),
}


@contextmanager
def running(port: int = 0) -> Generator[UpstreamServer]:
    """The server in a thread of its own, on a free port unless one is named."""
    server = UpstreamServer(port=0)
    config = uvicorn.Config(
        server, host="127.0.0.1", port=port, log_config=None, lifespan="off", ws="none", date_header=False
    )
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, name="upstream", daemon=True)
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    server.port = serving.servers[0].sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        serving.should_exit = serving.force_exit = True
        thread.join()
