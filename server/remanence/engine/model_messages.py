"""What doors and the engine say to each other about language models: as `messages`, on the same wire."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from remanence.engine.messages import Event, PackedMemory, Request, Response

ModelAction = Literal["list", "load", "unload"]
Residency = Literal["unloaded", "loading", "loaded", "busy", "failed", "remote"]
Tokens = Annotated[int, Meta(ge=1, le=1_000_000)]


class AskRequest(Request, frozen=True, kw_only=True):
    """Ask the language model with memory. Without `model` the one that the settings name is asked.

    `remember`: keep the exchange as a memory, of `workspace`. `with_memory`: put what recall finds before the
    prompt. `window` names the editor's window: several are served in turn.
    """

    prompt: str
    model: str | None = None
    token_budget: Annotated[int, Meta(ge=64, le=1_000_000)] | None = None
    max_tokens: Tokens = 1024
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    with_memory: bool = True
    remember: bool = True
    uri: str | None = None
    language_id: str | None = None
    symbol: str | None = None
    workspace: str | None = None
    conversation_id: str | None = None
    window: str | None = None


class AskResponse(Response, frozen=True, kw_only=True):
    """The last event of an answer. `exchange_id` is the memory that it became, where it did; `finish`
    says why it ended. Without a model `model` is null and `answer` is what memory alone can say."""

    answer: str
    memories: list[PackedMemory] = field(default_factory=list[PackedMemory])
    exchange_id: str | None = None
    model: str | None = None
    finish: str = "stop"
    prompt_tokens: int = 0
    answer_tokens: int = 0
    degraded: str | None = None


class AskEvent(Event, frozen=True, kw_only=True):
    """One line of a streamed answer: more `text`, a `state` in words (loading the model), or the end."""

    text: str = ""
    state: str | None = None
    end: AskResponse | None = None


class InfillRequest(Request, frozen=True, kw_only=True):
    """What could stand between `before` and `after`, the document's text around the cursor."""

    before: str
    after: str = ""
    uri: str | None = None
    language_id: str | None = None
    symbol: str | None = None
    workspace: str | None = None
    model: str | None = None
    max_tokens: Tokens = 96
    window: str | None = None


class InfillResponse(Response, frozen=True, kw_only=True):
    """`text` is empty where nothing is proposed; `degraded` then says why, if something is missing."""

    text: str
    memories: list[str] = field(default_factory=list[str])
    model: str | None = None
    degraded: str | None = None


class AcceptedRequest(Request, frozen=True, kw_only=True):
    """The user took what was offered (`kind`: inline, completion, code block) from these memories."""

    kind: str
    memories: list[str] = field(default_factory=list[str])


class AcceptedResponse(Response, frozen=True, kw_only=True):
    """How many of them are known."""

    counted: int


class ModelsRequest(Request, frozen=True, kw_only=True):
    """List the language models, or load or unload one."""

    action: ModelAction = "list"
    id: str | None = None


class ModelState(Response, frozen=True, kw_only=True):
    """`id` is its name in the settings; `idle_seconds` counts from its last answer, while it is loaded."""

    id: str
    backend: str
    place: str
    state: Residency
    is_default: bool = False
    size_mb: float = 0.0
    rss_mb: float = 0.0
    pid: int | None = None
    idle_seconds: float | None = None
    context: int | None = None
    adapter: str | None = None
    problem: str | None = None


class ModelAdvice(Response, frozen=True, kw_only=True):
    """A model that suits this machine."""

    name: str
    quantisation: str
    size_mb: int
    note: str = ""


class ModelsResponse(Response, frozen=True, kw_only=True):
    """`profile` is light, medium or heavy, by the machine's memory in MB."""

    models: list[ModelState]
    profile: str
    total_mb: int
    limit_mb: int
    recommended: list[ModelAdvice] = field(default_factory=list[ModelAdvice])
    warning: str | None = None
