"""A fact: a short dated statement drawn from exchanges, with the words it came from."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from remanence.memory.faithful import particulars

USER = "user"  # the subject of what is said of the user, in whichever project
RULES = "rules"  # the origin of what no language model was needed for


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A statement found in one exchange. `value` is the part that a question about it would be answered
    with, `words` the source's own that it came from, `origin` RULES or a model's name.

    Of one `subject` and a `single` topic only one value can hold at a time: a port, a version, a name. It is
    said of one `workspace` alone, or, where that is empty, in general: two projects have two ports.
    """

    text: str
    subject: str
    topic: str
    value: str
    words: str
    language: str = "en"
    valid_from: int | None = None
    confidence: float = 0.5
    origin: str = RULES
    single: bool = False
    workspace: str = ""

    @property
    def id(self) -> str:
        """The same for the same statement, whoever says it again and when."""
        said = "\x1f".join(map(normal, (self.subject, self.topic, self.value)))
        if self.workspace:
            said += f"\x1f{self.workspace}"
        return hashlib.sha256(said.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A stored statement. `exchanges` are the ids of those that say it, the first first: `confirmations` is
    how many, `last_said` when the latest was, in `last_row`. Times are UTC epoch ms; `valid_until` is None
    while it holds, `superseded_by` the fact that took its place."""

    id: str
    text: str
    subject: str
    topic: str
    value: str
    words: str
    language: str
    valid_from: int | None
    valid_until: int | None
    confidence: float
    origin: str
    single: bool
    superseded_by: str | None
    created_at: int
    exchanges: tuple[str, ...]
    last_said: int = 0
    last_row: int = 0
    workspace: str = ""

    @property
    def is_current(self) -> bool:
        return self.valid_until is None

    @property
    def age(self) -> tuple[int, int]:
        """By which the newer of two is known: when it was said last, and of one moment what was stored
        later."""
        return self.last_said, self.last_row

    @property
    def confirmations(self) -> int:
        return len(self.exchanges)


def is_grounded(draft: Draft, source: str) -> bool:
    """Whether every name, number and identifier of the statement stands in the text it was drawn from, and
    its value among them: what a model made up is no fact."""
    folded, said = normal(source), normal(f"{draft.text}\n{draft.value}")
    particular = map(normal, (draft.value, *particulars(draft.text), *particulars(draft.value)))
    # the 1 of "svc1" is no word of its own in either
    return bool(draft.value.strip()) and all(
        _stands_in(each, folded) or (each in folded and not _stands_in(each, said)) for each in particular
    )


def _stands_in(said: str, text: str) -> bool:
    """As a word of its own: "80" does not stand in "8080"."""
    before = r"(?<![a-z0-9])" if said[:1].isascii() and said[:1].isalnum() else ""
    after = r"(?![a-z0-9])" if said[-1:].isascii() and said[-1:].isalnum() else ""
    return re.search(f"{before}{re.escape(said)}{after}", text) is not None


def normal(text: str) -> str:
    """As statements are compared: on one line, without regard to case."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
