"""An exchange as a transcript in the editor holds it, and what names it while its answer grows."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange of a transcript.

    `session` tells apart the conversations of one file, `occurrence` counts equal questions within a
    session from 0. `finished` is False only for the last answer of the text, which may still grow.
    `asked_at` is in UTC epoch milliseconds.
    """

    question: str
    answer: str
    tool: str
    session: str = ""
    occurrence: int = 0
    finished: bool = True
    model: str | None = None
    asked_at: int | None = None

    @property
    def key(self) -> str:
        """Names the turn within its session: stable while its answer grows."""
        text = " ".join(unicodedata.normalize("NFC", self.question).split())
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"q:{digest}:{self.occurrence}"


def numbered(turns: Iterable[Turn]) -> Iterator[Turn]:
    """The turns that have both sides, equal questions of one session counted in order."""
    seen: Counter[tuple[str, str]] = Counter()
    for turn in turns:
        if not turn.question or not turn.answer:
            continue
        name = (turn.session, turn.key)
        yield replace(turn, occurrence=seen[name]) if seen[name] else turn
        seen[name] += 1
