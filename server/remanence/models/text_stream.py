"""Bytes as a model writes them, to pieces of text: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Literal


class TextStream:
    """Give it bytes, pass on what it returns, until `stopped`; then, or at the end, pass on the `rest`.

    What was passed on is always the beginning of the text before the stop string that ends first. `damaged`
    says what becomes of bytes that are no UTF-8: U+FFFD, or nothing.
    """

    def __init__(self, stop: Sequence[str] = (), damaged: Literal["replace", "ignore"] = "replace") -> None:
        self.stopped = False
        self._stop: tuple[str, ...] = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")(damaged)
        self._held: str = ""

    def feed(self, written: bytes) -> str:
        """What can be passed on now; it may be nothing."""
        return self._passed(self._decoder.decode(written))

    def rest(self) -> str:
        """What was held back, as nothing follows; half a character becomes U+FFFD."""
        passed = self._passed(self._decoder.decode(b"", True))
        held, self._held = self._held, ""
        return passed + held

    def _passed(self, text: str) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((_begun(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def legal(text: str) -> str:
    """The text without what no tokenizer takes: a lone surrogate or a NUL becomes U+FFFD."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\ufffd")


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of the text could be the beginning of the stop string."""
    for count in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:count]):
            return count
    return 0
