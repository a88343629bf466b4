"""A language model that does what its file and its prompt say, for what no real one does on demand.

The real worker process loads it: as a backend it is `models.scripted_model`, with the tests' folder in
PYTHONPATH. The file's words: `refuse`, `crash`, `hang`, `slow` (two fifths of the way, it waits for a file of
its name and `.go`), or how many MB to take. The prompt's words:
`say N` (N words), `for ever`, `read S` (S seconds before the first word), `crash`, `hang`, `refuse`, `blurt`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from remanence.models.language_model import (
    Cancelled,
    Capabilities,
    Generation,
    LanguageModelError,
    LoadRequest,
    Usage,
)

_WORD_SECONDS = 0.011  # each is sent by itself then


class ScriptedModel:
    """See the module."""

    def __init__(self, held: bytearray) -> None:
        self.capabilities = Capabilities(context=1000, adapters=True)
        self._held = held
        self._adapter = ""

    def generate(self, asked: Generation, cancelled: Cancelled) -> Iterator[str | Usage]:
        """One word at a time."""
        said = asked.prompt or (asked.messages[-1].content if asked.messages else "")
        what, _, amount = said.partition(" ")
        count = int(amount) if what == "say" else 10**9
        if what == "read":
            time.sleep(float(amount))
            count = 1
        if what == "blurt":
            print("this goes to the log", flush=True)
            raise ValueError(asked.prompt)
        for index in range(count):
            if cancelled():
                yield Usage(written_tokens=index, finish="cancelled")
                return
            if what in ("crash", "hang", "refuse") and index == 2:
                _misbehave(what)
            time.sleep(_WORD_SECONDS)
            yield f"{self._adapter or 'word'}é{index} "
        yield Usage(prompt_tokens=2, written_tokens=count)

    def count_tokens(self, text: str) -> int:
        """Words."""
        return len(text.split())

    def use_adapter(self, path: str | None) -> None:
        """Its name comes before each word."""
        self._adapter = Path(path).name if path else ""

    def close(self) -> None:
        """Nothing to do."""


def load(asked: LoadRequest, told: Callable[[float], None] = lambda share: None) -> ScriptedModel:
    """See the module."""
    words = Path(asked.path).read_text(encoding="utf-8").split()
    if words[0] in ("refuse", "crash", "hang"):
        _misbehave(words[0])
    if words[0] == "slow":
        told(0.4)
        while not Path(f"{asked.path}.go").exists():
            time.sleep(0.01)
        words = ["1"]
    return ScriptedModel(bytearray(os.urandom(2**20) * int(words[0])))


def _misbehave(what: str) -> None:
    if what == "refuse":
        raise LanguageModelError("This model does not want to.")
    if what == "crash":
        sys.stderr.flush()
        os.abort()
    time.sleep(3600)
