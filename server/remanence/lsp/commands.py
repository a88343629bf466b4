"""workspace/executeCommand: the engine's verbs, each taking at most one object and giving plain JSON.

A client that cannot pass arguments may leave out the object, or give null, wherever every field has a
default.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import msgspec
from lsprotocol import types

from remanence.engine import fact_messages as fm
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.client import EngineError, parse_request
from remanence.lsp.ask import ask
from remanence.lsp.documents import folder_of
from remanence.lsp.engine_errors import ENGINE_SECONDS, as_response
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.markdown import one_line
from remanence.lsp.progress import follow
from remanence.lsp.telling import STREAMED, telling_of
from remanence.lsp.training_offers import TITLE, offer_retraining


@dataclass(frozen=True, slots=True)
class CommandVerb:
    """A command's verb; `starts_job`: what it answers with may name a job that goes on."""

    verb: str
    request: type[m.Request]
    starts_job: bool = False


COMMANDS: dict[str, CommandVerb] = {
    "remanence.capture": CommandVerb("capture", m.CaptureRequest),
    "remanence.recall": CommandVerb("recall", m.RecallRequest),
    "remanence.enrichPrompt": CommandVerb("enrich_prompt", m.EnrichPromptRequest),
    "remanence.memory": CommandVerb("memory", m.MemoryRequest),
    STREAMED: CommandVerb("ask", mm.AskRequest),
    "remanence.accepted": CommandVerb("accepted", mm.AcceptedRequest),
    "remanence.models": CommandVerb("models", mm.ModelsRequest),
    "remanence.forget": CommandVerb("forget", m.ForgetRequest),
    "remanence.import": CommandVerb("import_", m.ImportRequest, starts_job=True),
    "remanence.sync": CommandVerb("sync", m.SyncRequest, starts_job=True),
    "remanence.sources": CommandVerb("sources", m.SourcesRequest),
    "remanence.jobs": CommandVerb("jobs", m.JobsRequest),
    "remanence.cancel": CommandVerb("cancel", m.CancelRequest),
    "remanence.status": CommandVerb("status", m.Empty),
    "remanence.facts": CommandVerb("facts", fm.FactsRequest),
    "remanence.decisions": CommandVerb("decisions", fm.DecisionsRequest),
    "remanence.consolidate": CommandVerb("consolidate", fm.ConsolidateRequest, starts_job=True),
    "remanence.dataset": CommandVerb("dataset", lm.DatasetRequest),
    "remanence.train": CommandVerb("train", lm.TrainRequest, starts_job=True),
    "remanence.evaluate": CommandVerb("evaluate", lm.EvaluateRequest, starts_job=True),
    "remanence.adapters": CommandVerb("adapters", lm.AdaptersRequest, starts_job=True),
    "remanence.automatic": CommandVerb("automatic", lm.AutomaticRequest, starts_job=True),
}
_TITLES = {
    "remanence.import": "Importing memories",
    "remanence.sync": "Syncing memories",
    "remanence.consolidate": "Drawing and comparing facts",
    "remanence.train": TITLE,
    "remanence.evaluate": "Evaluating an adapter",
    "remanence.adapters": "Verifying an export",
    "remanence.automatic": TITLE,
}
_MERGING = "Merging two adapters"


def command(name: str, verb: CommandVerb) -> Callable[[RemanenceLanguageServer, object], Awaitable[object]]:
    """The handler of one command. It raises JSON-RPC errors that name the field at fault."""
    if name == STREAMED:
        return ask

    async def run(ls: RemanenceLanguageServer, argument: object) -> object:
        try:
            fields, telling = telling_of(argument)
            request = parse_request(fields, verb.request)
            engine = await ls.engine.client(ENGINE_SECONDS)
            response = await engine.call(verb.verb, _with_workspace(ls, request))
        except EngineError as error:
            raise as_response(error) from error
        if verb.starts_job:
            merges = isinstance(request, lm.AdaptersRequest) and request.action == "merge"
            job_id = cast("str | None", getattr(response, "job_id", None))
            follow(ls, engine, job_id, _MERGING if merges else _TITLES[name])
        if isinstance(response, m.ForgetResponse):
            ls.background.run(offer_retraining(ls, engine, response), "offer to train again")
        elif isinstance(response, m.CaptureResponse | m.ImportResponse):
            ls.automatic.look()
        if telling.show and isinstance(response, m.CaptureResponse):
            _tell_captured(ls, cast(m.CaptureRequest, request), response)
        return msgspec.to_builtins(response)

    return run


def _with_workspace(ls: RemanenceLanguageServer, request: m.Request) -> m.Request:
    """A captured exchange belongs to the folder it was asked in, unless the client names another."""
    if isinstance(request, m.CaptureRequest) and request.workspace is None:
        return msgspec.structs.replace(request, workspace=folder_of(ls.workspace, request.uri))
    return request


def _tell_captured(
    ls: RemanenceLanguageServer, request: m.CaptureRequest, response: m.CaptureResponse
) -> None:
    how = "remembered" if response.status in ("stored", "updated") else response.status
    said = f"Remanence: {how}: {one_line(request.question)}"
    ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, said))
