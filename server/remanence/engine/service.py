"""What the engine can do: one method a verb, plain and thread-safe, with or without a socket in front."""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.asking import Asking
from remanence.engine.capturing import clean
from remanence.engine.doctor import examine
from remanence.engine.embedding import EmbedderSlot
from remanence.engine.enriching import Enriching
from remanence.engine.fact_verbs import Facts
from remanence.engine.importing import Importer
from remanence.engine.indexing import Indexing
from remanence.engine.infilling import Infilling
from remanence.engine.job_verbs import JobVerbs
from remanence.engine.jobs import Jobs
from remanence.engine.language_models import LanguageModels
from remanence.engine.learning import Learning
from remanence.engine.observing import observe
from remanence.engine.reranking import RerankerSlot
from remanence.engine.searching import Searching, as_memory
from remanence.engine.verbs import (
    VERBS,
    Cancelled,
    EngineError,
    Handler,
    StreamHandler,
    invalid,
    moment,
)
from remanence.memory.database import StoreError
from remanence.memory.dense import Cancelled as SearchCancelled
from remanence.memory.exchange import Exchange
from remanence.memory.index_files import IndexReadError, IndexWriteError
from remanence.memory.progress_records import ProgressRecords
from remanence.memory.rows import Scope
from remanence.memory.store import Store
from remanence.memory.usefulness import note_accepted, times_accepted
from remanence.paths import Home
from remanence.settings import Settings, SettingsError, load_settings

log = logging.getLogger(__name__)


