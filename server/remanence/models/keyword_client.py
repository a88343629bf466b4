"""The engine's side of the keyword worker."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from remanence.models.worker_messages import (
    Keyword,
    KeywordBatch,
    KeywordDocument,
    KeywordReply,
    KeywordRequest,
    WorkerError,
)

__all__ = ["Keyword", "KeywordRequest", "KeywordWorker", "WorkerError"]

_GRACE = 2.0  # seconds a worker gets to end by itself


class KeywordWorker:
    """KeyBERT in a child process, started at the first batch. Blocking; made for a thread.

    `timeout` is what one batch may take, in seconds, the worker's start included.
    """

    def __init__(self, folder: Path, *, timeout: float = 300.0) -> None:
        self._folder = folder
        self._timeout = timeout
        self._one_batch = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies = msgspec.json.Decoder(KeywordReply)

    @property
    def pid(self) -> int | None:
        """The worker's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def extract(self, batch: Sequence[KeywordRequest], top: int = 5) -> list[list[Keyword]]:
        """At most `top` keywords of each exchange, best first, in the order given.

        Raises WorkerError where the worker crashes, is closed, takes too long, or refuses the batch.
        """
        documents = [
            KeywordDocument(item.candidates, np.asarray(item.vector, dtype="<f4").tobytes()) for item in batch
        ]
        request = msgspec.json.encode(KeywordBatch(documents, top)) + b"\n"
        with self._one_batch:
            reply = self._ask(request)
        if reply.error is not None:
            raise WorkerError(reply.error)
        return reply.keywords

    def close(self) -> None:
        """End the worker, also in the middle of a batch. The next batch would start another."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._one_batch.acquire(blocking=False):
            try:
                _end(process)
            finally:
                self._one_batch.release()
        else:  # it may be loading; its pipes are left to whoever waits for it, and now meets their end
            process.kill()
            process.wait()

    def _ask(self, request: bytes) -> KeywordReply:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        too_long = threading.Timer(self._timeout, process.kill)  # reading then meets the end of the pipe
        too_long.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:  # it died, or `close` was called
            line = b""
        finally:
            in_time = too_long.is_alive()
            too_long.cancel()
        closed = self._process is not process
        if line.endswith(b"\n"):
            if closed:
                _end(process)
            return self._decoded(line)
        code = _end(process)
        if closed:
            raise WorkerError("The keyword worker was closed.")
        reason = f"ended with code {code}" if in_time else f"took longer than {self._timeout:g} s"
        raise WorkerError(f"The keyword worker {reason}.")

    def _decoded(self, line: bytes) -> KeywordReply:
        try:
            return self._replies.decode(line)
        except msgspec.DecodeError as error:
            raise WorkerError("The keyword worker answered with what is no reply.") from error

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process  # `close` may take it away at any moment
        if process is None or process.poll() is not None:
            if process is not None:
                _end(process)
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "remanence.models.indexing_worker", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # One thread: it works in the background, beside what the user is doing.
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        return process


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close its pipes and wait for it, killing it where it lingers; gives its exit code."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.close()
    except OSError:  # what was still to be written has no reader any more
        process.kill()
    try:
        code = process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    process.stdout.close()
    return code
