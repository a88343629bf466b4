"""The verbs of learning: dataset, train, evaluate, adapters, automatic; and what forgetting does to what was
learned."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.adapters_verb import AdaptersVerb
from remanence.engine.automatic_training import AutomaticTraining
from remanence.engine.forgetting import mark_and_tell
from remanence.engine.jobs import Control, Jobs, Work
from remanence.engine.language_models import LanguageModels
from remanence.engine.learning_material import Enrich, learned_questions
from remanence.engine.merging_job import MergeTask, forget_unfinished, read_merge, run_merge
from remanence.engine.served_adapters import ServedAdapters
from remanence.engine.training_job import DATASET, TrainingJob, TrainingTask, clear, read_task
from remanence.engine.training_plan import Planned, as_plan, plan_dataset, read_recipe
from remanence.engine.verbs import Cancelled, EngineError, invalid
from remanence.memory.database import Database
from remanence.memory.fact_store import FactStore
from remanence.models.language_model import LanguageModelError
from remanence.paths import Home
from remanence.settings import LanguageModelsSettings, TrainingSettings
from remanence.training.adapters import AdapterError, AdapterRegistry
from remanence.training.base_model import BaseModelError
from remanence.training.dataset import DatasetError, draw_statistics, read_manifest, stage_files
from remanence.training.estimate import WeightsError
from remanence.training.recipe import RecipeError
from remanence.training.run_folder import RunFolder, TrainingRun

_LEAST_SAME = 0.9  # of greedy answers: a quantised base decides some near ties otherwise


class Learning:
    """Safe to use from several threads. `language_models` are told when another adapter, or none, is on."""

    def __init__(
        self,
        home: Home,
        database: Database,
        settings: LanguageModelsSettings,
        jobs: Jobs,
        training: TrainingSettings,
        *,
        enrich: Enrich,
        language_models: LanguageModels,
    ) -> None:
        self._database = database
        self._settings = settings
        self._jobs = jobs
        self._recipe = training.recipe or None
        self._runs = home.training
        self._facts = FactStore(database)
        self._changed = changed = language_models.change_adapters
        self._starting = threading.Lock()
        self.registry = AdapterRegistry(database, home.adapters)
        self.served = ServedAdapters(self.registry)
        self._training = TrainingJob(
            database, self.registry, self._runs, enrich, changed, language_models, settings.use
        )
        self._verb = AdaptersVerb(self.registry, self.served, settings, changed)
        jobs.when_unbegun("train", self._clear_unbegun)
        self._automatic = AutomaticTraining(database, training, settings, self.registry, jobs)

    # The verbs

    def dataset(self, request: lm.DatasetRequest, cancelled: Cancelled) -> lm.DatasetResponse:
        """Write what would be learned."""
        out = Path(request.path).expanduser().absolute()
        if out.is_dir() and any(out.iterdir()):
            raise invalid(f"path: {out} is not empty.", "path")
        with _in_words():
            told = self._planned(request, out).manifest
            draw_statistics(told, out)
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
            purpose=told.purpose,
            by_origin=told.by_origin,
        )

    def train(self, request: lm.TrainRequest, cancelled: Cancelled) -> lm.TrainResponse:
        """Plan a run and, unless it is a dry one, start its job. One at a time: asked again meanwhile, the
        one that runs is told."""
        with self._starting, _in_words():
            if not request.dry_run and (running := self._running()) is not None:
                return running
            self.tidy()  # one that was cancelled before its turn came, by an engine before this one
            adapter = uuid.uuid4().hex[:8]
            run = self._runs / adapter
            run.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                planned = self._planned(request, run / DATASET)
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
            self._automatic.begun()
            job = self._jobs.start("train", m.to_json(task).decode(), self._train_work(task))
            return lm.TrainResponse(plan=plan, job_id=job.job_id, adapter=adapter)

    def evaluate(self, request: lm.EvaluateRequest, cancelled: Cancelled) -> m.JobStarted:
        """Start the job that asks an adapter again."""
        self._check_no_training()
        with _in_words():
            newest = [each.id for each in self.registry.list()[:1]]
            if not request.id and not newest:
                raise invalid("id: there is no adapter; `remanence train` makes one.", "id")
            adapter = self.registry.get(request.id or newest[0])
        named = lm.EvaluateRequest(id=adapter.id)
        job = self._jobs.start("evaluate", m.to_json(named).decode(), self._evaluate_work(adapter.id))
        return m.JobStarted(job_id=job.job_id)

    def adapters(self, request: lm.AdaptersRequest, cancelled: Cancelled) -> lm.AdaptersResponse:
        """See AdaptersVerb; `verify` starts a job that compares what was exported with PEFT, `merge` one that
        makes an adapter of two."""
        if request.action == "merge":
            return self._merge(request)
        with _in_words():
            if request.action == "delete":
                self._check_unused(request.id)
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

    def automatic(self, request: lm.AutomaticRequest, cancelled: Cancelled) -> lm.AutomaticResponse:
        """See AutomaticTraining. What hinders a run is no error: it is due, and does not begin."""
        try:
            with _in_words():
                if request.answer is not None:
                    return self._automatic.answer(request.answer, self._begin)
                return self._automatic.look(self._begin)
        except EngineError as error:
            if request.answer is not None:
                raise
            return lm.AutomaticResponse(after=self._automatic.after, words=error.message)

    # What the engine and other verbs ask of it

    def waiting(self) -> str | None:
        """That a run would be due, in words, or why none can begin by itself."""
        try:
            with _in_words():
                return self._automatic.in_words()
        except EngineError as error:
            return f"no training begins by itself: {error.message}"

    def tidy(self) -> None:
        """End and remove what is left of runs that no job works on: their datasets hold memories."""
        if self._jobs.find_live("merge") is None:
            forget_unfinished(self.registry.folder(""))
        if self._jobs.find_live("train") is not None or not self._runs.is_dir():
            return
        for path in self._runs.iterdir():
            if (process := RunFolder(path).process()) is not None:
                process.kill()
            clear(path)

    def _clear_unbegun(self, request: str) -> None:
        clear(self._runs / read_task(request).adapter)

    def forgotten(self, count: int) -> m.ForgetResponse:
        """After `count` memories were forgotten: the adapters that had learned them, now marked and off, and
        what to do about them, in words. A run that learns one of them is ended."""
        told = mark_and_tell(self.registry, self._facts, count, self._end_runs_of_forgotten())
        if told.adapters:
            self._changed()
        return told

    def resume(self, kind: str, request: str) -> Work | None:
        """The work of a job that an engine's end interrupted."""
        try:
            if kind == "train":
                return self._train_work(read_task(request))
            if kind == "evaluate":
                adapter = msgspec.json.decode(request.encode(), type=lm.EvaluateRequest).id
                return self._evaluate_work(adapter) if adapter else None
            if kind == "merge":
                return self._merge_work(read_merge(request))
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

    def _merge_work(self, task: MergeTask) -> Work:
        def work(control: Control) -> None:
            with _in_words():
                run_merge(control, task, self.registry, self._training.evaluate)

        return work

    def _verify_work(self, name: str, gguf: Path, lora: Path | None) -> Work:
        def work(control: Control) -> None:
            from remanence.training.verifying import verify

            with _in_words():
                adapter = self.registry.get(name)
                control.report(0.1, f"asking {name} with PEFT and in llama.cpp")
                recipe = read_recipe(adapter.recipe)
                found = verify(
                    Path(adapter.base),
                    self.registry.folder(name),
                    learned_questions(self._facts, adapter, recipe),
                    gguf=gguf,
                    lora=lora,
                    threads=recipe.care.threads,
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
            note = f"A training is under way already: this is that one, job {job.job_id}."
            return lm.TrainResponse(plan=told, job_id=job.job_id, adapter=plan.parent.name, note=note)
        return None  # it has just ended

    def _planned(self, request: lm.LearningRequest, out: Path) -> Planned:
        if request.recipe is None and request.instead_of is None:
            request = msgspec.structs.replace(request, recipe=self._recipe)
        return plan_dataset(request, self._settings, self._facts, self.registry, out)

    def _begin(self) -> str | None:
        self._automatic.begun()  # whatever comes of it
        return self.train(lm.TrainRequest(), lambda: False).job_id

    def _merge(self, request: lm.AdaptersRequest) -> lm.AdaptersResponse:
        self._check_no_training()
        if self._jobs.find_live("merge") is not None:
            raise EngineError("unavailable", "Two adapters are being merged: wait for these.")
        with _in_words():
            task = self._verb.merge_task(request, uuid.uuid4().hex[:8])
        job = self._jobs.start("merge", m.to_json(task).decode(), self._merge_work(task))
        return self._verb.merging(task, job.job_id)

    def _check_no_training(self) -> None:
        if self._jobs.find_live("train") is not None:  # both threads of the jobs would be busy for long
            raise EngineError("unavailable", "A training is under way, and evaluates what it makes: wait.")

    def _check_unused(self, adapter: str | None) -> None:
        """What goes on from an adapter must find what that had learned, to be marked with it."""
        runs = self._runs.glob("*/run.json") if self._jobs.find_live("train") is not None else ()
        parents = [RunFolder(run.parent).read_run().parent for run in runs]
        if self._jobs.find_live("merge") is not None or str(self.registry.folder(adapter or "")) in parents:
            raise EngineError("unavailable", f"{adapter} is being used to make another: wait for that.")

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
