"""What the engine can be asked: each verb with what it takes and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from remanence.engine import fact_messages as fm
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.memory.timestamps import to_ms

Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Verb:
    """`name` stands in the HTTP path and names the service's method, or that of the service's `room`. One
    that `streams` gives any number of `response`, one JSON line each."""

    name: str
    request: type[m.Request]
    response: type[m.Response]
    streams: bool = False
    room: str = ""


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("capture", m.CaptureRequest, m.CaptureResponse),
        Verb("recall", m.RecallRequest, m.RecallResponse),
        Verb("complete", m.CompleteRequest, m.CompleteResponse),
        Verb("enrich_prompt", m.EnrichPromptRequest, m.EnrichPromptResponse),
        Verb("memory", m.MemoryRequest, m.Memory),
        Verb("forget", m.ForgetRequest, m.ForgetResponse),
        Verb("import_", m.ImportRequest, m.ImportResponse, room="jobs"),
        Verb("sync", m.SyncRequest, m.ImportResponse, room="jobs"),
        Verb("sources", m.SourcesRequest, m.SourcesResponse, room="jobs"),
        Verb("jobs", m.JobsRequest, m.JobsResponse, room="jobs"),
        Verb("cancel", m.CancelRequest, m.JobsResponse, room="jobs"),
        Verb("prepare", m.PrepareRequest, m.JobStarted, room="jobs"),
        Verb("doctor", m.DoctorRequest, m.DoctorResponse),
        Verb("status", m.Empty, m.StatusResponse),
        Verb("ask", mm.AskRequest, mm.AskEvent, streams=True),
        Verb("infill", mm.InfillRequest, mm.InfillResponse),
        Verb("accepted", mm.AcceptedRequest, mm.AcceptedResponse),
        Verb("models", mm.ModelsRequest, mm.ModelsResponse),
        Verb("facts", fm.FactsRequest, fm.FactsResponse, room="facts"),
        Verb("decisions", fm.DecisionsRequest, fm.DecisionsResponse, room="facts"),
        Verb("consolidate", fm.ConsolidateRequest, m.JobStarted, room="facts"),
        Verb("dataset", lm.DatasetRequest, lm.DatasetResponse, room="learning"),
        Verb("train", lm.TrainRequest, lm.TrainResponse, room="learning"),
        Verb("evaluate", lm.EvaluateRequest, m.JobStarted, room="learning"),
        Verb("adapters", lm.AdaptersRequest, lm.AdaptersResponse, room="learning"),
        Verb("automatic", lm.AutomaticRequest, lm.AutomaticResponse, room="learning"),
    )
}


class EngineError(Exception):
    """A request the engine could not fulfil. `field` names the argument at fault, where one is."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


def invalid(message: str, field: str | None = None) -> EngineError:
    """The caller's mistake, in words."""
    return EngineError("invalid", message, field)


def moment(value: m.Timestamp | None, field: str) -> int | None:
    """A time that a caller gave, in epoch ms; one in the future or before 2015 is refused."""
    found = to_ms(value)
    if value is not None and found is None:
        raise invalid(f"{field}: {value!r} is no ISO-8601 date or epoch time between 2015 and now.", field)
    return found


Handler = Callable[[Any, Cancelled], m.Response]
StreamHandler = Callable[[Any, Cancelled], Iterator[m.Event]]
