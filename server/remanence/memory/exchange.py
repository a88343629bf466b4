"""The unit of capture: one question and its answer, as a door or a source hands it in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How finished an exchange was when its tool recorded it."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question and its answer, raw: not yet redacted, not yet given an identity.

    `tool` is where it comes from (`"aider"`, `"claude_code"`, `"manual"`, …). `turn_key` is the
    tool's own stable id of the question; where the format has none it stays None and `occurrence`
    counts equal questions within the conversation, from 0. Times are UTC epoch milliseconds.
    `workspace` is the project's root folder, `uri` the document it was asked from, `language_id`
    the LSP language of that document, `origin` the file it was read from.
    """

    question: str
    answer: str
    tool: str
    conversation_id: str = ""
    conversation_title: str | None = None
    turn_key: str | None = None
    occurrence: int = 0
    external_id: str | None = None
    asked_at: int | None = None
    answered_at: int | None = None
    model: str | None = None
    workspace: str | None = None
    uri: str | None = None
    language_id: str | None = None
    tags: tuple[str, ...] = ()
    status: Status = Status.COMPLETE
    origin: str | None = None
