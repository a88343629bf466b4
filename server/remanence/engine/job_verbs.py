"""The verbs that start work in the background and look after it: imports, tools that are followed, models."""

from __future__ import annotations

from remanence.engine import messages as m
from remanence.engine.embedding import EmbedderSlot
from remanence.engine.importing import Importer, named, source_states
from remanence.engine.indexing import Indexing
from remanence.engine.jobs import Control, Jobs, Resume, Work
from remanence.engine.parsing import parse_request
from remanence.engine.reranking import RerankerSlot
from remanence.engine.verbs import Cancelled, EngineError
from remanence.memory.progress_records import ProgressRecords


class JobVerbs:
    """The verbs `import_`, `sync`, `sources`, `jobs`, `cancel` and `prepare` of one engine."""

    def __init__(
        self,
        jobs: Jobs,
        records: ProgressRecords,
        importer: Importer,
        indexing: Indexing,
        embedders: EmbedderSlot,
        rerankers: RerankerSlot,
    ) -> None:
        self._jobs = jobs
        self._records = records
        self._importer = importer
        self._indexing = indexing
        self._embedders = embedders
        self._rerankers = rerankers

    def import_(self, request: m.ImportRequest, cancelled: Cancelled) -> m.ImportResponse:
        for _ in self._importer.find(request.source, request.path):
            break  # what leads nowhere is said now, not by a job that fails
        return self._start_import("import", request, self._import_work(request))

    def sync(self, request: m.SyncRequest, cancelled: Cancelled) -> m.ImportResponse:
        for name in request.sources or []:
            self._records.turn_source(named(name).name, True)
        running = self._jobs.find_live("sync")
        if running is not None and not request.sources:  # one that runs began without those just turned on
            return m.ImportResponse(job_id=running.job_id)
        return self._start_import("sync", request, self._importer.sync)

    def sources(self, request: m.SourcesRequest, cancelled: Cancelled) -> m.SourcesResponse:
        for name in (*request.enable, *request.disable):
            named(name)
        for name in request.enable:
            self._records.turn_source(name, True)
        for name in request.disable:
            self._records.turn_source(name, False)
        return m.SourcesResponse(sources=source_states(self._records))

    def jobs(self, request: m.JobsRequest, cancelled: Cancelled) -> m.JobsResponse:
        return m.JobsResponse(jobs=self._jobs.list(request.job_id))

    def cancel(self, request: m.CancelRequest, cancelled: Cancelled) -> m.JobsResponse:
        return m.JobsResponse(jobs=self._jobs.cancel(request.job_id))

    def prepare(self, request: m.PrepareRequest, cancelled: Cancelled) -> m.JobStarted:
        running = self._jobs.find_live("prepare")
        if running is not None:
            return m.JobStarted(job_id=running.job_id)
        self._embedders.preparing = not self._embedders.is_prepared()
        job = self._jobs.start("prepare", _json(request), self._prepare_work(request))
        return m.JobStarted(job_id=job.job_id)

    def take_up(self, others: Resume) -> None:
        """Go on with the jobs that an engine's end interrupted; `others` gives the work of other
        kinds. Raises StoreError."""

        def resumed(kind: str, request: str) -> Work | None:  # each kind can be done twice without harm
            try:
                if kind == "import":
                    return self._import_work(parse_request(request.encode(), m.ImportRequest))
                if kind == "prepare":
                    return self._prepare_work(parse_request(request.encode(), m.PrepareRequest))
                if kind == "sync":
                    return self._importer.sync
                return others(kind, request)
            except EngineError:  # another version's words
                return None

        self._jobs.take_up(resumed)

    def _start_import(self, kind: str, request: m.Request, work: Work) -> m.ImportResponse:
        return m.ImportResponse(job_id=self._jobs.start(kind, _json(request), work).job_id)

    def _import_work(self, request: m.ImportRequest) -> Work:
        return lambda control: self._importer.import_(control, request.source, request.path)

    def _prepare_work(self, request: m.PrepareRequest) -> Work:
        def work(control: Control) -> None:
            with_reranker = self._rerankers.is_missing() or (request.force and self._rerankers.model)
            share = 0.5 if with_reranker else 1.0
            self._embedders.prepare(
                lambda progress, message: control.report(share * progress, message), force=request.force
            )
            self._indexing.wake()
            self._rerankers.prepare(
                lambda progress, message: control.report(0.5 + 0.5 * progress, message), force=request.force
            )

        return work


def _json(request: m.Request) -> str:
    return m.to_json(request).decode()
