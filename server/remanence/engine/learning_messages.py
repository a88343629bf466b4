"""What doors and the engine say to each other about learning: as `messages`, on the same wire."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from remanence.engine.messages import Request, Response

AdapterAction = Literal["list", "activate", "deactivate", "rollback", "compare", "export", "delete"]
AdapterState = Literal["trained", "refused", "active", "inactive", "outdated"]
ExportFormat = Literal["lora", "merged", "modelfile"]


class LearningRequest(Request, frozen=True, kw_only=True):
    """`recipe` is a shipped one's name or a file, chosen by the model's size where there is none. The model
    to train is the settings' `model` (the one in use where none is named), or the Hugging Face folder `base`.
    `afresh`: from the bare model, not on from the adapter that is active."""

    recipe: str | None = None
    model: str | None = None
    base: str | None = None
    afresh: bool = False


class DatasetRequest(LearningRequest, frozen=True, kw_only=True):
    """Write what would be learned, and asked, into the folder `path`."""

    path: str


class DatasetResponse(Response, frozen=True, kw_only=True):
    """`by_form` counts the rows that are learned, `questions` those that are only asked, `left_out` samples
    that were not taken, by the reason."""

    path: str
    facts: int
    known: int
    exchanges: int
    stages: int
    rows: int
    by_form: dict[str, int] = field(default_factory=dict[str, int])
    questions: dict[str, int] = field(default_factory=dict[str, int])
    left_out: dict[str, int] = field(default_factory=dict[str, int])


class TrainRequest(LearningRequest, frozen=True, kw_only=True):
    """Train an adapter from the facts, evaluate it, and with `auto` activate it where it passed.
    `dry_run`: only the plan."""

    dry_run: bool = False
    auto: bool = True


class TrainPlan(Response, frozen=True, kw_only=True):
    """What a run would learn and take, at most. `facts` are the statements that are new to the model,
    `known` how many it learned before and repeats; `parent` is the adapter it goes on from. `refusal` says
    why it cannot begin."""

    base: str
    recipe: str
    facts: list[str]
    known: int
    stages: int
    rows: int
    steps: int
    seconds: float
    memory_mb: int
    parent: str | None = None
    refusal: str | None = None


class TrainResponse(Response, frozen=True, kw_only=True):
    """`adapter` is the id it will have; neither it nor `job_id` is there in a dry run."""

    plan: TrainPlan
    job_id: str | None = None
    adapter: str | None = None


class EvaluateRequest(Request, frozen=True, kw_only=True):
    """Evaluate an adapter again on what holds now; without `id` the newest one."""

    id: str | None = None


class AdaptersRequest(Request, frozen=True, kw_only=True):
    """List the adapters, or do something with `id`. `force` activates one that was refused or is outdated.

    compare: `id` with `other`. export: `path` is where to, `gguf` the base model as GGUF (for a merged file,
    for a Modelfile, and to `verify`: a job that compares answers with PEFT's).
    """

    action: AdapterAction = "list"
    id: str | None = None
    other: str | None = None
    force: bool = False
    path: str | None = None
    format: ExportFormat = "lora"
    gguf: str | None = None
    verify: bool = False


class ScoreFigures(Response, frozen=True, kw_only=True):
    """Of n questions: the share answered right with its 95 % interval, words' F1, and the share that said
    what no longer holds."""

    n: int
    exact: float
    low: float
    high: float
    f1: float
    stale: float = 0.0


class AdapterFigures(Response, frozen=True, kw_only=True):
    """One adapter. `evaluation` is by side ("base", "adapter", each "with recall"), then by kind of
    question; `reasons` are the gate's."""

    id: str
    base: str
    recipe: str
    state: AdapterState
    facts: int
    folder: str
    created_at: int
    parent: str | None = None
    passed: bool | None = None
    reasons: list[str] = field(default_factory=list[str])
    evaluation: dict[str, dict[str, ScoreFigures]] = field(default_factory=dict[str, dict[str, ScoreFigures]])


class AdaptersResponse(Response, frozen=True, kw_only=True):
    """`adapters` are all of them, the newest first, or the two that were compared. `note` says in words what
    was done, `files` what was exported."""

    adapters: list[AdapterFigures]
    note: str | None = None
    files: list[str] = field(default_factory=list[str])
    job_id: str | None = None