class Service:
    """The engine of one data directory. Create it with `open_service`."""

    def __init__(self, home: Home, store: Store, settings: Settings) -> None:
        self.home = home
        self.store = store
        self.settings = settings
        self.records = ProgressRecords(store.database)
        self.embedders = EmbedderSlot(home, settings.embedder.model, settings.embedder.threads)
        self.rerankers = RerankerSlot(home, settings.reranker.model, settings.embedder.threads)
        self.indexing = Indexing(home, store, self.embedders, settings.keywords.per_exchange)
        self.searching = Searching(store, self.indexing, self.rerankers)
        self.importer = Importer(store, self.records, self._wake, self._is_found)
        self.jobs_queue = Jobs(self.records)
        self.jobs = JobVerbs(
            self.jobs_queue, self.records, self.importer, self.indexing, self.embedders, self.rerankers
        )
        self.enriching = Enriching(self.searching, self.indexing, settings.enrichment)
        models = settings.language_models
        self.language_models = LanguageModels(models, lambda model: self.learning.served.of(model))
        self.learning = Learning(
            home,
            store.database,
            models,
            self.jobs_queue,
            settings.training,
            enrich=self.enrich_prompt,
            language_models=self.language_models,
        )
        self.facts = Facts(
            store,
            self.jobs_queue,
            lambda: self.indexing.busy or any(map(self.jobs_queue.find_live, ("import", "sync"))),
            self.language_models.residency,
            model=models.use,
            adapter=lambda: self.learning.served.for_operations(models),
            in_background=settings.facts.model,
        )
        self.asking = Asking(
            self.language_models.residency,
            models.use,
            settings.enrichment.token_budget,
            self.enriching,
            recall=self.recall,
            capture=self.capture,
        )
        self.infilling = Infilling(self.language_models.residency, models.use, self.recall)

    def start(self) -> None:
        """Begin the background work: indexing, jobs that were interrupted, models that are missing."""
        self.indexing.start()
        self.facts.work.start()
        self.language_models.start()
        try:
            self.jobs.take_up(
                lambda kind, request: self.facts.resume(kind, request) or self.learning.resume(kind, request)
            )
            self.learning.tidy()
            if not self.embedders.is_prepared() or self.rerankers.is_missing():
                self.jobs.prepare(m.PrepareRequest(), _never)
        except StoreError as error:  # a full disk: what is stored can be recalled all the same
            log.warning("no job was started: %s", error)

    def handlers(self) -> dict[str, Handler]:
        """Each verb's method; errors come out as EngineError."""
        return {
            name: _in_words(getattr(getattr(self, verb.room) if verb.room else self, name))
            for name, verb in VERBS.items()
            if not verb.streams
        }

    def streams(self) -> dict[str, StreamHandler]:
        """The same of the verbs that answer in parts."""
        return {name: _parts_in_words(getattr(self, name)) for name, verb in VERBS.items() if verb.streams}

    def is_busy(self) -> bool:
        """Whether something would be interrupted if the engine ended now."""
        return (
            self.jobs_queue.busy()
            or self.indexing.busy
            or self.facts.work.busy
            or self.language_models.is_busy
        )

    def close(self) -> None:
        """End the background work and save the indexes."""
        self.jobs_queue.close()
        self.facts.work.close()
        self.language_models.close()
        self.enriching.close()
        self.rerankers.close()
        self.indexing.close()
        self.store.close()

    # The verbs

    def capture(self, request: m.CaptureRequest, cancelled: Cancelled) -> m.CaptureResponse:
        if not request.answer.strip():
            raise invalid("answer: it is empty.", "answer")
        raw = Exchange(
            question=request.question,
            answer=request.answer,
            tool=request.tool.strip() or "manual",
            conversation_id=request.conversation_id or "",
            turn_key=request.turn_key,
            external_id=request.external_id,
            asked_at=moment(request.asked_at, "askedAt"),
            answered_at=moment(request.answered_at, "answeredAt"),
            model=request.model,
            workspace=request.workspace,
            uri=request.uri,
            language_id=request.language_id,
            tags=tuple(request.tags),
        )
        cleaned = clean(raw, self.store.identity_key)
        (captured,) = self.store.capture([cleaned.candidate])
        self._wake()
        return m.CaptureResponse(
            id=captured.id,
            status=captured.outcome,
            redactions=list(cleaned.redactions),
            reason=captured.reason,
        )

    def recall(self, request: m.RecallRequest, cancelled: Cancelled) -> m.RecallResponse:
        if not request.query:
            raise invalid("query: it is empty.", "query")
        started = time.perf_counter()
        blank = not request.query.strip()
        memories, not_reranked = ([], None) if blank else self.searching.recall(request, cancelled)
        return m.RecallResponse(
            memories=memories,
            took_ms=round((time.perf_counter() - started) * 1000, 3),
            degraded=self._degraded() or not_reranked,
        )

    def complete(self, request: m.CompleteRequest, cancelled: Cancelled) -> m.CompleteResponse:
        questions, blocks = self.searching.complete(request, cancelled)
        return m.CompleteResponse(questions=questions, code_blocks=blocks, degraded=self._degraded())

    def enrich_prompt(self, request: m.EnrichPromptRequest, cancelled: Cancelled) -> m.EnrichPromptResponse:
        if not request.prompt:
            raise invalid("prompt: it is empty.", "prompt")
        enriched = self.enriching.enrich(request, cancelled)
        return m.EnrichPromptResponse(
            prompt=enriched.text,
            memories=[m.PackedMemory(id=packed.row.id, tokens=packed.tokens) for packed in enriched.packed],
            tokens=enriched.tokens,
            degraded=self._degraded() or self.enriching.problem,
        )

    def memory(self, request: m.MemoryRequest, cancelled: Cancelled) -> m.Memory:
        row = self.store.get(request.id)
        if row is None:
            raise EngineError("not_found", f"There is no memory {request.id!r}.", "id")
        return msgspec.structs.replace(as_memory(row), used=times_accepted(self.store.database, row.id))

    def forget(self, request: m.ForgetRequest, cancelled: Cancelled) -> m.ForgetResponse:
        ids = list(request.ids or [])
        if request.filter is not None:
            scope = _scope(request.filter)
            if not scope and not request.filter.all:
                raise invalid("filter: it names nothing; set `all` to forget everything.", "filter")
            ids += self.store.ids(scope)
        elif request.ids is None:
            raise invalid("ids: give ids or a filter.", "ids")
        found = self.store.count_versions(ids)
        if request.dry_run or not found:
            return m.ForgetResponse(forgotten=found)
        self.indexing.expect_forgetting()
        rows = self.store.forget(ids)
        self.indexing.forget(rows)
        self.facts.work.wake()  # what the forgotten had superseded holds again, or is compared anew
        return self.learning.forgotten(len(rows))

    def doctor(self, request: m.DoctorRequest, cancelled: Cancelled) -> m.DoctorResponse:
        findings = examine(self.store, self.indexing, self.embedders, self.rerankers, request)
        return m.DoctorResponse(findings=findings)

    def status(self, request: m.Empty, cancelled: Cancelled) -> m.StatusResponse:
        return observe(
            self.home,
            self.store,
            self.indexing,
            self.embedders,
            self.rerankers,
            self.jobs_queue.list(),
            self._degraded() or self.rerankers.degraded(),
            self.language_models,
            self.learning.waiting(),
        )

    def ask(self, request: mm.AskRequest, cancelled: Cancelled) -> Iterator[mm.AskEvent]:
        yield from self.asking.ask(request, cancelled)

    def infill(self, request: mm.InfillRequest, cancelled: Cancelled) -> mm.InfillResponse:
        return self.infilling.infill(request, cancelled)

    def accepted(self, request: mm.AcceptedRequest, cancelled: Cancelled) -> mm.AcceptedResponse:
        return mm.AcceptedResponse(counted=note_accepted(self.store.database, request.memories, request.kind))

    def models(self, request: mm.ModelsRequest, cancelled: Cancelled) -> mm.ModelsResponse:
        return self.language_models.answer(request, cancelled)

    # Background work

    def _wake(self) -> None:
        """Something was stored."""
        self.indexing.wake()
        self.facts.work.wake()

    def _is_found(self) -> bool:
        return self.indexing.lexical.revision >= self.store.revision()

    def _degraded(self) -> str | None:
        if self.indexing.trouble is not None:
            return f"indexing pauses: {self.indexing.trouble}"
        if self.indexing.is_building():
            return "an index is being built: older memories may be missing"
        return self.embedders.degraded()


