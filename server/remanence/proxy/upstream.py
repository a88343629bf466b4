"""The servers behind the endpoint: what is asked goes on to them, and their bytes come back as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import httpcore

Headers = Sequence[tuple[bytes, bytes]]

_CONNECT_SECONDS = 5.0
_KEPT_SECONDS = (
    3.0  # servers close idle connections after five; one that is just being closed loses a request
)
_HOP_BY_HOP = {
    *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
    *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
}
_NOT_SENT_ON = _HOP_BY_HOP | {b"host", b"expect"}
_LM_STUDIO = ("/api/v0/", "/api/v1/")


class UpstreamError(Exception):
    """The server behind the endpoint gave no answer; `status` is what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way. `path` is as the client wrote it, with the query. `content` is the whole body,
    parts of it as they come, or None where there is none."""

    method: str
    path: str
    headers: Headers
    content: bytes | AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """`parts` are the body's bytes as they come over the wire, still encoded."""

    status: int
    headers: Headers
    parts: AsyncIterator[bytes]

    def header(self, name: bytes) -> str:
        """The first header of this name (lower case), or nothing."""
        found = next((value for each, value in self.headers if each.lower() == name), b"")
        return found.decode("latin-1").strip().lower()


class Upstream(Protocol):
    """What answers requests: a server, or a language model of our own in a server's shape."""

    def open(self, asked: Asked) -> AbstractAsyncContextManager[Answer]:
        """Ask, and give the answer once its headers are there; leaving the context ends it, finished or not.

        Raises UpstreamError.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class Servers:
    """The servers that the settings name. `openai` stands for `/v1` and ends with it, as in every client's
    settings; where it is empty, `ollama` is asked for both APIs: it has them."""

    def __init__(self, openai: str, ollama: str, key: str, silent_seconds: float) -> None:
        self._openai = urlsplit(openai.rstrip("/")) if openai else None
        self._ollama = urlsplit(ollama.rstrip("/")) if ollama else None
        self._key = key
        self._timeout = {"connect": _CONNECT_SECONDS, "write": 60.0, "pool": 60.0, "read": silent_seconds}
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=None, max_keepalive_connections=16, keepalive_expiry=_KEPT_SECONDS
        )

    @asynccontextmanager
    async def open(self, asked: Asked) -> AsyncGenerator[Answer]:
        """See Upstream."""
        server, path = self._place(asked.path)
        url = httpcore.URL(
            scheme=server.scheme.encode(),
            host=(server.hostname or "").encode("idna"),
            port=server.port,
            target=path.encode("latin-1"),
        )
        headers = [(name, value) for name, value in asked.headers if name.lower() not in _NOT_SENT_ON]
        if self._key and server is self._openai:
            headers = [(name, value) for name, value in headers if name.lower() != b"authorization"]
            headers.append((b"authorization", b"Bearer " + self._key.encode()))
        request = self._pool.stream(
            asked.method,
            url,
            headers=[(b"host", server.netloc.rpartition("@")[2].encode("idna")), *headers],
            content=asked.content,
            extensions={"timeout": self._timeout},
        )
        try:
            response = await request.__aenter__()
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise _in_words(error, server) from error
        try:
            yield Answer(response.status, _for_client(response.headers), _parts(response, server))
        finally:
            await request.__aexit__(None, None, None)

    async def close(self) -> None:
        """See Upstream."""
        await self._pool.aclose()

    def _place(self, path: str) -> tuple[SplitResult, str]:
        """Which server is asked, and for what."""
        is_openai = path.startswith("/v1/") or path in ("/v1", "/v1?")
        if self._openai is not None and is_openai:
            return self._openai, self._openai.path + path[3:]
        if self._ollama is not None and not (self._openai is not None and path.startswith(_LM_STUDIO)):
            return self._ollama, self._ollama.path + path
        if self._openai is not None:
            return self._openai, self._openai.path.removesuffix("/v1") + path
        raise UpstreamError(502, "No server is set: name upstream_openai or upstream_ollama under [proxy].")


async def _parts(response: httpcore.Response, server: SplitResult) -> AsyncIterator[bytes]:
    try:
        async for part in response.aiter_stream():
            yield part
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise _in_words(error, server) from error


def _for_client(headers: Headers) -> Headers:
    """Without what is said between two neighbours only, and without leave for web pages to read it."""
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in _HOP_BY_HOP and not name.lower().startswith(b"access-control-")
    ]


def _in_words(error: Exception, server: SplitResult) -> UpstreamError:
    place = f"{server.scheme}://{server.netloc.rpartition('@')[2]}"
    if isinstance(error, httpcore.ConnectTimeout | httpcore.ConnectError):
        return UpstreamError(502, f"The server behind Remanence at {place} cannot be reached: is it running?")
    if isinstance(error, httpcore.TimeoutException):
        return UpstreamError(504, f"The server behind Remanence at {place} did not answer in time.")
    return UpstreamError(502, f"The server behind Remanence at {place} broke off: {type(error).__name__}.")
