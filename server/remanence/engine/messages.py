"""What doors and the engine say to each other: the objects of the LSP commands, the HTTP API and the CLI.

JSON on the wire, camelCase, checked field by field: a wrong type is an error that names the field.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta, Struct

Mode = Literal["hybrid", "dense", "lexical"]
CaptureStatus = Literal["stored", "duplicate", "updated", "ignored"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Timestamp = int | float | str
Limit = Annotated[int, Meta(ge=1, le=1000)]


class Request(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request: unknown fields are refused, so that a misspelt option is noticed."""


class Response(Struct, frozen=True, kw_only=True, rename="camel"):
    """A response: unknown fields are ignored, so that an older door can talk to a newer engine."""


class CaptureRequest(Request, frozen=True, kw_only=True):
    """Remember one exchange. Times are epoch milliseconds (seconds are recognised) or ISO-8601."""

    question: str
    answer: str
    asked_at: Timestamp | None = None
    answered_at: Timestamp | None = None
    model: str | None = None
    tool: str = "manual"
    conversation_id: str | None = None
    turn_key: str | None = None
    external_id: str | None = None
    uri: str | None = None
    language_id: str | None = None
    workspace: str | None = None
    tags: list[str] = []


class CaptureResponse(Response, frozen=True, kw_only=True):
    """`redactions` names the kind of each secret that was taken out before storing."""

    id: str
    status: CaptureStatus
    redactions: list[str] = []
    reason: str | None = None


class RecallRequest(Request, frozen=True, kw_only=True):
    """Find memories. `workspace`, `tool`, `conversation_id`, `since` and `until` are filters;
    `uri`, `language_id` and `symbol` say where the user is and only move ranks.

    `automatic` is set by whoever was not asked by the user in so many words (hover, completion,
    enrichment): recall then abstains rather than guess.
    """

    query: str
    limit: Limit = 10
    uri: str | None = None
    language_id: str | None = None
    symbol: str | None = None
    workspace: str | None = None
    tool: str | None = None
    conversation_id: str | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    mode: Mode = "hybrid"
    min_score: float | None = None
    automatic: bool = False


class Memory(Response, frozen=True, kw_only=True):
    """Anything recall can return. `why` says in words what brought it here; `used` how often what was made of
    it was taken, where one memory was asked for."""

    id: str
    kind: Literal["exchange", "fact"] = "exchange"
    question: str
    answer: str
    excerpt: str
    score: float
    tool: str
    external_id: str | None = None
    asked_at: int | None = None
    answered_at: int | None = None
    model: str | None = None
    conversation_id: str | None = None
    conversation_title: str | None = None
    workspace: str | None = None
    uri: str | None = None
    language_id: str | None = None
    keywords: list[str] = []
    tags: list[str] = []
    why: list[str] = []
    superseded_by: str | None = None
    used: int = 0


class RecallResponse(Response, frozen=True, kw_only=True):
    memories: list[Memory]
    took_ms: float
    degraded: str | None = None


class CompleteRequest(Request, frozen=True, kw_only=True):
    """What continues `text`, the prompt typed so far (the whole prompt-like passage up to the cursor)."""

    text: str
    limit: Limit = 8
    uri: str | None = None
    language_id: str | None = None
    workspace: str | None = None


class CodeBlock(Response, frozen=True, kw_only=True):
    """A fenced block of an earlier answer."""

    memory_id: str
    question: str
    language: str
    code: str


class CompleteResponse(Response, frozen=True, kw_only=True):
    questions: list[Memory]
    code_blocks: list[CodeBlock]
    degraded: str | None = None


class EnrichPromptRequest(Request, frozen=True, kw_only=True):
    """`token_budget` bounds the whole enriched prompt, its memories take at most `share` of it; both come
    from the settings where they are not given. `automatic` as in a recall: false where the user asked for
    memories in so many words. What `except_conversation_id` says, and what the memories in `except_ids` do,
    stands in the prompt's conversation already.
    """

    prompt: str
    token_budget: Annotated[int, Meta(ge=64, le=1_000_000)] | None = None
    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    automatic: bool = True
    uri: str | None = None
    language_id: str | None = None
    symbol: str | None = None
    workspace: str | None = None
    tool: str | None = None
    conversation_id: str | None = None
    except_conversation_id: str | None = None
    except_ids: list[str] = []


class PackedMemory(Response, frozen=True, kw_only=True):
    id: str
    tokens: int


class EnrichPromptResponse(Response, frozen=True, kw_only=True):
    """`memories` come best first; the best stands last in the prompt. `tokens` is the size of the whole
    enriched prompt, as the packer counts it: an estimate."""

    prompt: str
    memories: list[PackedMemory]
    tokens: int
    degraded: str | None = None


class MemoryRequest(Request, frozen=True, kw_only=True):
    id: str


class MemoryFilter(Request, frozen=True, kw_only=True):
    """Which memories: every field given must match. `all` stands for a filter that matches each one."""

    tool: str | None = None
    conversation_id: str | None = None
    workspace: str | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None
    tag: str | None = None
    all: bool = False


