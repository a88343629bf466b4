"""The endpoint's HTTP application: who may ask, what goes on to the upstream, what comes back."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from remanence.memory.timestamps import now_ms
from remanence.proxy import ollama_shapes, openai_shapes
from remanence.proxy.answers import Answered, Read, Reading
from remanence.proxy.chains import Chains
from remanence.proxy.json_members import Unreadable
from remanence.proxy.prompts import Prompt
from remanence.proxy.refusals import error_body
from remanence.proxy.remembering import Asker, Block, Memory
from remanence.proxy.request_body import ClientGone, RequestBody
from remanence.proxy.tool_names import tool_name
from remanence.proxy.upstream import Answer, Asked, Headers, Upstream, UpstreamError

log = logging.getLogger(__name__)

_LONGEST_READ = 32 * 2**20  # bytes; a longer body goes on unread
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_WORKSPACE = b"x-remanence-workspace"
_MEMORIES = b"x-remanence-memories"


@dataclass(frozen=True, slots=True)
class Shape:
    """How one kind of request and its answer are read: a whole object or line, and an event of a stream."""

    prompt: Callable[[bytes], Prompt | None]
    said: Read
    said_in_event: Read


_completion, _response = openai_shapes.said_in_completion, openai_shapes.said_in_response
_line = ollama_shapes.said_in_line
SHAPES = {
    "/v1/chat/completions": Shape(openai_shapes.read_chat, _completion, _completion),
    "/v1/completions": Shape(openai_shapes.read_completion, _completion, _completion),
    "/v1/responses": Shape(openai_shapes.read_response, _response, openai_shapes.said_in_event),
    "/api/chat": Shape(ollama_shapes.read_chat, _line, _line),
    "/api/generate": Shape(ollama_shapes.read_generate, _line, _line),
}


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A request that memory has read: its shape, its prompt, who asked, and the block that it got."""

    shape: Shape
    prompt: Prompt
    asker: Asker
    block: Block


