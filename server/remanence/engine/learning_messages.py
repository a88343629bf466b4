"""What doors and the engine say to each other about learning: as `messages`, on the same wire."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from remanence.engine.messages import Request, Response

AdapterAction = Literal["list", "activate", "deactivate", "rollback", "compare", "merge", "export", "delete"]
MergeMethod = Literal["svd", "linear", "cat", "ties", "dare_ties"]
AdapterState = Literal["trained", "refused", "active", "inactive", "outdated"]
ExportFormat = Literal["lora", "merged", "modelfile"]
AdapterPurpose = Literal["facts", "operations"]
AutomaticAnswer = Literal["now", "always", "later", "never", "ask"]


class LearningRequest(Request, frozen=True, kw_only=True):
    """`purpose`: facts, to answer from what is remembered; operations, to draw facts from exchanges and to
    decide about them, as rules, models and the user did so far: always from the bare model.

    `recipe` is a shipped one's name or a file, chosen by the model's size where there is none. The model to
    train is the settings' `model` (the one in use where none is named), or the Hugging Face folder `base`.
    `afresh`: from the bare model, not on from the adapter that is active. `instead_of`: an adapter that
    learned what was forgotten since; its base, its recipe and as many facts, on from the active adapter or
    the nearest before it that never learned the forgotten."""

    purpose: AdapterPurpose = "facts"
    recipe: str | None = None
    model: str | None = None
    base: str | None = None
    afresh: bool = False
    instead_of: str | None = None


class DatasetRequest(LearningRequest, frozen=True, kw_only=True):
    """Write what would be learned, and asked, into the folder `path`."""

    path: str


class DatasetResponse(Response, frozen=True, kw_only=True):
    """`by_form` counts the rows that are learned, `questions` those that are only asked, `left_out` samples
    that were not taken, by the reason, `by_origin` what operations are learned from."""

    path: str
    facts: int
    known: int
    exchanges: int
    stages: int
    rows: int
    by_form: dict[str, int] = field(default_factory=dict[str, int])
    questions: dict[str, int] = field(default_factory=dict[str, int])
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    purpose: AdapterPurpose = "facts"
    by_origin: dict[str, int] = field(default_factory=dict[str, int])


class TrainRequest(LearningRequest, frozen=True, kw_only=True):
    """Train an adapter from the facts, evaluate it, and with `auto` activate it where it passed.
    `dry_run`: only the plan."""

    dry_run: bool = False
    auto: bool = True


class TrainPlan(Response, frozen=True, kw_only=True):
    """What a run would learn and take, at most. `facts` are the statements that are new to the model,
    `known` how many it learned before and repeats; `parent` is the adapter it goes on from. `refusal` says
    why it cannot begin, `note` what this machine has done otherwise than the recipe says."""

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
    purpose: AdapterPurpose = "facts"
    by_origin: dict[str, int] = field(default_factory=dict[str, int])
    note: str | None = None
    refusal: str | None = None


class TrainResponse(Response, frozen=True, kw_only=True):
    """`adapter` is the id it will have; neither it nor `job_id` is there in a dry run. `note` says so where
    they are those of a run that was under way before this was asked for."""

    plan: TrainPlan
    job_id: str | None = None
    adapter: str | None = None
    note: str | None = None


class EvaluateRequest(Request, frozen=True, kw_only=True):
    """Evaluate an adapter again on what holds now; without `id` the newest one."""

    id: str | None = None


class AdaptersRequest(Request, frozen=True, kw_only=True):
    """List the adapters, or do something with `id`. `force` activates one that was refused or is outdated.

    compare: `id` with `other`. export: `path` is where to, `gguf` the base model as GGUF (for a merged file,
    for a Modelfile, and to `verify`: a job that compares answers with PEFT's).

    merge: a job that makes a new adapter of `id` and `other`, each by its weight (without `weights`: their
    mean), and evaluates it; it is not activated.
    """

    action: AdapterAction = "list"
    id: str | None = None
    other: str | None = None
    force: bool = False
    path: str | None = None
    format: ExportFormat = "lora"
    gguf: str | None = None
    verify: bool = False
    method: MergeMethod = "svd"
    weights: list[float] | None = None


class ScoreFigures(Response, frozen=True, kw_only=True):
    """Of n questions: the share answered right with its 95 % interval, words' F1, and the share that said
    what no longer holds; of answers in JSON the share that is valid, the macro-F1 of decisions, precision and
    recall of facts."""

    n: int
    exact: float
    low: float
    high: float
    f1: float
    stale: float = 0.0
    valid: float | None = None
    decision_f1: float | None = None
    precision: float | None = None
    recall: float | None = None


class AdapterFigures(Response, frozen=True, kw_only=True):
    """One adapter. With `merged_with` it was made of that and `parent`. `evaluation` is by side ("base",
    "adapter", each "with recall"), then by kind of question; `reasons` are the gate's."""

    id: str
    base: str
    recipe: str
    state: AdapterState
    facts: int
    folder: str
    created_at: int
    purpose: AdapterPurpose = "facts"
    parent: str | None = None
    merged_with: str | None = None
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


class AutomaticRequest(Request, frozen=True, kw_only=True):
    """Whether a run is due by itself, and begin it where the user wanted that; for doors with a user in
    front. With `answer`, what the user said to the question: "now" trains once, "always" now and whenever it
    is due, "later" and "never" not; "ask" has the question asked again."""

    answer: AutomaticAnswer | None = None


class AutomaticResponse(Response, frozen=True, kw_only=True):
    """`after` is the setting, 0 where it is off; `new` how many facts came since the last run. `ask`: the
    user is to be asked now, by this door and no other; `words` is the question, or why nothing begins though
    it is due. `job_id` is the run that was begun."""

    after: int
    new: int = 0
    answer: AutomaticAnswer | None = None
    ask: bool = False
    words: str | None = None
    job_id: str | None = None
