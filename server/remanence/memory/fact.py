"""A fact: a short dated statement drawn from exchanges, with the words it came from."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass

from remanence.memory.faithful import particulars

RULES = "rules"  # the origin of what no language model was needed for


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A statement found in one exchange. `value` is the part that a question about it would be answered
    with, `words` the source's own that it came from, `origin` RULES or a model's name.

    Of one `subject` and a `single` topic only one value can hold at a time: a port, a version, a name.
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

    @property
    def id(self) -> str:
        """The same for the same statement, whoever says it again and when."""
        said = "\x1f".join(map(_normal, (self.subject, self.topic, self.value)))
        return hashlib.sha256(said.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A stored statement. `exchanges` are the ids of those that say it, the first first: `confirmations` is
    how many. Times are UTC epoch ms; `valid_until` is None while it holds, `superseded_by` the fact that
    took its place."""

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

    @property
    def is_current(self) -> bool:
        return self.valid_until is None

    @property
    def confirmations(self) -> int:
        return len(self.exchanges)


def is_grounded(draft: Draft, source: str) -> bool:
    """Whether every name, number and identifier of the statement stands in the text it was drawn from, and
    its value among them: what a model made up is no fact."""
    folded = _normal(source)
    said = (draft.value, *particulars(draft.text), *particulars(draft.value))
    return bool(draft.value.strip()) and all(_normal(each) in folded for each in said)


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
