"""The part of a hover that the language model says, where the user turned `hover.model` on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from pygls.workspace import TextDocument

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.model_messages import AskRequest
from remanence.lsp.ask import tell_of_models
from remanence.lsp.documents import place_of
from remanence.lsp.language_server import RemanenceLanguageServer
from remanence.lsp.markdown import said_by_model
from remanence.lsp.position import without_end
from remanence.lsp.under_cursor import Kind, Subject

log = logging.getLogger(__name__)

_LINES_AROUND = 8
_LONGEST_LINE = 300
_MOST_TOKENS = 120
_ASKED = {
    Kind.ERROR: "What causes this error, and what helps? Answer in two or three sentences.",
    Kind.COMMENT: "What is this comment about? Answer in two or three sentences.",
    Kind.PROSE: "What is said here about `{name}`? Answer in two or three sentences.",
}
_ASKED_OTHERWISE = "What is `{name}` here? Answer in two or three sentences."


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the model that is under way, or answered."""

    answer: Awaitable[str | None]

    async def within(self, seconds: float) -> str | None:
        """The answer as it is shown, if it comes in this time. The question goes on without us."""
        waited = asyncio.ensure_future(self.answer)
        await asyncio.wait((waited,), timeout=seconds)
        return waited.result() if waited.done() and not waited.cancelled() else None


def ask_model(
    ls: RemanenceLanguageServer, engine: EngineClient, document: TextDocument, line: int, subject: Subject
) -> Asked:
    """Ask, unless this was asked before."""
    request = AskRequest(
        prompt=_prompt(document, line, subject),
        max_tokens=_MOST_TOKENS,
        remember=False,
        uri=place_of(ls.workspace, document.uri),
        language_id=document.language_id or None,
        symbol=subject.symbol,
        window=ls.window_id,
    )

    async def says() -> str | None:
        try:
            async for event in engine.ask(request):
                if event.end is not None:
                    tell_of_models(ls, engine, event.end.model, quietly=True)
                    model, answer = event.end.model, event.end.answer
                    return (
                        said_by_model(model, answer, ls.features.hover) if model and answer.strip() else None
                    )
        except EngineError as error:
            log.warning("Hover without the model: %s", error.code)
        return None

    return Asked(ls.model_hovers.answer(document.uri, request.prompt, says))


def _prompt(document: TextDocument, line: int, subject: Subject) -> str:
    lines = [without_end(text)[:_LONGEST_LINE] for text in document.lines]
    name = subject.symbol or lines[line][subject.start : subject.end]
    question = _ASKED.get(subject.kind, _ASKED_OTHERWISE).format(name=name.replace("`", ""))
    around = "\n".join(lines[max(0, line - _LINES_AROUND) : line + _LINES_AROUND + 1])
    shown = f"```{document.language_id or ''}\n{around}\n```"
    return f"{question}\n\n{shown}\n\nIt is about this line:\n{lines[line]}"
