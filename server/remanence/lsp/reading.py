"""Messages from the editor's pipe, each waited for once.

pygls' own reader goes to a thread and back for each line of a header and again for the body: for a hover
that is four threads woken more than need be, before anybody looks at it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from concurrent.futures import Executor
from typing import BinaryIO

_LENGTH = re.compile(rb"Content-Length: (\d+)\r\n")


class MessageReader:
    """An `AsyncReader` of pygls: asked for lines and a body, it reads a whole message in one go."""

    def __init__(self, stdin: BinaryIO, threads: Executor) -> None:
        self._stdin = stdin
        self._threads = threads
        self._parts: deque[bytes] = deque()

    async def readline(self) -> bytes:
        """The next line of a header; empty where the pipe has ended."""
        if not self._parts:
            loop = asyncio.get_running_loop()
            self._parts.extend(await loop.run_in_executor(self._threads, _message, self._stdin))
        return self._parts.popleft()

    async def readexactly(self, n: int) -> bytes:
        """The body that the header announced, all that came of it; `n` was read there."""
        return self._parts.popleft()


def _message(stdin: BinaryIO) -> list[bytes]:
    """The lines of a header and the body; where the pipe ends within the header, an empty one."""
    parts: list[bytes] = []
    length = 0
    while line := stdin.readline():
        parts.append(line)
        if not length and (said := _LENGTH.fullmatch(line)):
            length = int(said[1])
        if length and not line.strip():
            return [*parts, stdin.read(length)]
    return [*parts, b""]
