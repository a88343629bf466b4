"""Asking the language model with memory: the prompt enriched, the answer streamed, the exchange kept."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING

from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.enriching import Enriching
from remanence.engine.verbs import Cancelled, EngineError, invalid
from remanence.models.language_model import ChatMessage, Generation, LanguageModelError, Usage
from remanence.models.worker_pipes import GivenUp

if TYPE_CHECKING:
    from remanence.models.residency import Residency
    from remanence.models.resident import LoadProgress

NO_MODEL = (
    "no language model is set: name one under [language_models] in settings.toml (see `remanence models`)"
)
_TOOL = "remanence"
_TOLD_BY_MEMORY = 3  # memories that stand for an answer where no model can give one
_LEAST_BUDGET = 64
_TELL_SECONDS = 1.0  # how often somebody who waits for a model hears how far it is

Recall = Callable[[m.RecallRequest, Cancelled], m.RecallResponse]
Capture = Callable[[m.CaptureRequest, Cancelled], m.CaptureResponse]


class Asking:
    """The verb `ask` of one engine. `default_model` is empty where none is set."""

    def __init__(
        self,
        residency: Callable[[], Residency],
        default_model: str,
        token_budget: int,
        enriching: Enriching,
        *,
        recall: Recall,
        capture: Capture,
    ) -> None:
        self._residency = residency
        self._default_model = default_model
        self._token_budget = token_budget
        self._enriching = enriching
        self._recall = recall
        self._capture = capture

    def ask(self, request: mm.AskRequest, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
        """The answer in pieces, then the whole with the memories that went into it.

        Without a model, memory answers as far as it can. Raises EngineError in words.
        """
        if not request.prompt.strip():
            raise invalid("prompt: it is empty.", "prompt")
        model = request.model or self._default_model
        if not model:
            yield mm.AskEvent(end=self._by_memory_alone(request, cancelled))
            return
        try:
            yield from self._brought_in(model, cancelled)
            prompt, memories, degraded = self._prompt(request, model, cancelled)
            yield from self._generated(request, model, prompt, memories, degraded, cancelled)
        except GivenUp as error:
            raise EngineError("cancelled", "The request was cancelled.") from error
        except LanguageModelError as error:
            raise EngineError("unavailable", str(error)) from error

    def _brought_in(self, model: str, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
        """Wait for the model to be in memory, and say how far it is. Raises GivenUp, LanguageModelError."""
        residency = self._residency()
        if residency.is_loaded(model):
            return
        yield mm.AskEvent(state=f"loading {model}")
        loading: Future[None] = Future()

        def load() -> None:
            try:
                residency.load(model, cancelled)
            except Exception as error:  # noqa: BLE001  raised where it is waited for
                loading.set_exception(error)
            else:
                loading.set_result(None)

        threading.Thread(target=load, name="ask loads", daemon=True).start()
        while True:
            try:
                return loading.result(_TELL_SECONDS)
            except NotYet:
                if (progress := residency.progress(model)) is not None:
                    yield mm.AskEvent(state=_in_words(model, progress))

    def _generated(
        self,
        request: mm.AskRequest,
        model: str,
        prompt: str,
        memories: list[m.PackedMemory],
        degraded: str | None,
        cancelled: Cancelled,
    ) -> Iterator[mm.AskEvent]:
        asked = Generation(
            messages=(ChatMessage("user", prompt),),
            max_tokens=request.max_tokens,
            temperature=request.temperature,
        )
        said: list[str] = []
        usage = Usage()
        for part in self._residency().generate(model, asked, cancelled, window=request.window or ""):
            if isinstance(part, Usage):
                usage = part
            else:
                said.append(part)
                yield mm.AskEvent(text=part)
        answer = "".join(said)
        if usage.finish == "cancelled" or cancelled():
            raise EngineError("cancelled", "The request was cancelled.")
        kept = self._kept(request, model, answer, cancelled) if request.remember and answer.strip() else None
        yield mm.AskEvent(
            end=mm.AskResponse(
                answer=answer,
                memories=memories,
                exchange_id=kept,
                model=model,
                finish=usage.finish,
                prompt_tokens=usage.prompt_tokens,
                answer_tokens=usage.written_tokens,
                degraded=degraded,
            )
        )

    def _prompt(
        self, request: mm.AskRequest, model: str, cancelled: Cancelled
    ) -> tuple[str, list[m.PackedMemory], str | None]:
        """The prompt with what memory adds, within what the model's window leaves for it."""
        if not request.with_memory:
            return request.prompt, [], None
        context = self._residency().capabilities(model, cancelled).context
        room = context - request.max_tokens if context else self._token_budget
        budget = min(request.token_budget or self._token_budget, room)
        if budget < _LEAST_BUDGET:
            return request.prompt, [], None
        enriched = self._enriching.enrich(
            m.EnrichPromptRequest(
                prompt=request.prompt,
                token_budget=budget,
                uri=request.uri,
                language_id=request.language_id,
                symbol=request.symbol,
            ),
            cancelled,
            count=self._counted_by(model, cancelled),
            patient=True,
        )
        packed = [m.PackedMemory(id=each.row.id, tokens=each.tokens) for each in enriched.packed]
        return enriched.text, packed, self._enriching.problem

    def _counted_by(self, model: str, cancelled: Cancelled) -> Callable[[str], int]:
        """The model's own count of tokens; each text is asked for once."""
        residency = self._residency()

        @functools.cache
        def count(text: str) -> int:
            return residency.count_tokens(model, text, cancelled)

        return count

    def _kept(self, request: mm.AskRequest, model: str, answer: str, cancelled: Cancelled) -> str:
        captured = self._capture(
            m.CaptureRequest(
                question=request.prompt,
                answer=answer,
                model=model,
                tool=_TOOL,
                conversation_id=request.conversation_id,
                uri=request.uri,
                language_id=request.language_id,
                workspace=request.workspace,
            ),
            cancelled,
        )
        return captured.id

    def _by_memory_alone(self, request: mm.AskRequest, cancelled: Cancelled) -> mm.AskResponse:
        found = self._recall(
            m.RecallRequest(
                query=request.prompt,
                limit=_TOLD_BY_MEMORY,
                uri=request.uri,
                language_id=request.language_id,
                symbol=request.symbol,
            ),
            cancelled,
        )
        told = "\n\n".join(f"> {each.question.strip()}\n\n{each.excerpt}" for each in found.memories)
        return mm.AskResponse(
            answer=told,
            memories=[m.PackedMemory(id=each.id, tokens=0) for each in found.memories],
            degraded=f"{NO_MODEL}; this is what memory alone says",
        )


def _in_words(model: str, progress: LoadProgress) -> str:
    """`loading mistral: 4,108 MB, 40 %, 3 s`."""
    parts = [f"{progress.size_mb:,.0f} MB"] if progress.size_mb >= 1 else []
    parts += [f"{progress.share * 100:.0f} %"] if progress.share is not None else []
    return f"loading {model}: {', '.join([*parts, f'{progress.seconds:.0f} s'])}"
