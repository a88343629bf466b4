"""What doors and the engine say to each other about facts and decisions: as `messages`, on the same wire."""

from __future__ import annotations

from typing import Literal

from remanence.engine.messages import Limit, Request, Response

FactState = Literal["current", "superseded", "all"]
DecisionState = Literal["done", "pending", "undone"]


class FactsRequest(Request, frozen=True, kw_only=True):
    """List facts: those that hold `text`, and those of one `exchange` (its id), where these are given;
    otherwise in no particular order, from behind the fact `after`."""

    text: str = ""
    exchange: str | None = None
    state: FactState = "current"
    limit: Limit = 100
    after: str = ""


class FactItem(Response, frozen=True, kw_only=True):
    """A fact. `valid_until` is null while it holds, `superseded_by` the id of the one that took its place,
    `workspace` the project that it is said of (null: any);
    `exchanges` are the memories that say it."""

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
    confirmations: int
    origin: str
    superseded_by: str | None
    workspace: str | None
    exchanges: list[str]


class FactsResponse(Response, frozen=True, kw_only=True):
    """`current` is how many hold in all; `unread` how many memories wait to be read, `undecided` how many
    facts to be compared, `pending` how many decisions for an answer that could be read."""

    facts: list[FactItem]
    current: int
    unread: int = 0
    undecided: int = 0
    pending: int = 0


class DecisionsRequest(Request, frozen=True, kw_only=True):
    """List decisions, the newest first; or take one back, or do again one that was taken back, by its
    number."""

    undo: int | None = None
    redo: int | None = None
    state: DecisionState | None = None
    limit: Limit = 100


class DecisionItem(Response, frozen=True, kw_only=True):
    """What was decided about an older fact when another came, both with what they say."""

    id: int
    action: Literal["update", "delete", "ignore"]
    state: DecisionState
    reason: str
    origin: str
    decided_at: int
    fact: str
    text: str
    older: str
    older_text: str


class DecisionsResponse(Response, frozen=True, kw_only=True):
    """`pending` is how many wait in all."""

    decisions: list[DecisionItem]
    pending: int = 0


class ConsolidateRequest(Request, frozen=True, kw_only=True):
    """Draw the facts of every memory that was not read yet and compare them, as a job. `model`: by the
    language model too, pending decisions once more. `again`: compare every fact anew."""

    model: bool = False
    again: bool = False