def open_service(home: Home) -> Service:
    """Open the memory of this data directory and start its background work. Raises EngineError in words."""
    home.create()
    try:
        service = Service(home, Store.open(home.database), load_settings(home.settings))
    except (SettingsError, StoreError, IndexWriteError) as error:
        raise EngineError("unavailable", str(error)) from error
    service.start()
    return service


def _in_words(method: Callable[[Any, Cancelled], m.Response]) -> Handler:
    @functools.wraps(method)
    def handler(request: Any, cancelled: Cancelled) -> m.Response:
        with _errors_in_words():
            return method(request, cancelled)

    return handler


def _parts_in_words(method: Callable[[Any, Cancelled], Iterator[m.Event]]) -> StreamHandler:
    @functools.wraps(method)
    def handler(request: Any, cancelled: Cancelled) -> Iterator[m.Event]:
        with _errors_in_words():
            yield from method(request, cancelled)

    return handler


@contextmanager
def _errors_in_words() -> Generator[None]:
    try:
        yield
    except (StoreError, IndexReadError, IndexWriteError) as error:
        raise EngineError("unavailable", str(error)) from error
    except sqlite3.DatabaseError as error:  # met while reading; what is written comes as StoreError
        raise EngineError("unavailable", f"The database cannot be read ({error}).") from error
    except SearchCancelled as error:
        raise EngineError("cancelled", "The request was cancelled.") from error


def _scope(chosen: m.MemoryFilter) -> Scope:
    return Scope(
        workspace=chosen.workspace,
        tool=chosen.tool,
        conversation_id=chosen.conversation_id,
        since=moment(chosen.since, "since"),
        until=moment(chosen.until, "until"),
        tag=chosen.tag,
    )


def _never() -> bool:
    return False
