"""The verb `adapters`: list, activate, take off, roll back, compare, merge, export, delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from remanence.engine import learning_messages as lm
from remanence.engine.merging_job import MergeTask
from remanence.engine.served_adapters import ServedAdapters, base_of
from remanence.engine.verbs import invalid
from remanence.settings import LanguageModelsSettings
from remanence.training.adapters import Adapter, AdapterError, AdapterRegistry
from remanence.training.base_hash import base_hash
from remanence.training.base_model import check_folder
from remanence.training.evaluation import Score
from remanence.training.merging import check_mergeable, usual_weights
from remanence.training.report import columns


class AdaptersVerb:
    """`changed` is called after another adapter, or none, is on, and gives what models say that cannot take
    it."""

    def __init__(
        self,
        registry: AdapterRegistry,
        served: ServedAdapters,
        settings: LanguageModelsSettings,
        changed: Callable[[], list[str]],
    ) -> None:
        self._registry = registry
        self._served = served
        self._settings = settings
        self._changed = changed

    def answer(self, request: lm.AdaptersRequest) -> lm.AdaptersResponse:
        """Do what is asked. Raises EngineError naming the field, or what the rooms say in words."""
        match request.action:
            case "list":
                return self._all(None)
            case "compare":
                return self._compared(request)
            case "export":
                return self._exported(request)
            case "rollback":
                return self._rolled_back(request)
            case "activate":
                adapter = self._registry.get(_named(request))
                check_folder(Path(adapter.base))
                self._registry.activate(adapter.id, base_hash(Path(adapter.base)), force=request.force)
                troubles = [*self._troubles(adapter), *self._changed()]
                return self._all(" ".join([f"{adapter.id} is active.", *troubles]))
            case "deactivate":
                self._registry.deactivate(_named(request))
                self._changed()
                return self._all(f"{request.id} is off: the bare model answers.")
            case "delete":
                self._registry.delete(_named(request))
                return self._all(f"{request.id} is deleted.")
            case "merge":
                raise AssertionError("a job does this: see merge_task")

    def merge_task(self, request: lm.AdaptersRequest, made: str) -> MergeTask:
        """What a job has to do to merge two into the adapter `made`. Raises EngineError naming the field, or
        what the rooms say in words."""
        if not request.other:
            raise invalid("other: say which adapter to merge it with.", "other")
        one, other = self._registry.get(_named(request)), self._registry.get(request.other)
        weights = request.weights if request.weights is not None else usual_weights(request.method)
        check_mergeable(one, other, weights)
        check_folder(Path(one.base))
        if base_hash(Path(one.base)) != one.base_hash:
            raise AdapterError(f"{one.id} was trained on another model than the one now in {one.base}.")
        return MergeTask(adapter=made, one=one.id, other=other.id, weights=weights, method=request.method)

    def merging(self, task: MergeTask, job: str) -> lm.AdaptersResponse:
        """What is said when the job begins."""
        two = [self._told(self._registry.get(each)) for each in (task.one, task.other)]
        note = f"They are merged into {task.adapter}, which is evaluated before it may be activated."
        return lm.AdaptersResponse(adapters=two, note=note, job_id=job)

    def gguf_for(self, request: lm.AdaptersRequest, adapter: Adapter) -> Path:
        """The base model as GGUF: as asked, or as the settings have it. Raises EngineError."""
        if request.gguf:
            path = Path(request.gguf).expanduser().absolute()
            if not path.is_file():
                raise invalid(f"gguf: there is no file {path}.", "gguf")
            return path
        for model in self._settings.models.values():
            path = Path(model.path).expanduser()
            if path.is_file() and base_of(model) == Path(adapter.base):
                return path
        raise invalid(f"gguf: give the model of {adapter.base} as a GGUF file.", "gguf")

    def _all(self, note: str | None) -> lm.AdaptersResponse:
        return lm.AdaptersResponse(adapters=[self._told(each) for each in self._registry.list()], note=note)

    def _compared(self, request: lm.AdaptersRequest) -> lm.AdaptersResponse:
        if not request.other:
            raise invalid("other: say which adapter to compare it with.", "other")
        two = [self._registry.get(each) for each in (_named(request), request.other)]
        note = None
        if two[0].base_hash != two[1].base_hash:
            note = "They were trained on different models."
        unasked = [each.id for each in two if each.report is None]
        if unasked:
            note = f"{' and '.join(unasked)} was not evaluated: `remanence evaluate` does it."
        return lm.AdaptersResponse(adapters=[self._told(each) for each in two], note=note)

    def _rolled_back(self, request: lm.AdaptersRequest) -> lm.AdaptersResponse:
        if request.id:
            taken_back = self._registry.get(request.id)
        else:
            active = [each for each in self._registry.list() if each.is_active]
            if len(active) != 1:
                raise invalid("id: say which adapter to take back: none is active, or several are.", "id")
            (taken_back,) = active
        to = self._registry.roll_back(taken_back.base_hash, taken_back.purpose)
        self._changed()
        return self._all(f"{to} is active again." if to else "The bare model answers again.")

    def _exported(self, request: lm.AdaptersRequest) -> lm.AdaptersResponse:
        from remanence.training.lora_weights import ExportError  # with it comes gguf, which few need

        try:
            return self._written(request, self._registry.get(_named(request)))
        except ExportError as error:
            raise AdapterError(str(error)) from error

    def _written(self, request: lm.AdaptersRequest, adapter: Adapter) -> lm.AdaptersResponse:
        from remanence.training.export import modelfile, write_lora, write_merged
        from remanence.training.lora_weights import read_lora

        lora = read_lora(self._registry.folder(adapter.id), Path(adapter.base))
        out = Path(request.path or ".").expanduser().absolute()
        notes: list[str] = []
        match request.format:
            case "lora":
                files = [_file(out, f"{adapter.id}.gguf")]
                write_lora(lora, files[0], adapter.id)
            case "merged":
                files = [_file(out, f"{adapter.id}-merged.gguf")]
                base = self.gguf_for(request, adapter)
                if changed := write_merged(lora, base, files[0]):
                    notes.append(f"{len(changed)} tensors are Q8_0 now: their kind cannot be written again.")
            case "modelfile":
                files = [_file(out, "Modelfile"), _file(out, "Modelfile").with_name(f"{adapter.id}.gguf")]
                write_lora(lora, files[1], adapter.id)
                base = self.gguf_for(request, adapter) if request.gguf else Path(adapter.base)
                files[0].write_text(modelfile(str(base), Path(f"./{files[1].name}")), encoding="utf-8")
        notes.append(f"It is for {adapter.base}, and for no other model.")
        return lm.AdaptersResponse(
            adapters=[self._told(adapter)], note=" ".join(notes), files=[str(each) for each in files]
        )

    def _troubles(self, adapter: Adapter) -> list[str]:
        return [
            f"{name} does without it: {trouble}."
            for name, model in self._settings.models.items()
            if base_of(model) == Path(adapter.base)
            and (trouble := self._served.trouble(model, adapter)) is not None
        ]

    def _told(self, adapter: Adapter) -> lm.AdapterFigures:
        report = adapter.report
        sides = columns(report.comparison) if report is not None else {}
        return lm.AdapterFigures(
            id=adapter.id,
            base=adapter.base,
            recipe=adapter.recipe_name,
            state=adapter.state,
            facts=len(adapter.learned),
            folder=str(self._registry.folder(adapter.id)),
            created_at=adapter.created_at,
            purpose=adapter.purpose,
            parent=adapter.parent,
            merged_with=adapter.merged_with,
            passed=report.verdict.passed if report is not None else None,
            reasons=report.verdict.reasons if report is not None else [],
            evaluation={
                side: {kind: _figures(score) for kind, score in scores.items()}
                for side, scores in sides.items()
            },
        )


def _named(request: lm.AdaptersRequest) -> str:
    if not request.id:
        raise invalid(f"id: say which adapter to {request.action}.", "id")
    return request.id


def _file(out: Path, name: str) -> Path:
    """Where to write: into a folder under this name, or the file that was named."""
    path = out / name if out.is_dir() else out
    if not path.parent.is_dir():
        raise AdapterError(f"There is no folder {path.parent}.")
    return path


def _figures(score: Score) -> lm.ScoreFigures:
    return lm.ScoreFigures(
        n=score.n,
        exact=score.exact,
        low=score.low,
        high=score.high,
        f1=score.f1,
        stale=score.stale,
        valid=score.valid,
        decision_f1=score.decision_f1,
        precision=score.precision,
        recall=score.recall,
    )
