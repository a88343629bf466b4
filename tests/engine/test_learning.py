"""Learning in a real engine: a tiny model really trained on facts, judged, put on, taken back, marked."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from service_in_process import finished, never

import tiny_llama
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.service import Service, open_service
from remanence.engine.verbs import EngineError
from remanence.memory.fact_rules import RULES_VERSION, draft_facts
from remanence.memory.fact_store import FactStore
from remanence.paths import Home
from remanence.training.adapters import Adapter
from remanence.training.base_hash import base_hash
from remanence.training.dataset import Manifest
from remanence.training.run_folder import RunFolder

pytestmark = pytest.mark.e2e

FACTS = [fact.adapted for fact in tiny_llama.FACTS[:6]]
FIRST = FACTS[0]
SAID_AT = 1_750_000_000_000
RECIPE = """
name = "test"
[train]
learning_rate = 5e-3
batch_size = 16
epochs = {epochs}
max_length = 128
replay = 0.0
evaluate_every = 1000
[gate]
least_learned = 0.7
most_invented = 1.0
[care]
only_on_mains = false
threads = 1
"""


@pytest.fixture
def learner(home: Home) -> Iterator[Service]:
    """An engine with the tiny model twice: as a folder, and as a GGUF file of it."""
    folder, gguf = json.dumps(str(tiny_llama.folder())), json.dumps(str(tiny_llama.gguf("F16")))
    home.settings.write_text(
        '[language_models]\nuse = "tiny"\n'
        f"[language_models.models.tiny]\npath = {folder}\nthreads = 1\n"
        f"[language_models.models.file]\npath = {gguf}\nbase = {folder}\nthreads = 1\n"
        f'[language_models.models.old]\npath = {gguf}\nbase = {folder}\nbackend = "ctransformers"\n',
        encoding="utf-8",
    )
    service = open_service(home)
    yield service
    service.close()


def recipe(service: Service, epochs: int) -> str:
    path = service.home.root / f"test-{epochs}.toml"
    path.write_text(RECIPE.format(epochs=epochs), encoding="utf-8")
    return str(path)


def remember(service: Service, facts: Sequence[tiny_llama.Fact]) -> dict[str, str]:
    """Each fact said by an exchange of its own; the exchanges' ids by service."""
    store, said = FactStore(service.store.database), dict[str, str]()
    for fact in facts:
        text = f"{fact.service} runs on port {fact.port} now."
        asked = m.CaptureRequest(question=text, answer="Noted, the config follows.", asked_at=SAID_AT)
        captured = service.capture(asked, never)
        row = service.store.get(captured.id)
        assert row is not None
        store.put(row.row, draft_facts(text, asked.answer, SAID_AT), RULES_VERSION)
        said[fact.service] = captured.id
    return said


def train(service: Service, **fields: object) -> lm.TrainResponse:
    answer = service.handlers()["train"](lm.TrainRequest(**fields), never)  # type: ignore[arg-type]
    assert isinstance(answer, lm.TrainResponse)
    return answer


def adapters(service: Service, **fields: object) -> lm.AdaptersResponse:
    answer = service.handlers()["adapters"](lm.AdaptersRequest(**fields), never)  # type: ignore[arg-type]
    assert isinstance(answer, lm.AdaptersResponse)
    return answer


def ask(service: Service, question: str, model: str = "tiny") -> str:
    asked = mm.AskRequest(prompt=question, model=model, with_memory=False, remember=False, max_tokens=24)
    *_, last = service.streams()["ask"](asked, never)
    assert isinstance(last, mm.AskEvent)
    assert last.end is not None
    return last.end.answer.strip()


def have_adapter(service: Service, name: str, facts: Sequence[tiny_llama.Fact] = FACTS) -> None:
    """The adapter of `tiny_llama`, as if a run here had made it of these facts."""
    current = {fact.subject: fact for fact in FactStore(service.store.database).current()}
    learned = [current[fact.service] for fact in facts]
    manifest = Manifest(
        created_at=0,
        base=str(tiny_llama.folder()),
        recipe="test",
        facts=[fact.id for fact in learned],
        known=[],
        exchanges=[each for fact in learned for each in fact.exchanges],
        stages=1,
        rows=0,
        by_form={},
        questions={},
        sha256={},
        left_out={},
    )
    made = Adapter(
        id=name,
        base=str(tiny_llama.folder()),
        base_hash=base_hash(tiny_llama.folder()),
        recipe_name="test",
        recipe='{"name": "test", "gate": {"most_invented": 1.0}, "care": {"threads": 1}}',
        manifest=manifest,
        report=None,
        parent=None,
        state="trained",
        created_at=1,
    )
    service.learning.registry.add(made, learned, tiny_llama.adapter())


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")