class ForgetRequest(Request, frozen=True, kw_only=True):
    ids: list[str] | None = None
    filter: MemoryFilter | None = None
    dry_run: bool = False


class ForgetResponse(Response, frozen=True, kw_only=True):
    """`adapters` names each adapter that had learned one of the forgotten memories, and is not used any
    more; `note` says what to do about them. `retrain` is the one worth training again without it."""

    forgotten: int
    adapters: list[str] = []
    note: str | None = None
    retrain: str | None = None


class ImportRequest(Request, frozen=True, kw_only=True):
    """Import one source, or one file or folder. Without `source` the format is recognised;
    without `path` the source is looked for where its tool keeps it."""

    source: str | None = None
    path: str | None = None


class SyncRequest(Request, frozen=True, kw_only=True):
    """Import what is new from each source that is turned on. `sources` turns these on first."""

    sources: list[str] | None = None


class ImportResponse(Response, frozen=True, kw_only=True):
    """Counts at the time of the answer; the job's `figures` carry them on."""

    job_id: str
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    updated: int = 0
    ignored: int = 0
    failed: int = 0


class SourcesRequest(Request, frozen=True, kw_only=True):
    """List the sources, or turn some on or off."""

    enable: list[str] = []
    disable: list[str] = []


class SourceState(Response, frozen=True, kw_only=True):
    """`found` counts the conversation files that the tool has on this machine."""

    name: str
    title: str
    enabled: bool
    found: int
    locations: list[str] = []
    last_synced_at: int | None = None


class SourcesResponse(Response, frozen=True, kw_only=True):
    sources: list[SourceState]


class JobsRequest(Request, frozen=True, kw_only=True):
    job_id: str | None = None


class CancelRequest(Request, frozen=True, kw_only=True):
    job_id: str


class Job(Response, frozen=True, kw_only=True):
    """`progress` runs from 0 to 1. `figures` are counts, `reasons` the first failures in words."""

    job_id: str
    kind: str
    state: JobState
    progress: float = 0.0
    message: str = ""
    figures: dict[str, int] = {}
    reasons: list[str] = []
    error: str | None = None
    created_at: int = 0
    finished_at: int | None = None


class JobsResponse(Response, frozen=True, kw_only=True):
    jobs: list[Job]


class PrepareRequest(Request, frozen=True, kw_only=True):
    """Prepare the models that the settings name (export, quantise, check); `force` does it again."""

    force: bool = False


class JobStarted(Response, frozen=True, kw_only=True):
    """What was asked goes on in the background; `remanence.jobs` tells how far it is."""

    job_id: str


class DoctorRequest(Request, frozen=True, kw_only=True):
    """Check; with `repair`, mend what was found. The named ones are done whatever was found."""

    repair: bool = False
    rebuild: bool = False
    reembed: bool = False
    vacuum: bool = False


class Finding(Response, frozen=True, kw_only=True):
    check: str
    ok: bool
    detail: str
    done: str | None = None


class DoctorResponse(Response, frozen=True, kw_only=True):
    findings: list[Finding]
    job_id: str | None = None


class Pending(Response, frozen=True, kw_only=True):
    """Stored rows that still wait for a vector, for keywords, or for a place in an index."""

    embedding: int = 0
    keywords: int = 0
    indexing: int = 0


class IndexState(Response, frozen=True, kw_only=True):
    name: str
    state: Literal["ready", "building", "absent"]
    items: int
    bytes: int = 0


class ProcessState(Response, frozen=True, kw_only=True):
    name: str
    pid: int
    rss_mb: float


class StatusResponse(Response, frozen=True, kw_only=True):
    exchanges: int
    facts: int
    pending: int
    pending_by: Pending
    indexes: list[IndexState]
    processes: list[ProcessState]
    versions: dict[str, str]
    home: str
    embedder: str
    reranker: str | None = None
    sources: list[SourceState] = []
    jobs: list[Job] = []
    database_bytes: int = 0
    forgotten: int = 0
    learning: str | None = None
    warning: str | None = None
    degraded: str | None = None


class Empty(Request, frozen=True, kw_only=True):
    """A verb that takes nothing."""


class PingResponse(Response, frozen=True, kw_only=True):
    version: str
    pid: int
    home: str


class ErrorResponse(Response, frozen=True, kw_only=True):
    """`field` names the argument at fault, where one is."""

    code: Literal["invalid", "not_found", "unavailable", "cancelled", "internal"]
    message: str
    field: str | None = None


class Event(Response, frozen=True, kw_only=True):
    """One line of an answer that comes in parts. One with an `error` is the last."""

    error: ErrorResponse | None = None


def to_json(message: Struct) -> bytes:
    """As UTF-8; what that cannot say, the lone surrogates of a name that is not UTF-8, is a question mark."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        return msgspec.json.encode(_well_formed(msgspec.to_builtins(message)))


def _well_formed(said: object) -> object:
    if isinstance(said, str):
        return said.encode("utf-8", "replace").decode()
    if isinstance(said, dict):
        return {name: _well_formed(each) for name, each in cast(dict[str, object], said).items()}
    return list(map(_well_formed, cast(list[object], said))) if isinstance(said, list) else said
