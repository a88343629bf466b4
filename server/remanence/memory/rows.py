"""What recall needs of the store: rows, the scope of a filter, and what is not indexed yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Hard conditions: each field given must match exactly. Times are epoch milliseconds, inclusive;
    a memory without a time is outside any span."""

    workspace: str | None = None
    tool: str | None = None
    conversation_id: str | None = None
    since: int | None = None
    until: int | None = None

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A memory as the store holds it. `superseded_by` is the id of the memory that replaced it."""

    rowid: int
    id: str
    question: str
    answer: str
    tool: str
    kind: str = "exchange"
    conversation_id: str | None = None
    conversation_title: str | None = None
    workspace: str | None = None
    uri: str | None = None
    language_id: str | None = None
    asked_at: int | None = None
    answered_at: int | None = None
    model: str | None = None
    external_id: str | None = None
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    superseded_by: str | None = None


class Rows(Protocol):
    """The store, as recall sees it. Called from worker threads."""

    def rows(self, rowids: Sequence[int]) -> list[Row]:
        """These rows in this order; one that is gone is left out."""
        ...

    def unindexed(self, limit: int) -> list[Row]:
        """The newest rows that are not in every index yet, at most `limit`."""
        ...

    def scope(self, filters: Filters) -> NDArray[np.int64] | None:
        """The rowids that the filters let through; None when they let everything through."""
        ...
