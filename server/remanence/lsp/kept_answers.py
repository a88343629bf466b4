"""Answers of the language model that may be asked for again.

Those shown as documents have addresses: `remanence:/answer/<number>/<words of the prompt>.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from remanence.lsp.markdown import SCHEME, document_name

_KEPT = 16
_ADDRESS = re.compile(rf"{SCHEME}:/{{0,3}}answer/(\d+)(?:/|\.md$|$)")


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote for a completion item, and the memories that went into it."""

    answer: str
    memories: Sequence[str]


class KeptAnswers:
    """Kept in memory only, the newest few, and gone with the window: what is to stay is an exchange."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._last = 0

    def keep(self, text: str, prompt: str) -> str:
        """The URI under which the text can be read from now on."""
        self._last += 1
        self._texts[self._last] = text
        self._texts.pop(self._last - _KEPT, None)
        name = document_name(prompt)
        folder = f"{SCHEME}:/answer/{self._last}"
        return f"{folder}/{name}.md" if name else f"{folder}.md"

    def text(self, uri: str) -> str | None:
        """What was kept under the URI; None where that is no answer's, or no longer kept."""
        address = _ADDRESS.match(uri)
        return self._texts.get(int(address.group(1))) if address else None
