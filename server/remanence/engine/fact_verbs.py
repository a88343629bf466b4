"""The verbs about facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from remanence.engine import fact_messages as fm
from remanence.engine import messages as m
from remanence.engine.asking import NO_MODEL
from remanence.engine.consolidating import consolidate
from remanence.engine.fact_models import FactModel
from remanence.engine.facts import FactReading, FactWork
from remanence.engine.jobs import Jobs, Work
from remanence.engine.parsing import parse_request
from remanence.engine.verbs import Cancelled, EngineError
from remanence.memory.decisions import RULES_DECIDED
from remanence.memory.fact import Fact
from remanence.memory.fact_rules import RULES_VERSION
from remanence.memory.fact_store import FactStore
from remanence.memory.store import Store

if TYPE_CHECKING:
    from remanence.models.residency import Residency

_KIND = "consolidate"


class Facts:
    """The facts of one engine: the verbs `facts`, `decisions` and `consolidate`, and the work behind them."""

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        others_work: Callable[[], bool],
        residency: Callable[[], Residency],
        *,
        model: str,
        adapter: Callable[[], str | None],
        in_background: bool,
    ) -> None:
        """`model` is the language model in use, empty for none, `adapter` gives the folder of the one that
        was trained for this; `in_background`: it draws facts by itself."""
        self._store = store
        self._facts = FactStore(store.database)
        self._jobs = jobs
        self._reading = FactReading(self._facts)
        self._model = FactModel(model, residency, adapter) if model else None
        self.work = FactWork(self._reading, others_work, self._model if in_background else None)

    def facts(self, request: fm.FactsRequest, cancelled: Cancelled) -> fm.FactsResponse:
        return fm.FactsResponse(
            facts=[_item(fact) for fact in self._chosen(request)],
            current=self._facts.count(),
            unread=self._facts.count_unread(RULES_VERSION),
            undecided=self._facts.count_undecided(RULES_DECIDED),
            pending=self._facts.count_pending(),
        )

    def decisions(self, request: fm.DecisionsRequest, cancelled: Cancelled) -> fm.DecisionsResponse:
        facts = self._facts
        if request.undo is not None and not facts.undo(request.undo):
            raise EngineError("not_found", f"There is no decision {request.undo} that is done.", "undo")
        if request.redo is not None and not facts.redo(request.redo):
            raise EngineError("not_found", f"There is no decision {request.redo} to do again.", "redo")
        found = facts.decisions(request.state, request.limit)
        texts = {
            fact.id: fact.text
            for fact in facts.get_all([id for each in found for id in (each.fact, each.older)])
        }
        return fm.DecisionsResponse(
            decisions=[
                fm.DecisionItem(
                    id=each.id,
                    action=each.action,
                    state=each.state,
                    reason=each.reason,
                    origin=each.origin,
                    decided_at=each.decided_at,
                    fact=each.fact,
                    text=texts.get(each.fact, ""),
                    older=each.older,
                    older_text=texts.get(each.older, ""),
                )
                for each in found
            ],
            pending=facts.count_pending(),
        )

    def consolidate(self, request: fm.ConsolidateRequest, cancelled: Cancelled) -> m.JobStarted:
        if request.model and self._model is None:
            raise EngineError("invalid", f"model: {NO_MODEL}.", "model")
        running = self._jobs.find_live(_KIND)
        if running is not None:
            return m.JobStarted(job_id=running.job_id)
        job = self._jobs.start(_KIND, m.to_json(request).decode(), self._work(request))
        return m.JobStarted(job_id=job.job_id)

    def resume(self, kind: str, request: str) -> Work | None:
        """The work of such a job that an engine's end interrupted; None where it is of another kind. Raises
        EngineError for another version's words."""
        if kind != _KIND:
            return None
        return self._work(parse_request(request.encode(), fm.ConsolidateRequest))

    def _work(self, request: fm.ConsolidateRequest) -> Work:
        model = self._model if request.model else None
        return lambda control: consolidate(control, self._reading, model, again=request.again)

    def _chosen(self, request: fm.FactsRequest) -> list[Fact]:
        current = {"current": True, "superseded": False, "all": None}[request.state]
        if request.exchange is not None:
            row = self._store.get(request.exchange)
            if row is None:
                raise EngineError("not_found", f"There is no memory {request.exchange!r}.", "exchange")
            wanted = request.text.casefold()
            return [
                fact
                for fact in self._facts.of_exchanges([row.row]).get(row.row, [])
                if (current is None or fact.is_current == current)
                and wanted in f"{fact.subject} {fact.text}".casefold()
            ][: request.limit]
        if request.text or current is None:
            return self._facts.search(request.text, request.limit, current=current)
        listed = self._facts.current if current else self._facts.superseded
        return listed(request.limit, request.after)


def _item(fact: Fact) -> fm.FactItem:
    return fm.FactItem(
        id=fact.id,
        text=fact.text,
        subject=fact.subject,
        topic=fact.topic,
        value=fact.value,
        words=fact.words,
        language=fact.language,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        confidence=fact.confidence,
        confirmations=fact.confirmations,
        origin=fact.origin,
        superseded_by=fact.superseded_by,
        workspace=fact.workspace or None,
        exchanges=list(fact.exchanges),
    )
