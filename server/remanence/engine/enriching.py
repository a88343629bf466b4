"""Prompts with memory as the doors ask for them: what is recalled, how it is counted, what shortens it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from remanence.engine import messages as m
from remanence.engine.foreground import waited_for
from remanence.engine.indexing import Indexing
from remanence.engine.searching import Searching
from remanence.engine.verbs import Cancelled
from remanence.memory.dense import Cancelled as SearchCancelled
from remanence.memory.packing import how_wide
from remanence.memory.prompt import Enriched, enrich
from remanence.memory.token_count import count_tokens
from remanence.settings import EnrichmentSettings

if TYPE_CHECKING:
    from remanence.models.summariser import Summariser

Count = Callable[[str], int]


class Enriching:
    """The verb `enrich_prompt` of one engine, and the enrichment of what it asks models itself."""

    def __init__(self, searching: Searching, indexing: Indexing, settings: EnrichmentSettings) -> None:
        self._searching = searching
        self._indexing = indexing
        self._settings = settings
        self._summariser: Summariser | None = None
        if settings.summariser:
            from remanence.models.summariser import Summariser

            self._summariser = Summariser(settings.summariser)

    def enrich(
        self,
        request: m.EnrichPromptRequest,
        cancelled: Cancelled,
        *,
        count: Count = count_tokens,
        patient: bool | None = None,
    ) -> Enriched:
        """The prompt with the memories that help and fit. `count` counts tokens; who is `patient` waits a
        tenth of a second for the embedder to choose sentences by their meaning (by default: whoever asked in
        so many words)."""
        is_patient = not request.automatic if patient is None else patient
        with waited_for():
            return self._enriched(request, cancelled, count, is_patient)

    def _enriched(
        self, request: m.EnrichPromptRequest, cancelled: Cancelled, count: Count, is_patient: bool
    ) -> Enriched:
        budget = request.token_budget or self._settings.token_budget
        told = frozenset(request.except_ids)
        wide = how_wide(budget, quick=not is_patient)
        deep = wide + min(len(told), wide)
        recalled = self._searching.for_prompt(request, deep, cancelled) if request.prompt.strip() else []
        recalled = [each for each in recalled if each.row.id not in told][:wide]
        if cancelled():
            raise SearchCancelled
        embedder = self._indexing.by_meaning()[1] if is_patient else None
        summariser = self._summariser if is_patient else None
        return enrich(
            request.prompt,
            [each.row for each in recalled],
            budget,
            share=request.share or self._settings.share,
            count=count,
            embed=embedder.encode if embedder is not None else None,
            shorten=summariser.shorten if summariser is not None else None,
            notes=self._searching.notes(recalled),
            quick=not is_patient,
        )

    @property
    def problem(self) -> str | None:
        """Why the summariser does not work, in words; None where it does, or there is none."""
        return self._summariser.problem if self._summariser is not None else None

    def close(self) -> None:
        """End the summariser's process."""
        if self._summariser is not None:
            self._summariser.close()
