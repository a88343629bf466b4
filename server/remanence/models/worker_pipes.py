"""The engine's side of the pipes to a model worker: what is asked, and who waits for which reply."""

from __future__ import annotations

import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from remanence.models import generation_wire as wire
from remanence.models.language_model import Cancelled, LanguageModelError

R = TypeVar("R", wire.Loaded, wire.Counted, wire.Done)

LOOK_SECONDS = 0.02  # how often it is asked whether a request was cancelled
_GRACE = 0.25


class GivenUp(LanguageModelError):
    """Whoever asked does not want it any more."""

    def __init__(self) -> None:
        super().__init__("The request was cancelled.")


class Talk:
    """One command and its replies; None among them is the worker's end."""

    def __init__(self, worker: Worker, id: int) -> None:
        self.worker = worker
        self.id = id
        self.replies: queue.SimpleQueue[wire.Reply | None] = queue.SimpleQueue()
        self.is_over = False
        self.is_left = False

    def send(self, command: wire.Command, seconds: float) -> None:
        """Write a command; a worker that does not take it in so long is killed."""
        self.worker.send(command, seconds)

    def refused(self, reply: wire.Reply | None) -> str:
        """Why this is not the reply that was waited for."""
        if isinstance(reply, wire.Failed):
            return reply.error
        if reply is not None:
            self.worker.kill("answered out of turn")
        return self.worker.last_words

    def close(self) -> None:
        """Replies that still come are dropped."""
        self.worker.forget(self.id)


class Worker:
    """The process and its pipes, and who waits for which reply."""

    def __init__(self, backend: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "remanence.models.model_worker", backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's: they take memory and gain nothing
        )
        self.last_words = "The model worker has ended."
        self.loaded_share: float | None = None  # as far as its library tells
        self._has_ended = False
        self._ids = itertools.count(1)
        self._talks: dict[int, Talk] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._killed = False
        threading.Thread(target=self._read, name="model replies", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return not self._has_ended and self.process.poll() is None

    def talk(self) -> Talk:
        """A new exchange of words; close it."""
        talk = Talk(self, next(self._ids))
        with self._lock:
            self._talks[talk.id] = talk
            if self._has_ended:
                talk.replies.put(None)
        return talk

    def forget(self, id: int) -> None:
        """No more replies of this id are wanted."""
        with self._lock:
            self._talks.pop(id, None)

    def send(self, command: wire.Command, seconds: float) -> None:
        """Write a command; a worker that does not take it in so long is killed, which its replies tell."""
        line = wire.to_line(command)
        assert self.process.stdin is not None
        too_long = threading.Timer(seconds, self.kill, ["takes no more requests"])
        too_long.daemon = True
        too_long.start()
        try:
            with self._writing:
                self.process.stdin.write(line)
                self.process.stdin.flush()
        except (OSError, ValueError):  # it has ended: whoever waits for a reply is told by the other pipe
            return
        finally:
            too_long.cancel()

    def kill(self, why: str) -> None:
        """End the process and wait for its end; `why` goes to those who wait for replies."""
        with self._lock:
            if not (self._has_ended or self._killed):
                self._killed = True
                self.last_words = f"The model worker {why}."
        self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                reply = wire.read_reply(line)
                if isinstance(reply, wire.Loading):
                    self.loaded_share = reply.share
                    continue
                with self._lock:
                    talk = self._talks.get(reply.id)
                if talk is not None:
                    talk.replies.put(reply)
        except msgspec.DecodeError:
            self.kill("answered with what is no reply")
        code = self.process.wait()
        with self._lock:
            self._has_ended = True
            if not self._killed:
                self.last_words = _end_in_words(code)
            talks = list(self._talks.values())
        for talk in talks:
            talk.replies.put(None)
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except OSError:  # what was still to be written has no reader any more
            return


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a reply is waited for, in seconds, and why the worker is killed then; not, if empty."""

    seconds: float
    complaint: str = ""


def answer(talk: Talk, kind: type[R], patience: Patience, cancelled: Cancelled = lambda: False) -> R:
    """The reply of this kind. Raises LanguageModelError in words, GivenUp once `cancelled`."""
    deadline = time.monotonic() + patience.seconds
    while True:
        try:
            reply = talk.replies.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if cancelled():
                raise GivenUp from None
            if time.monotonic() < deadline:
                continue
            if not patience.complaint:
                raise LanguageModelError("The model is busy and did not answer in time.") from None
            talk.worker.kill(patience.complaint)
            raise LanguageModelError(talk.worker.last_words) from None
        if isinstance(reply, kind):
            return reply
        raise LanguageModelError(talk.refused(reply))


def _end_in_words(code: int) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    hint = ": memory may have run out" if code == -9 else ""
    return f"The model worker {how}{hint}. The next request starts it again."
