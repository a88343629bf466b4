"""The model worker: a child process that loads one language model and writes with it.

    python -m remanence.models.model_worker BACKEND

One `Command` per line on standard input, `Reply` lines on standard output (`generation_wire`). BACKEND is
the NAME of a module `NAME_backend` beside this one, or the dotted path of any module with such a `load`.
It ends when its input does, whatever it is doing, and so with its engine. It logs no word of a prompt.
"""

from __future__ import annotations

import importlib
import inspect
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, cast

import msgspec

from remanence.models import generation_wire as wire
from remanence.models.child_stdout import claim_stdout
from remanence.models.language_model import LanguageModel, LanguageModelError, LoadRequest, Usage

# A token that comes sooner after the last that was sent goes with the next: nobody reads so fast, and
# sending takes a small model's time.
_BETWEEN_SECONDS = 0.01

_LEAST_STEP = 0.01  # of a model, worth telling

Told = Callable[[float], None]
Loader = Callable[[LoadRequest, Told], LanguageModel]


class Worker:
    """Carries out commands one after the other; those that come while it writes are read by a thread."""

    def __init__(self, backend: str, protocol: BinaryIO) -> None:
        self._backend = backend
        self._protocol = protocol
        self._waiting: queue.SimpleQueue[wire.Command] = queue.SimpleQueue()
        self._put_off: list[wire.Command] = []  # what came while a generation ran and has to wait for its end
        self._cancelled: set[int] = set()
        self._model: LanguageModel | None = None

    def read(self, commands: BinaryIO) -> None:
        """Take commands until there are no more; then end the process, from whatever it is doing."""
        try:
            for line in commands:
                command = wire.read_command(line)
                if isinstance(command, wire.Cancel):
                    self._cancelled.add(command.id)
                else:
                    self._waiting.put(command)
        except msgspec.DecodeError:
            print("The model worker was told what is no command.", file=sys.stderr, flush=True)  # noqa: T201
        finally:
            # Nothing here is worth keeping, and a library may take seconds to let go of what the system
            # takes back at once.
            os._exit(0)

    def serve(self) -> None:
        """Carry out commands, for ever."""
        while True:
            self._carry_out(self._put_off.pop(0) if self._put_off else self._waiting.get())

    def _carry_out(self, command: wire.Command) -> None:
        try:
            match command:
                case wire.Load(id, asked):
                    self._model = _loader(self._backend)(asked, self._telling(id))
                    self._reply(wire.Loaded(id, self._model.capabilities))
                case wire.Generate():
                    self._generate(command)
                case wire.Count(id, text):
                    self._reply(wire.Counted(id, self._loaded().count_tokens(text)))
                case wire.UseAdapter(id, path):
                    self._loaded().use_adapter(path)
                    self._reply(wire.Done(id))
                case wire.Cancel():  # carried out where it is read
                    pass
        except LanguageModelError as error:
            self._reply(wire.Failed(command.id, str(error)))
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # the engine is gone
                os._exit(0)
            self._reply(wire.Failed(command.id, f"The model failed: {error.strerror or 'input or output'}."))
        except MemoryError:
            self._reply(wire.Failed(command.id, "The model ran out of memory: choose a smaller one."))
        except Exception as error:  # noqa: BLE001  its own words might quote a prompt
            self._reply(wire.Failed(command.id, f"The model failed: {type(error).__name__}."))

    def _telling(self, id: int) -> Told:
        """Tells the engine how far the model is loaded."""
        told = 0.0

        def tell(share: float) -> None:
            nonlocal told
            if share >= told + _LEAST_STEP:
                told = share
                self._reply(wire.Loading(id, share))

        return tell

    def _generate(self, command: wire.Generate) -> None:
        model, id = self._loaded(), command.id
        usage = Usage()
        said: list[str] = []
        sent_at = 0.0
        try:
            for part in model.generate(command.asked, lambda: id in self._cancelled):
                if isinstance(part, Usage):
                    usage = part
                elif part:
                    said.append(part)
                    now = time.monotonic()
                    if now - sent_at >= _BETWEEN_SECONDS:
                        self._reply(wire.Piece(id, "".join(said)))
                        said.clear()
                        sent_at = now
                self._count_meanwhile()
        finally:
            self._cancelled.discard(id)
            if said:
                self._reply(wire.Piece(id, "".join(said)))
        self._reply(wire.Ended(id, usage))

    def _count_meanwhile(self) -> None:
        """Count tokens for others between two tokens: they need the number to make their own prompt."""
        while not self._waiting.empty():
            command = self._waiting.get()
            if isinstance(command, wire.Count):
                self._carry_out(command)
            else:
                self._put_off.append(command)

    def _loaded(self) -> LanguageModel:
        if self._model is None:
            raise LanguageModelError("The model is not loaded.")
        return self._model

    def _reply(self, reply: wire.Reply) -> None:
        self._protocol.write(wire.to_line(reply))
        self._protocol.flush()


def _loader(backend: str) -> Loader:
    name = backend if "." in backend else f"remanence.models.{backend}_backend"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        missing = error.name or name
        raise LanguageModelError(
            f"The backend {backend} cannot be used: {missing} is not installed, or does not load here."
        ) from error
    load = module.load
    if "told" in inspect.signature(load).parameters:  # a library that tells how far it is
        return cast(Loader, load)
    return lambda asked, _: cast(LanguageModel, load(asked))


def main(arguments: list[str]) -> int:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the engine's to answer
    worker = Worker(arguments[0], claim_stdout())
    threading.Thread(target=worker.read, args=(sys.stdin.buffer,), name="commands", daemon=True).start()
    worker.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
