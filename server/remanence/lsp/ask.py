"""`remanence.ask`: the language model's answer with memory, streamed to whoever can take it in parts.

Where the client names a `partialResultToken`, each piece of text goes to it as `{"answer": piece}` and each
wait as `{"state": words}`; put one behind the other the pieces are the answer. Where it names none, the
answer's last words stand in a work done progress that the user can cancel. Either way the result is whole.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
from lsprotocol import types

from remanence.engine.client import EngineClient, EngineError, parse_request
from remanence.engine.model_messages import AskEvent, AskRequest, AskResponse
from remanence.lsp.documents import folder_of
from remanence.lsp.engine_errors import ENGINE_SECONDS, as_response
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.markdown import answer_document
from remanence.lsp.options import AskOptions
from remanence.lsp.progress import Shown, shown
from remanence.lsp.telling import Telling, telling_of

NO_MODEL = (
    "no language model is set, so memory alone helps; `remanence models` in a terminal says which suits."
)
_TITLE = "Asking with memory"
_LEAST_BUDGET = 64  # tokens: the engine takes no smaller one
_LONGEST_MESSAGE = 2000  # characters
_TAIL = 80


async def ask(ls: RemanenceLanguageServer, argument: object) -> object:
    """The command. Cancelling the request, or the progress, ends the generation."""
    try:
        fields, telling = telling_of(argument)
        request = _request(ls, fields)
        engine = await ls.engine.client(ENGINE_SECONDS)
        end = await _answered(ls, engine, request, telling)
    except EngineError as error:
        raise as_response(error) from error
    tell_of_models(ls, engine, end.model)
    if end.exchange_id is not None:
        ls.automatic.look()
    if telling.show:
        ls.background.run(_show(ls, request.prompt, end), "show an answer")
    return msgspec.to_builtins(end)


def tell_of_models(
    ls: RemanenceLanguageServer, engine: EngineClient, model: str | None, *, quietly: bool = False
) -> None:
    """After an answer: say once that there is no model, or what its memory monitor warns of."""
    if model is None:
        ls.tell_once(NO_MODEL, types.MessageType.Info, quietly=quietly)
    else:
        ls.warnings.look(engine, lambda said: ls.tell_once(said, types.MessageType.Warning))


def budget_of(options: AskOptions) -> int | None:
    """The budget as the engine takes it; None: as the model's window allows."""
    return max(options.token_budget, _LEAST_BUDGET) if options.token_budget else None


def _request(ls: RemanenceLanguageServer, fields: object) -> AskRequest:
    """What is asked, with the user's options and this window in place of what was not said."""
    if not isinstance(fields, dict):
        return parse_request(fields, AskRequest)
    options = ls.options.ask
    usual: dict[str, object] = {
        "tokenBudget": budget_of(options),
        "maxTokens": options.max_tokens,
        "remember": options.remember,
        "window": ls.window_id,
    }
    said = {name: value for name, value in cast("dict[str, object]", fields).items() if value is not None}
    request = parse_request({**usual, **said}, AskRequest)
    if request.workspace is None:  # where the remembered answer belongs
        return msgspec.structs.replace(request, workspace=folder_of(ls.workspace, request.uri))
    return request


async def _answered(
    ls: RemanenceLanguageServer, engine: EngineClient, request: AskRequest, telling: Telling
) -> AskResponse:
    async with shown(ls, _TITLE, given=telling.work_done, wanted=telling.partial_result is None) as progress:
        reading = asyncio.get_running_loop().create_task(
            _read(ls, engine, request, telling, progress), name="read an answer"
        )
        progress.when_cancelled(reading.cancel)
        try:
            await asyncio.wait((reading,))
        finally:
            reading.cancel()
        if reading.cancelled():
            raise EngineError("cancelled", "The request was cancelled.")
        return reading.result()


async def _read(
    ls: RemanenceLanguageServer,
    engine: EngineClient,
    request: AskRequest,
    telling: Telling,
    progress: Shown,
) -> AskResponse:
    end: AskResponse | None = None
    tail = ""
    async for event in engine.ask(request):
        end = event.end or end
        tail = (tail + event.text)[-_TAIL:]
        if (said := event.state or " ".join(tail.split())) and event.end is None:
            progress.report(said, at_once=event.state is not None)
        if telling.partial_result is not None and (value := _partial(event)):
            ls.progress(types.ProgressParams(token=telling.partial_result, value=value))
    if end is None:
        raise EngineError("unavailable", "The engine ended the answer too early; try again.")
    return end


def _partial(event: AskEvent) -> dict[str, str]:
    value = {"answer": event.text, "state": event.state or ""}
    return {name: said for name, said in value.items() if said}


async def _show(ls: RemanenceLanguageServer, prompt: str, end: AskResponse) -> None:
    """Show an answer as a document where the client can read one from the server, else as a message."""
    if not end.answer.strip():
        said = "nothing is remembered about this." if end.model is None else "the model said nothing."
        ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, f"Remanence: {said}"))
        return
    if ls.features.memory_documents and ls.features.show_document:
        text = answer_document(prompt, end)
        uri = ls.answers.keep(text, prompt)
        await ls.window_show_document_async(types.ShowDocumentParams(uri=uri, take_focus=False))
        return
    answer = end.answer.strip()
    if len(answer) > _LONGEST_MESSAGE:
        answer = f"{answer[:_LONGEST_MESSAGE]} …"
    ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, answer))
