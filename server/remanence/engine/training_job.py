"""The job of a training run: trained in its own process, evaluated, judged, registered, activated."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from remanence.engine import messages as m
from remanence.engine.fact_models import FactModel
from remanence.engine.jobs import Control, JobCancelled
from remanence.engine.language_models import LanguageModels
from remanence.engine.learning_material import Enrich, operations_asked, questions_about
from remanence.engine.paraphrasing import paraphrase
from remanence.engine.training_plan import read_recipe, recipe_text
from remanence.engine.verbs import EngineError
from remanence.memory.database import Database, StoreError
from remanence.memory.fact_store import FactStore
from remanence.memory.timestamps import now_ms
from remanence.training.adapters import Adapter, AdapterError, AdapterRegistry
from remanence.training.base_hash import base_hash
from remanence.training.base_model import BaseModelError
from remanence.training.dataset import read_manifest
from remanence.training.gate import judge
from remanence.training.measuring import compare
from remanence.training.recipe import Recipe
from remanence.training.report import Report, write_report
from remanence.training.run_folder import Progress, RunFolder
from remanence.training.training_process import TrainingEnded, follow

DATASET = "dataset"  # within a run's folder

_TRAINED_SHARE = 0.85  # of the progress that is shown; the rest is the evaluation


class TrainingTask(m.Request, frozen=True, kw_only=True):
    """What a training job has to do; the rest stands in the folder of its run. `adapter` names both."""

    adapter: str
    base_hash: str
    parent: str | None = None
    auto: bool = True


class TrainingJob:
    """`changed` is called after an adapter was put on, and gives what models say that cannot take it. What
    its methods raise is in words."""

    def __init__(
        self,
        database: Database,
        registry: AdapterRegistry,
        runs: Path,
        enrich: Enrich,
        changed: Callable[[], list[str]],
        language_models: LanguageModels,
        writer: str,
    ) -> None:
        """`writer` is the language model that writes paraphrases, empty for none."""
        self._database = database
        self._facts = FactStore(database)
        self._registry = registry
        self._runs = runs
        self._enrich = enrich
        self._changed = changed
        self._language_models = language_models
        self._writer = writer

    def run(self, control: Control, task: TrainingTask) -> None:
        """Train, or go on where it was. A run that was cancelled or failed leaves only its log."""
        folder = RunFolder(self._runs / task.adapter)
        try:
            self._paraphrase(control, folder)
            self._train(control, folder)
            self._finish(control, folder, task)
        except JobCancelled:
            if control.cancel_requested.is_set():
                clear(folder.path)
            raise
        except Exception:
            clear(folder.path)
            raise

    def evaluate(self, control: Control, adapter: str, start: float = 0.0) -> None:
        """Ask an adapter again, about what holds now; `start` is the progress that is shown before that."""
        found = self._registry.get(adapter)
        report = self._evaluated(control, found, read_recipe(found.recipe), start)
        self._registry.report(adapter, report)
        write_report(report, self._registry.folder(adapter))
        _tell(control, report, "evaluated")

    def _paraphrase(self, control: Control, folder: RunFolder) -> None:
        most = folder.read_run().recipe.train.paraphrases
        manifest = read_manifest(folder.path / DATASET)
        if not most or not self._writer or manifest.purpose != "facts" or folder.process() is not None:
            return
        residency = self._language_models.residency
        paraphrase(
            control,
            folder.path / DATASET,
            self._facts.get_all(manifest.facts),
            FactModel(self._writer, residency),
            most,
            lambda: residency().unload(self._writer),
        )

    def _train(self, control: Control, folder: RunFolder) -> None:
        reached = -1

        def report(progress: Progress) -> None:
            nonlocal reached
            if control.cancel_requested.is_set():
                if progress.state in ("starting", "waiting") and (process := folder.process()) is not None:
                    process.kill()  # it has done nothing yet that is worth a checkpoint
                return
            control.figures.update(_figures(progress, control))
            share = progress.step / progress.steps if progress.steps else 0.0
            try:
                if progress.stage != reached and progress.step:  # an engine that ends now ends one that moves
                    with self._database.transaction() as connection:
                        control.reached(connection, f"stage {progress.stage}")
                    reached = progress.stage
                control.report(_TRAINED_SHARE * share, in_words(progress))
            except StoreError:
                return  # the disk is full: the run waits for room by itself, and says so
            except JobCancelled:
                if not control.cancel_requested.is_set():
                    raise  # the engine ends, and the run goes on

        try:
            last = follow(folder, report, control.cancel_requested.is_set)
        except TrainingEnded as ended:
            raise JobCancelled from ended
        control.figures.update(_figures(last, control))

    def _finish(self, control: Control, folder: RunFolder, task: TrainingTask) -> None:
        run, manifest = folder.read_run(), read_manifest(folder.path / DATASET)
        learned = [*manifest.facts, *manifest.known]
        adapter = Adapter(
            id=task.adapter,
            base=run.base,
            base_hash=task.base_hash,
            recipe_name=run.recipe.name,
            recipe=recipe_text(run.recipe),
            manifest=manifest,
            report=None,
            parent=task.parent,
            state="trained",
            created_at=now_ms(),
        )
        facts = self._facts.get_all(learned)
        if len(facts) < len(learned):
            raise EngineError("unavailable", FORGOTTEN_MEANWHILE)
        self._registry.add(adapter, facts, folder.adapter)
        report = self._evaluated(control, adapter, run.recipe, _TRAINED_SHARE, files=folder.adapter)
        self._registry.report(adapter.id, report)
        write_report(report, self._registry.folder(adapter.id))
        done = "kept, and not activated"
        if report.verdict.passed and task.auto:
            try:
                self._registry.activate(adapter.id, base_hash(Path(run.base)))
                done = "activated"
                for trouble in self._changed():
                    control.note(trouble)
            except (AdapterError, BaseModelError) as error:
                control.note(str(error))
        shutil.rmtree(folder.path, ignore_errors=True)
        _tell(control, report, done)

    def _evaluated(
        self,
        control: Control,
        adapter: Adapter,
        recipe: Recipe,
        start: float,
        files: Path | None = None,
    ) -> Report:
        control.report(start, "evaluating: recalling what is known")
        began = now_ms()
        cancelled = control.cancel_requested.is_set
        if adapter.purpose == "operations":
            questions, rounds = operations_asked(self._facts, adapter, recipe), 2
        else:
            questions = questions_about(self._facts, adapter.learned, recipe, self._enrich, cancelled)
            rounds = 4
        comparison = compare(
            Path(adapter.base),
            files or self._registry.folder(adapter.id),
            questions,
            threads=recipe.care.threads,
            bits=recipe.base.bits,
            asked=lambda share: control.report(
                start + (1 - start) * share, f"evaluating: {share:.0%} of {rounds * len(questions)} questions"
            ),
        )
        return Report(
            adapter=adapter.id,
            base=adapter.base,
            recipe=recipe.name,
            created_at=now_ms(),
            asked=len(questions),
            seconds=(now_ms() - began) / 1000,
            comparison=comparison,
            verdict=judge(comparison, recipe.gate, adapter.purpose),
        )


FORGOTTEN_MEANWHILE = (
    "Something that this run learned was forgotten or changed meanwhile: its adapter was not kept. Train"
    " again."
)


def clear(run: Path) -> None:
    """Remove what a run wrote, memories in its dataset among it; its log says why it ended and stays."""
    for path in run.iterdir() if run.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink(missing_ok=True)


def read_task(request: str) -> TrainingTask:
    """Raises msgspec.DecodeError where it is another version's."""
    return msgspec.json.decode(request.encode(), type=TrainingTask)


def in_words(progress: Progress) -> str:
    """How far a run is, as a line."""
    if progress.state == "waiting":
        return progress.message
    if progress.state == "starting" or not progress.step:
        return "training: loading the model"
    stage = f"stage {progress.stage} of {progress.stages}, " if progress.stages > 1 else ""
    loss = f", loss {progress.loss:.3f}" if progress.loss is not None else ""
    left = progress.seconds / progress.step * (progress.steps - progress.step)
    time = f"{left:.0f} s" if left < 100 else f"{left / 60:.0f} min"
    return f"training: {stage}step {progress.step} of {progress.steps}{loss}, about {time} left"


def _figures(progress: Progress, control: Control) -> dict[str, int]:
    """What to add to the job's figures, which count."""
    now = {
        "step": progress.step,
        "steps": progress.steps,
        "seconds": round(progress.seconds),
        "peak_mb": round(progress.peak_mb),
    }
    return {name: value - control.figures[name] for name, value in now.items()}


def _tell(control: Control, report: Report, done: str) -> None:
    for reason in report.verdict.reasons:
        control.note(reason)
    said = "passed" if report.verdict.passed else "did not pass"
    control.report(1.0, f"adapter {report.adapter} {said} its evaluation: {done}")
