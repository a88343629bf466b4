"""The verbs of learning: dataset, train, evaluate, adapters; and what forgetting does to what was learned."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.adapters_verb import AdaptersVerb
from remanence.engine.jobs import Control, Jobs, Work
from remanence.engine.learning_material import Enrich
from remanence.engine.served_adapters import ServedAdapters
from remanence.engine.training_job import DATASET, TrainingJob, TrainingTask, clear, read_task
from remanence.engine.training_plan import Planned, as_plan, plan_dataset, read_recipe
from remanence.engine.verbs import Cancelled, EngineError, invalid
from remanence.memory.database import Database
from remanence.memory.fact_store import FactStore
from remanence.models.language_model import LanguageModelError
from remanence.paths import Home
from remanence.settings import LanguageModelsSettings
from remanence.training.adapters import AdapterError, AdapterRegistry
from remanence.training.base_model import BaseModelError
from remanence.training.dataset import DatasetError, read_manifest, stage_files
from remanence.training.estimate import WeightsError
from remanence.training.recipe import RecipeError
from remanence.training.run_folder import RunFolder, TrainingRun

_LEAST_SAME = 0.9  # of greedy answers: a quantised base decides some near ties otherwise


class Learning:
    """Safe to use from several threads. `changed` is called when another adapter, or none, is on, and gives
    what models say that cannot take it."""

    def __init__(
        self,
        home: Home,
        database: Database,
        settings: LanguageModelsSettings,
        jobs: Jobs,
        *,
        enrich: Enrich,
        changed: Callable[[], list[str]],
    ) -> None:
        self._database = database
        self._settings = settings
        self._jobs = jobs
        self._runs = home.training
        self._facts = FactStore(database)
        self._changed = changed
        self._starting = threading.Lock()
        self.registry = AdapterRegistry(database, home.adapters)
        self.served = ServedAdapters(self.registry)
        self._training = TrainingJob(database, self.registry, self._runs, enrich, changed)
        self._verb = AdaptersVerb(self.registry, self.served, self._facts, settings, changed)

    # The verbs

    def dataset(self, request: lm.DatasetRequest, cancelled: Cancelled) -> lm.DatasetResponse:
        """Write what would be learned."""
        out = Path(request.path).expanduser().absolute()
        if out.is_dir() and any(out.iterdir()):
            raise invalid(f"path: {out} is not empty.", "path")
        with _in_words():
            planned = plan_dataset(request, self._settings, self._facts, self.registry, out)
        told = planned.manifest
        return lm.DatasetResponse(
            path=str(out),
            facts=len(told.facts),
            known=len(told.known),
            exchanges=len(told.exchanges),
            stages=told.stages,
            rows=told.rows,
            by_form=told.by_form,
            questions=told.questions,
            left_out=told.left_out,
        )

    def train(self, request: lm.TrainRequest, cancelled: Cancelled) -> lm.TrainResponse:
        """Plan a run and, unless it is a dry one, start its job. One at a time: asked again meanwhile, the
        one that runs is told."""
        with self._starting, _in_words():
            if not request.dry_run and (running := self._running()) is not None:
                return running
            self.tidy()  # one that was cancelled before its turn came
            adapter = uuid.uuid4().hex[:8]
            run = self._runs / adapter
            run.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                planned = plan_dataset(request, self._settings, self._facts, self.registry, run / DATASET)
                plan = as_plan(planned, run / DATASET)
                if plan.refusal is not None and not request.dry_run:
                    raise EngineError("unavailable", plan.refusal)
                if request.dry_run:
                    shutil.rmtree(run)
                    return lm.TrainResponse(plan=plan)
                self._write_run(planned, plan, run)
            except BaseException:
                shutil.rmtree(run, ignore_errors=True)
                raise
            task = TrainingTask(
                adapter=adapter, base_hash=planned.base_hash, parent=plan.parent, auto=request.auto
            )
            job = self._jobs.start("train", m.to_json(task).decode(), self._train_work(task))
            return lm.TrainResponse(plan=plan, job_id=job.job_id, adapter=adapter)

    def evaluate(self, request: lm.EvaluateRequest, cancelled: Cancelled) -> m.JobStarted:
        """Start the job that asks an adapter again."""
        if self._jobs.find_live("train") is not None:  # both threads of the jobs would be busy for long
            raise EngineError("unavailable", "A training is under way, and evaluates what it makes: wait.")
        with _in_words():
            newest = [each.id for each in self.registry.list()[:1]]
            if not request.id and not newest:
                raise invalid("id: there is no adapter; `remanence train` makes one.", "id")
            adapter = self.registry.get(request.id or newest[0])
        named = lm.EvaluateRequest(id=adapter.id)
        job = self._jobs.start("evaluate", m.to_json(named).decode(), self._evaluate_work(adapter.id))
        return m.JobStarted(job_id=job.job_id)

    def adapters(self, request: lm.AdaptersRequest, cancelled: Cancelled) -> lm.AdaptersResponse:
        """See AdaptersVerb; `verify` starts a job that compares what was exported with PEFT."""
        with _in_words():
            answer = self._verb.answer(request)
            if request.action != "export" or not request.verify:
                return answer
            adapter = self.registry.get(answer.adapters[0].id)
            exported = Path(next(each for each in answer.files if each.endswith(".gguf")))
            merged = request.format == "merged"
            gguf = exported if merged else self._verb.gguf_for(request, adapter)
            lora = None if merged else exported
        job = self._jobs.start("verify", "{}", self._verify_work(adapter.id, gguf, lora))
        return msgspec.structs.replace(answer, job_id=job.job_id)

    # What the engine and other verbs ask of it

    def tidy(self) -> None:
        """End and remove what is left of runs that no job works on: their datasets hold memories."""
        if self._jobs.find_live("train") is not None or not self._runs.is_dir():
            return
        for path in self._runs.iterdir():
            if (process := RunFolder(path).process()) is not None:
                process.kill()
            clear(path)

    def forgotten(self) -> tuple[list[str], str | None]:
        """After memories were forgotten: the adapters that had learned them, now marked and off, and what to
        do about them, in words. A run that learns one of them is ended."""
        marked = self.registry.mark_forgotten()
        if marked:
            self._changed()
        ended = self._end_runs_of_forgotten()
        if not marked and not ended:
            return [], None
        said = ["A training under way was learning what was forgotten, and is ended."] if ended else []
        if marked:
            said.append(
                f"{', '.join(marked)} had learned what was forgotten, and is not used any more:"
                " `remanence train` makes one without it, `remanence adapters delete ID` removes the old one."
            )
        return marked, " ".join(said)

    def resume(self, kind: str, request: str) -> Work | None:
        """The work of a job that an engine's end interrupted."""
        try:
            if kind == "train":
                return self._train_work(read_task(request))
            if kind == "evaluate":
                adapter = msgspec.json.decode(request.encode(), type=lm.EvaluateRequest).id
                return self._evaluate_work(adapter) if adapter else None
        except msgspec.DecodeError:  # another version's words
            return None
        return None

    # Jobs

    def _train_work(self, task: TrainingTask) -> Work:
        def work(control: Control) -> None:
            with _in_words():
                self._training.run(control, task)

        return work

    def _evaluate_work(self, adapter: str) -> Work:
        def work(control: Control) -> None:
            with _in_words():
                self._training.evaluate(control, adapter)

        return work

    def _verify_work(self, name: str, gguf: Path, lora: Path | None) -> Work:
        def work(control: Control) -> None:
            from remanence.training.verifying import verify

            with _in_words():
                adapter = self.registry.get(name)
                control.report(0.1, f"asking {name} with PEFT and in llama.cpp")
                questions = self._verb.learned_questions(adapter)
                threads = read_recipe(adapter.recipe).care.threads
                found = verify(
                    Path(adapter.base),
                    self.registry.folder(name),
                    questions,
                    gguf=gguf,
                    lora=lora,
                    threads=threads,
                    cancelled=control.cancel_requested.is_set,
                )
            control.figures.update({"asked": found.asked, "same": found.same})
            control.report(1.0, f"{found.same} of {found.asked} greedy answers are the same as PEFT's")
            if found.same < _LEAST_SAME * found.asked or not found.asked:
                raise EngineError("unavailable", f"Only {found.same} of {found.asked} answers are PEFT's.")

        return work

    def _running(self) -> lm.TrainResponse | None:
        job = self._jobs.find_live("train")
        if job is None:
            return None
        for plan in sorted(self._runs.glob("*/plan.json")):
            if RunFolder(plan.parent).should_end:
                raise EngineError("unavailable", "The training before is being ended: ask again in a moment.")
            told = msgspec.json.decode(plan.read_bytes(), type=lm.TrainPlan)
            return lm.TrainResponse(plan=told, job_id=job.job_id, adapter=plan.parent.name)
        return None  # it has just ended

    def _write_run(self, planned: Planned, plan: lm.TrainPlan, run: Path) -> None:
        parent = planned.parent
        RunFolder(run).create(
            TrainingRun(
                base=str(planned.base),
                recipe=planned.recipe,
                stages=[str(path) for path in stage_files(run / DATASET)],
                held_out=str(run / DATASET / "held_out.jsonl"),
                parent=str(self.registry.folder(parent.id)) if parent is not None else None,
            )
        )
        (run / "plan.json").write_bytes(m.to_json(plan))

    def _end_runs_of_forgotten(self) -> bool:
        """Whether there was one; a run's dataset holds what it learns in plain text."""
        ended = False
        for path in self._runs.glob(f"*/{DATASET}/manifest.json"):
            exchanges = read_manifest(path.parent).exchanges
            if not self._are_there(exchanges):
                job = self._jobs.find_live("train")
                if job is not None:
                    self._jobs.cancel(job.job_id)
                else:
                    clear(path.parents[1])
                ended = True
        return ended

    def _are_there(self, exchanges: list[str]) -> bool:
        found = self._database.reader().execute(
            "SELECT count(*) FROM exchanges WHERE id IN (SELECT value FROM json_each(?))",
            [msgspec.json.encode(exchanges).decode()],
        )
        return int(found.fetchone()[0]) == len(exchanges)


@contextmanager
def _in_words() -> Generator[None]:
    """What the rooms refuse in words is an EngineError."""
    try:
        yield
    except (
        AdapterError,
        BaseModelError,
        DatasetError,
        LanguageModelError,
        RecipeError,
        WeightsError,
    ) as error:
        raise EngineError("unavailable", str(error)) from error
    except OSError as error:
        raise EngineError(
            "unavailable", f"{error.filename or 'A file'}: {error.strerror or type(error).__name__}."
        ) from error