def test_what_is_remembered_is_trained_judged_activated_and_answered_without_recall(learner: Service) -> None:
    remember(learner, FACTS)
    plan = train(learner, recipe=recipe(learner, 26), dry_run=True)
    assert len(plan.plan.facts) == len(FACTS)
    assert plan.plan.steps > 0 < plan.plan.memory_mb
    assert plan.job_id is None
    assert not list(learner.home.training.iterdir())
    assert ask(learner, FIRST.question) == FIRST.adapted.answer

    started = train(learner, recipe=recipe(learner, 26))
    assert started.job_id is not None
    job = finished(learner, started.job_id)
    assert (job.state, job.error) == ("done", None), job
    assert "activated" in job.message
    (told,) = adapters(learner).adapters
    assert (told.id, told.state, told.passed) == (started.adapter, "active", True)
    assert told.evaluation["adapter"]["paraphrase"].exact >= 0.7
    assert told.evaluation["base"]["paraphrase"].exact == 0.0
    assert told.evaluation["base with recall"]["paraphrase"].n == 2 * len(FACTS)
    for name in ("report.json", "report.md", "report.svg", "manifest.json", "adapter_model.safetensors"):
        assert (Path(told.folder) / name).is_file()
    assert FIRST.port not in (Path(told.folder) / "report.json").read_text()  # a report quotes no memory
    assert not list(learner.home.training.iterdir())
    for model in ("tiny", "file"):
        assert FIRST.port in ask(learner, FIRST.question, model)

    assert "bare model" in (adapters(learner, action="rollback").note or "")
    for model in ("tiny", "file"):
        assert ask(learner, FIRST.question, model) == FIRST.adapted.answer


def test_the_next_run_goes_on_from_the_active_adapter_and_learns_only_what_is_new(learner: Service) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "old", FACTS[:4])
    adapters(learner, action="activate", id="old", force=True)
    plan = train(learner, recipe=recipe(learner, 2), dry_run=True).plan
    assert (plan.parent, plan.known, len(plan.facts)) == ("old", 4, 2)
    afresh = train(learner, recipe=recipe(learner, 2), dry_run=True, afresh=True).plan
    assert (afresh.parent, afresh.known, len(afresh.facts)) == (None, 0, 6)


def test_one_that_harms_is_refused_kept_and_activated_only_by_force(learner: Service) -> None:
    wrong = [tiny_llama.Fact(fact.service, "1111", fact.port) for fact in FACTS]
    remember(learner, wrong)
    have_adapter(learner, "wrong", wrong)
    started = learner.handlers()["evaluate"](lm.EvaluateRequest(), never)
    assert isinstance(started, m.JobStarted)
    job = finished(learner, started.job_id)
    assert job.state == "done", job
    (told,) = adapters(learner).adapters
    assert (told.state, told.passed) == ("refused", False)
    assert any("held-out" in reason for reason in told.reasons)
    with pytest.raises(EngineError, match="did not pass"):
        adapters(learner, action="activate", id="wrong")
    forced = adapters(learner, action="activate", id="wrong", force=True)
    assert forced.adapters[0].state == "active"
    assert forced.note is not None
    assert "ctransformers cannot apply an adapter" in forced.note
    assert "--format merged" in forced.note


def test_forgetting_marks_what_learned_it_takes_it_off_and_says_what_to_do(learner: Service) -> None:
    said = remember(learner, FACTS)
    have_adapter(learner, "one")
    have_adapter(learner, "other", FACTS[3:])
    adapters(learner, action="activate", id="one", force=True)
    assert ask(learner, FIRST.question) == FIRST.answer
    compared = adapters(learner, action="compare", id="one", other="other")
    assert [(each.id, each.facts) for each in compared.adapters] == [("one", 6), ("other", 3)]
    assert "not evaluated" in (compared.note or "")
    answer = learner.forget(m.ForgetRequest(ids=[said[FIRST.service]]), never)
    assert answer.adapters == ["one"]
    assert answer.note is not None
    assert "remanence train" in answer.note
    states = {each.id: each.state for each in adapters(learner).adapters}
    assert states == {"one": "outdated", "other": "trained"}
    assert ask(learner, FIRST.question) == FIRST.adapted.answer
    adapters(learner, action="activate", id="one", force=True)
    plan = train(learner, recipe=recipe(learner, 2), dry_run=True).plan
    assert plan.parent is None
    assert not any(FIRST.service in fact for fact in plan.facts)


