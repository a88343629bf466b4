"""What recall needs of the store: rows, the scope of a query, and what is not indexed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Hard conditions: each field given must match exactly. Times are epoch milliseconds, inclusive,
    compared with when the memory was asked, or else answered, or else captured."""

    workspace: str | None = None
    tool: str | None = None
    conversation_id: str | None = None
    since: int | None = None
    until: int | None = None
    tag: str | None = None

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return self != Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A memory as the store holds it. `superseded_by` is the id of the memory that replaced it."""

    row: int
    id: str
    question: str
    answer: str
    tool: str
    created_at: int
    kind: str = "exchange"
    conversation_id: str = ""
    conversation_title: str | None = None
    external_id: str | None = None
    asked_at: int | None = None
    answered_at: int | None = None
    model: str | None = None
    workspace: str | None = None
    uri: str | None = None
    language_id: str | None = None
    tags: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    superseded_by: str | None = None

    @property
    def time(self) -> int:
        """When it was asked, or else answered, or else captured: epoch milliseconds."""
        return self.asked_at or self.answered_at or self.created_at


@dataclass(frozen=True, slots=True)
class Turn:
    """A row's place in its conversation: the rows stored just before and after it, where there are any,
    and how many characters its question and answer have."""

    before: int | None
    after: int | None
    length: int


class Rows(Protocol):
    """The store, as recall sees it. Called from worker threads."""

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        """These rows in this order; one that is gone is left out."""
        ...

    def turns(self, numbers: Sequence[int]) -> dict[int, Turn]:
        """Where each of these rows stands in its conversation; one that is in none is left out."""
        ...

    def unindexed(self, after_revision: int, limit: int) -> list[Row]:
        """The newest rows captured after this revision, at most `limit`. What an import stored waits
        for the index: it comes by thousands."""
        ...

    def scope(self, scope: Scope) -> NDArray[np.int64]:
        """The row numbers that the scope lets through, ascending."""
        ...
