"""Messages from the editor's pipe, as pygls' loop reads them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, cast

import pytest
from pygls.io_ import run_async
from pygls.protocol import JsonRPCProtocol

from remanence.lsp.reading import MessageReader


class _Counting(ThreadPoolExecutor):
    """Threads that count what they are given."""

    given = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given += 1
        return super().submit(fn, *args, **kwargs)


class _Heard:
    """What the loop hands on."""

    def __init__(self) -> None:
        self.messages: list[object] = []

    def structure_message(self, data: dict[str, Any]) -> object:
        return data

    def handle_message(self, message: object) -> None:
        self.messages.append(message)


def heard(pipe: bytes) -> tuple[list[object], int]:
    """What is heard until the pipe ends, and how often a thread waited for it."""
    protocol = _Heard()
    with _Counting(1) as threads:
        reader = MessageReader(io.BytesIO(pipe), threads)
        asyncio.run(run_async(Event(), reader, cast(JsonRPCProtocol, protocol)))
        return protocol.messages, threads.given


def test_each_message_is_waited_for_once() -> None:
    pipe = b'Content-Length: 7\r\n\r\n{"a":1}Content-Length: 7\r\n\r\n{"b":2}'
    assert heard(pipe) == ([{"a": 1}, {"b": 2}], 3)  # the third finds the end


def test_other_headers_are_passed_over() -> None:
    pipe = b'Content-Type: application/json\r\nContent-Length: 7\r\nX-Any: 1\r\n\r\n{"a":1}'
    assert heard(pipe)[0] == [{"a": 1}]


def test_a_header_without_a_length_is_passed_over() -> None:
    assert heard(b'X-Any: 1\r\n\r\nContent-Length: 7\r\n\r\n{"a":1}')[0] == [{"a": 1}]


@pytest.mark.parametrize(
    "rest", [b"", b"Content-Length: 7", b"Content-Length: 7\r\n\r\n", b'Content-Length: 7\r\n\r\n{"b"']
)
def test_a_pipe_that_ends_anywhere_ends_the_reading(rest: bytes) -> None:
    assert heard(b'Content-Length: 7\r\n\r\n{"a":1}' + rest)[0] == [{"a": 1}]