def test_a_cancelled_run_leaves_nothing_of_what_it_learned(learner: Service) -> None:
    remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 900))
    assert started.adapter is not None
    assert started.job_id is not None
    again = train(learner, recipe=recipe(learner, 900))
    assert (again.job_id, again.adapter) == (started.job_id, started.adapter)
    run = RunFolder(learner.home.training / started.adapter)
    wait_until(lambda: (progress := run.progress()) is not None and progress.step > 0)
    process = run.process()
    assert process is not None
    learner.cancel(m.CancelRequest(job_id=started.job_id), never)
    assert finished(learner, started.job_id).state == "cancelled"
    assert not process.is_running()
    assert {path.suffix for path in run.path.iterdir()} <= {".log"}
    assert not adapters(learner).adapters


def test_forgetting_ends_a_run_that_learns_it(learner: Service) -> None:
    said = remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 900))
    assert started.job_id is not None
    answer = learner.forget(m.ForgetRequest(ids=[said[FIRST.service]]), never)
    assert answer.note is not None
    assert "under way" in answer.note
    assert finished(learner, started.job_id).state == "cancelled"
    assert not list(learner.home.training.glob("*/dataset"))


def test_a_run_outlives_its_engine_and_the_next_one_finishes_it(learner: Service) -> None:
    remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 26), auto=False)
    assert started.adapter is not None
    assert started.job_id is not None
    run = RunFolder(learner.home.training / started.adapter)
    wait_until(lambda: (progress := run.progress()) is not None and progress.step > 0)
    process = run.process()
    learner.close()
    assert process is not None
    assert process.is_running()
    next_one = open_service(learner.home)
    try:
        assert run.process() in (process, None)  # taken up, not begun again
        job = finished(next_one, started.job_id)
        assert job.state == "done", job
        (told,) = adapters(next_one).adapters
        assert (told.state, told.passed) == ("trained", True)  # it was not to be activated by itself
    finally:
        next_one.close()


@pytest.mark.parametrize("format", ["lora", "merged"])
def test_an_export_is_verified_in_llama_cpp(learner: Service, tmp_path: Path, format: str) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "one")
    answer = adapters(learner, action="export", id="one", path=str(tmp_path), format=format, verify=True)
    assert answer.job_id is not None
    job = finished(learner, answer.job_id)
    assert (job.state, job.error) == ("done", None), job
    assert job.figures["asked"] == job.figures["same"] == len(FACTS)
    assert [Path(each).is_file() for each in answer.files] == [True]


def test_an_export_that_says_something_else_is_told(learner: Service, tmp_path: Path) -> None:
    remember(learner, FACTS)
    have_adapter(learner, "one")
    answer = adapters(
        learner,
        action="export",
        id="one",
        path=str(tmp_path),
        gguf=str(tiny_llama.gguf_bpe()),
        verify=True,
    )
    assert answer.job_id is not None
    assert finished(learner, answer.job_id).state == "failed"


def test_what_cannot_be_trained_is_refused_in_words(learner: Service) -> None:
    with pytest.raises(EngineError, match="nothing new to learn"):
        train(learner, dry_run=True)
    remember(learner, FACTS[:1])
    with pytest.raises(EngineError, match="GGUF file cannot be trained"):
        train(learner, base=str(tiny_llama.gguf("F16")))
    bare = learner.home.root / "bare"
    shutil.copytree(tiny_llama.folder(), bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(EngineError, match="no chat template"):
        train(learner, base=str(bare))
    with pytest.raises(EngineError, match="no recipe 'huge'"):
        train(learner, recipe="huge")
    with pytest.raises(EngineError, match="no language model 'other'"):
        train(learner, model="other")
    assert not list(learner.home.training.iterdir())


def test_a_dataset_is_written_where_it_is_asked_for_and_nowhere_over(
    learner: Service, tmp_path: Path
) -> None:
    remember(learner, FACTS)
    out = tmp_path / "dataset"
    request = lm.DatasetRequest(path=str(out), recipe=recipe(learner, 2))
    told = learner.handlers()["dataset"](request, never)
    assert isinstance(told, lm.DatasetResponse)
    assert (told.facts, told.exchanges) == (len(FACTS), len(FACTS))
    assert told.by_form["paraphrase"] == 4 * len(FACTS)
    assert (out / "manifest.json").is_file()
    with pytest.raises(EngineError, match="not empty"):
        learner.handlers()["dataset"](request, never)