def create_proxy(key: str, upstream: Upstream, memory: Memory) -> ASGIApp:
    """The application. Whoever asks says `key`: as a bearer token, or as the first part of the path."""
    chains = Chains()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["raw_path"].decode("latin-1")
        if not _is_loopback(scope["headers"]):
            await _refuse(send, path, 403, "Only this machine may ask, by the name 127.0.0.1 or localhost.")
            return
        path, headers = _let_in(key, path, scope["headers"])
        if headers is None:
            words = "The key is wrong or missing: `remanence proxy` shows it."
            await _refuse(send, path, 401, words)
            return
        body = RequestBody(receive)
        exchange = _Exchange(upstream, memory, chains, scope, path, headers, body, send)
        work = asyncio.create_task(exchange.run(), name="proxied request")
        hung_up = asyncio.create_task(body.hung_up(), name="proxied client")
        try:
            await asyncio.wait({work, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # also where the endpoint itself ends in the middle
            work.cancel()
            hung_up.cancel()
            await asyncio.wait({work, hung_up})

    return app


class _Exchange:
    """One request on its way through."""

    def __init__(
        self,
        upstream: Upstream,
        memory: Memory,
        chains: Chains,
        scope: Scope,
        path: str,
        headers: Headers,
        body: RequestBody,
        send: Send,
    ) -> None:
        self._upstream = upstream
        self._memory = memory
        self._chains = chains
        self._method: str = scope["method"]
        self._path = path
        query = scope["query_string"].decode("latin-1")
        self._target = f"{path}?{query}" if query else path
        self._headers = headers
        self._body = body
        self._send = send
        self._has_begun = False

    async def run(self) -> None:
        """Ask and answer; what goes wrong is told to the client while it can still be."""
        try:
            asked, remembered = await self._asked()
            async with self._upstream.open(asked) as answer:
                if _is_page(answer) and self._path.startswith(("/v1/", "/api/")):
                    words = f"The server behind Remanence answered with a web page (status {answer.status})."
                    raise UpstreamError(502, words)
                await self._pass_on(answer, remembered)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except UpstreamError as error:
            if not self._has_begun:  # else the connection is closed, and the client sees that it was cut
                await _refuse(self._send, self._path, error.status, error.message)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  never its words, which may quote what was said
            log.error("a proxied request failed: %s", type(error).__name__)
            if not self._has_begun:
                await _refuse(self._send, self._path, 502, f"Remanence failed: {type(error).__name__}.")

    async def _asked(self) -> tuple[Asked, _Remembered | None]:
        """The request as it goes on, with memories where they help."""
        shape = SHAPES.get(self._path) if self._method == "POST" else None
        if shape is None or _value(self._headers, b"content-encoding"):
            return await self._untouched(), None
        body = await self._body.whole(_LONGEST_READ)
        if body is None:
            return await self._untouched(), None
        arrived = asyncio.get_running_loop().time()
        try:
            prompt = shape.prompt(body)
        except (Unreadable, UnicodeEncodeError):
            prompt = None
        if prompt is not None:
            prompt = self._chains.placed(prompt)
        if prompt is None:
            return self._with_body(body), None
        asker = Asker(
            tool=tool_name(_value(self._headers, b"user-agent"), _value(self._headers, b"x-title")),
            workspace=_value(self._headers, _WORKSPACE) or None,
            asked_at=now_ms(),
            arrived=arrived,
        )
        block = await self._memory.block(prompt, asker)
        if block.text or prompt.has_old_blocks:
            body = prompt.rewritten(block.text)
        return self._with_body(body), _Remembered(shape, prompt, asker, block)

    async def _pass_on(self, answer: Answer, remembered: _Remembered | None) -> None:
        headers = list(answer.headers)
        reading = None
        if remembered is not None:
            headers.append((_MEMORIES, str(len(remembered.block.memories)).encode()))
            if answer.status == 200:
                shape = remembered.shape
                kind, encoding = answer.header(b"content-type"), answer.header(b"content-encoding")
                reading = Reading(kind, encoding, shape.said, shape.said_in_event)
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        self._has_begun = True
        try:
            async for part in answer.parts:
                if remembered is not None and reading is not None:
                    reading.feed(part)
                    if reading.can_be_followed:  # noted before the client knows
                        self._note(remembered, reading.so_far())
                await self._send({"type": "http.response.body", "body": part, "more_body": True})
        finally:  # also where the client hung up or the upstream broke off: what came may be worth keeping
            answered = reading.answered() if reading is not None else None
            if remembered is not None and answered is not None:
                self._note(remembered, answered)
                self._memory.keep(remembered.prompt, remembered.asker, answered)

    def _note(self, remembered: _Remembered, answered: Answered) -> None:
        self._chains.note(remembered.prompt, answered, remembered.block.memories)

    async def _untouched(self) -> Asked:
        if any(_value(self._headers, name) for name in (b"content-length", b"transfer-encoding")):
            return Asked(self._method, self._target, self._sent_on(), self._body.parts())
        await self._body.whole(0)
        return Asked(self._method, self._target, self._sent_on(), None)

    def _with_body(self, body: bytes) -> Asked:
        headers = [(name, value) for name, value in self._sent_on() if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        return Asked(self._method, self._target, headers, body)

    def _sent_on(self) -> Headers:
        return [(name, value) for name, value in self._headers if name != _WORKSPACE]


def _let_in(key: str, path: str, headers: Headers) -> tuple[str, Headers | None]:
    """The path and the headers without the key, which goes no further; None where it is missing."""
    expected = key.encode()
    carried = [(name, value) for name, value in headers if _is_key(expected, name, value)]
    first, _, rest = path.removeprefix("/").partition("/")
    if hmac.compare_digest(first.encode("latin-1"), expected):
        path = f"/{rest}"
    elif not carried:
        return path, None
    return path, [header for header in headers if header not in carried]


def _is_key(expected: bytes, name: bytes, value: bytes) -> bool:
    if name == b"authorization":
        kind, _, value = value.partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(value.strip(), expected)
    return name in (b"x-api-key", b"api-key") and hmac.compare_digest(value, expected)


def _is_loopback(headers: Headers) -> bool:
    """Whether the client means this machine: a web page that had its own name lead here says that name."""
    host, _, port = (value := _value(headers, b"host")).rpartition(":")
    return (host if port.isdigit() else value).lower() in _LOOPBACK


def _is_page(answer: Answer) -> bool:
    return answer.header(b"content-type").startswith("text/html")


def _value(headers: Headers, name: bytes) -> str:
    return next((value.decode("latin-1") for each, value in headers if each == name), "")


async def _refuse(send: Send, path: str, status: int, message: str) -> None:
    body = error_body(path, status, message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
