"""The engine's side of a model worker: one language model in a child process."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import psutil

from remanence.models import generation_wire as wire
from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from remanence.models.worker_pipes import LOOK_SECONDS, GivenUp, Patience, Talk, Worker, answer

__all__ = ["GivenUp", "ModelProcess", "WorkerGone"]

LOAD_SECONDS = 900.0
SILENCE_SECONDS = 120.0  # without a token: then it hangs
_READING_SECONDS = 0.03  # more for each byte of a prompt, which is read before the first token
_STOPPING_SECONDS = 10.0  # what a cancelled generation may take to its next token before it is killed
_LEAVE_SECONDS = 0.03  # after which a cancelled request waits no longer for the worker's word
_MB = 2**20


class WorkerGone(LanguageModelError):
    """The worker had ended before the request began: nothing of it was done."""


class ModelProcess:
    """One model in a worker process of its own. Safe to use from several threads; `close` ends the process.

    `silence` is how long it may write nothing before it is killed, in seconds. A worker that crashes or is
    killed is one LanguageModelError to the request under way; from then on `is_alive` is false, every
    request raises WorkerGone, and `load` would start another.
    """

    def __init__(
        self, backend: str, *, silence: float = SILENCE_SECONDS, load_seconds: float = LOAD_SECONDS
    ) -> None:
        self.backend = backend
        self._silence = silence
        self._load_seconds = load_seconds
        self._worker: Worker | None = None
        self._capabilities: Capabilities | None = None
        self._alone = threading.Lock()  # held by what cannot go on beside a generation

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do. Raises WorkerGone where it is not loaded."""
        if self._capabilities is None:
            raise WorkerGone("The model is not loaded.")
        return self._capabilities

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._worker is not None and self._worker.is_alive

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        worker = self._worker
        return worker.process.pid if worker is not None and worker.is_alive else None

    @property
    def loaded_share(self) -> float | None:
        """How much of the model is there while it is loaded, 0 to 1; None where its library does not tell."""
        worker = self._worker
        return worker.loaded_share if worker is not None else None

    @property
    def rss_mb(self) -> float:
        """What the process has in memory now, in MB; 0 where it does not run."""
        try:
            return psutil.Process(self.pid).memory_info().rss / _MB if self.pid else 0.0
        except psutil.Error:
            return 0.0

    def load(self, asked: LoadRequest) -> Capabilities:
        """Start the process and load the model; blocks. Raises LanguageModelError, and the process is gone
        then, where the model cannot be loaded or takes too long, or where `close` is called meanwhile."""
        self.close()
        try:
            worker = self._worker = Worker(self.backend)
        except OSError as error:
            raise LanguageModelError(
                f"No process could be started for the model: {error.strerror}."
            ) from error
        try:
            with closing(worker.talk()) as talk:
                talk.send(wire.Load(talk.id, asked), self._load_seconds)
                patience = Patience(self._load_seconds, "took too long to load")
                capabilities = answer(talk, wire.Loaded, patience).capabilities
        except BaseException:
            self.close()
            raise
        self._capabilities = capabilities
        return capabilities

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """See LanguageModel. Once `cancelled`, it ends within 0.1 s with a Usage that says so; ending the
        iteration early cancels too. One at a time: another waits here for its turn."""
        try:
            self._wait_alone(cancelled)
        except GivenUp:
            yield Usage(finish="cancelled")
            return
        talk: Talk | None = None
        try:
            talk = self._running().talk()
            talk.send(wire.Generate(talk.id, asked), self._silence)
            first = self._silence + _READING_SECONDS * _size(asked)
            for reply in _until_cancelled(talk, first, self._silence, cancelled):
                match reply:
                    case wire.Piece(_, text):
                        yield text
                    case wire.Ended(_, usage):
                        talk.is_over = True
                        yield usage
                        return
                    case _:
                        talk.is_over = True
                        raise LanguageModelError(talk.refused(reply))
            self._stop(talk)
            yield Usage(finish="cancelled")
        finally:
            if talk is None:
                self._alone.release()
            else:
                self._stop(talk)

    def count_tokens(self, text: str, cancelled: Cancelled = lambda: False) -> int:
        """See LanguageModel. Answered beside a generation. Raises GivenUp once `cancelled`."""
        with closing(self._running().talk()) as talk:
            talk.send(wire.Count(talk.id, text), self._silence)
            return answer(talk, wire.Counted, Patience(self._silence), cancelled).tokens

    def use_adapter(self, path: str | None, cancelled: Cancelled = lambda: False) -> None:
        """See LanguageModel. Waits for a generation that is under way; raises GivenUp once `cancelled`."""
        self._wait_alone(cancelled)
        try:
            with closing(self._running().talk()) as talk:
                talk.send(wire.UseAdapter(talk.id, path), self._silence)
                answer(talk, wire.Done, Patience(self._silence, "took too long to change its adapter"))
        finally:
            self._alone.release()

    def close(self) -> None:
        """End the process, whatever it is doing: its memory is back when this returns."""
        worker, self._worker, self._capabilities = self._worker, None, None
        if worker is not None:
            worker.kill("was unloaded")

    def _running(self) -> Worker:
        worker = self._worker
        if worker is None or not worker.is_alive:
            raise WorkerGone(worker.last_words if worker is not None else "The model is not loaded.")
        return worker

    def _wait_alone(self, cancelled: Cancelled) -> None:
        while not self._alone.acquire(timeout=LOOK_SECONDS):
            if cancelled():
                raise GivenUp

    def _stop(self, talk: Talk) -> None:
        """Let the next one in once this generation is over. One that is not is told to stop; where it has
        not within a moment, a thread goes on to wait, and holds the model for so long."""
        if talk.is_left:
            return
        talk.is_left = True
        if not talk.is_over:
            talk.send(wire.Cancel(talk.id), _STOPPING_SECONDS)
            if not _has_ended(talk, _LEAVE_SECONDS):
                threading.Thread(
                    target=self._wait_for_end, args=(talk,), name="stopping", daemon=True
                ).start()
                return
        talk.close()
        self._alone.release()

    def _wait_for_end(self, talk: Talk) -> None:
        if not _has_ended(talk, _STOPPING_SECONDS):
            talk.worker.kill("did not stop when it was told to")
        talk.close()
        self._alone.release()


def _until_cancelled(
    talk: Talk, first: float, silence: float, cancelled: Cancelled
) -> Iterator[wire.Reply | None]:
    """The replies as they come. Kills a worker that is silent for too long."""
    deadline = time.monotonic() + first
    while not cancelled():
        try:
            reply = talk.replies.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if time.monotonic() > deadline:
                talk.worker.kill(f"hung: it wrote nothing for {silence:g} s, and was ended")
                raise LanguageModelError(talk.worker.last_words) from None
            continue
        deadline = time.monotonic() + silence
        yield reply


def _has_ended(talk: Talk, seconds: float) -> bool:
    """Whether the generation's end comes within so many seconds; the pieces until then are dropped."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            reply = talk.replies.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            return False
        if not isinstance(reply, wire.Piece):
            return True


def _size(asked: Generation) -> int:
    infill = asked.infill
    gap = len(infill.before) + len(infill.after) if infill is not None else 0
    return len(asked.prompt or "") + gap + sum(len(message.content) for message in asked.messages)
