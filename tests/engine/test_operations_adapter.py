"""An adapter for operations in a real engine: learned from the log, judged, put on, and used.

It is trained once for all of these tests; each goes on from a copy of its home.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from operations_in_process import have_log, recipe, set_reader
from service_in_process import finished, never

import remanence.engine.facts
import tiny_reader
from remanence.engine import fact_messages as fm
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.learning_material import learned_questions, operations_asked
from remanence.engine.service import Service, open_service
from remanence.engine.training_plan import read_recipe
from remanence.engine.verbs import EngineError
from remanence.memory import decisions as deciding
from remanence.memory import fact_extraction
from remanence.memory.fact_store import FactStore
from remanence.models.language_model import ChatMessage, Generation, LoadRequest
from remanence.models.model_client import ModelProcess
from remanence.models.structured import generate_json
from remanence.paths import Home
from remanence.training.verifying import verify
from tiny_reader import SERVICES

pytestmark = pytest.mark.e2e

LATER = "2026-10-0"
ASKED_HELD = 8  # of each kind of question, under a schema


@dataclass(frozen=True)
class Taught:
    """A home in which an adapter was learned from the log and put on, the plan of that, and what the bare
    model had said."""

    home: Home
    plan: lm.TrainPlan
    bare: str


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, embedder_folder: Path) -> Taught:
    home = Home(tmp_path_factory.mktemp("taught") / "home").create()
    (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
    with served(home) as service:
        have_log(service)
        bare = ask(service)
        started = train(service, recipe=recipe(service, 24))
        assert started.job_id is not None
        job = finished(service, started.job_id)
        assert (job.state, job.error) == ("done", None), job
    return Taught(home, started.plan, bare)


@pytest.fixture
def reader(home: Home) -> Iterator[Service]:
    """A service with the tiny reader as its model."""
    with served(home) as service:
        yield service


@contextmanager
def served(home: Home, more: str = "", use: str = "tiny") -> Generator[Service]:
    set_reader(home, more, use)
    service = open_service(home)
    try:
        yield service
    finally:
        service.close()


def copied(home: Home, folder: Path) -> Home:
    shutil.copytree(home.root, folder / "home", symlinks=True)
    return Home(folder / "home")


def train(service: Service, **fields: object) -> lm.TrainResponse:
    request = lm.TrainRequest(purpose="operations", **fields)  # type: ignore[arg-type]
    answer = service.handlers()["train"](request, never)
    assert isinstance(answer, lm.TrainResponse)
    return answer


def adapters(service: Service, **fields: object) -> lm.AdaptersResponse:
    answer = service.handlers()["adapters"](lm.AdaptersRequest(**fields), never)  # type: ignore[arg-type]
    assert isinstance(answer, lm.AdaptersResponse)
    return answer


def capture(service: Service, text: str, day: int) -> str:
    asked = m.CaptureRequest(question=text, answer="Good to know.", asked_at=f"{LATER}{day}")
    return service.capture(asked, never).id


def facts_of(service: Service, exchange: str) -> list[fm.FactItem]:
    request = fm.FactsRequest(state="all", exchange=exchange)
    return service.facts.facts(request, never).facts


def decisions(service: Service) -> list[fm.DecisionItem]:
    return service.facts.decisions(fm.DecisionsRequest(), never).decisions


def ask(service: Service) -> str:
    asked = mm.AskRequest(prompt="Hm.", with_memory=False, remember=False, max_tokens=12)
    *_, last = service.streams()["ask"](asked, never)
    assert isinstance(last, mm.AskEvent)
    assert last.end is not None
    return last.end.answer


def until(happens: Callable[[], object]) -> None:
    for _ in range(1200):
        if happens():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")


def test_what_was_decided_is_learned_judged_by_the_shipped_gate_and_activated(
    taught: Taught, tmp_path: Path
) -> None:
    assert taught.plan.purpose == "operations"
    assert {"update, rules", "ignore, model", "ignore, corrected"} <= taught.plan.by_origin.keys()
    with served(copied(taught.home, tmp_path)) as service:
        (told,) = adapters(service).adapters
        assert (told.state, told.purpose, told.passed) == ("active", "operations", True), told.reasons
        before, after = told.evaluation["base"], told.evaluation["adapter"]
        assert before["decision"].valid == before["decision"].decision_f1 == 0.0
        assert after["decision"].valid is not None
        assert after["decision"].valid >= 0.95  # nothing held it to JSON
        assert after["decision"].decision_f1 is not None
        assert after["decision"].decision_f1 >= 0.7
        assert before["extraction"].recall == 0.0
        assert ask(service) == taught.bare  # answers go on without it


@pytest.mark.parametrize("use", ["tiny", "file"])
def test_facts_are_drawn_and_decided_with_it_in_transformers_and_in_llama_cpp(
    taught: Taught, tmp_path: Path, use: str
) -> None:
    with served(copied(taught.home, tmp_path), use=use) as service:
        (told,) = adapters(service).adapters
        bare = ask(service)
        said = [capture(service, f"The backups of {each} are kept in Basel.", 1) for each in SERVICES[:6]]
        said += [capture(service, f"I prefer {each}.", day) for day, each in ((2, "tabs"), (3, "pytest"))]
        consolidation = service.facts.consolidate(fm.ConsolidateRequest(model=True), never)
        job = finished(service, consolidation.job_id)
        assert (job.state, job.error) == ("done", None), job
        origin = f"{use}+{told.id}"
        drawn = [fact for exchange in said for fact in facts_of(service, exchange) if fact.origin == origin]
        assert drawn
        assert {fact.value for fact in drawn} == {"Basel"}
        decided = [each for each in decisions(service) if each.origin == origin]
        assert decided
        assert all(each.state == "done" for each in decided)
        assert ask(service) == bare
        assert (Path(told.folder) / "adapter.gguf").is_file() == (use == "file")


def test_in_llama_cpp_every_answer_under_the_schema_is_valid_at_once(taught: Taught, tmp_path: Path) -> None:
    with served(copied(taught.home, tmp_path), use="file") as service:
        assert ask(service)
        (adapter,) = service.learning.registry.list()
        folder = service.learning.served.for_operations(service.settings.language_models)
        facts = FactStore(service.store.database)
        asked = operations_asked(facts, adapter, read_recipe(adapter.recipe))
    assert folder is not None
    process = ModelProcess("llama_cpp")
    try:
        process.load(LoadRequest(path=str(tiny_reader.gguf()), adapter=folder, threads=1))
        for kind, schema in (("decision", deciding.SCHEMA), ("extraction", fact_extraction.SCHEMA)):
            questions = [each for each in asked if each.kind == kind][:ASKED_HELD]
            assert len(questions) == ASKED_HELD
            for each in questions:
                told = (ChatMessage("system", each.system or ""), ChatMessage("user", each.question))
                wanted = Generation(messages=told, max_tokens=400, json_schema=schema)
                # raises where it is not valid
                assert generate_json(process, wanted, never, attempts=1, knows_schema=True)
    finally:
        process.close()


def test_an_export_is_verified_with_what_an_adapter_for_operations_learned(
    taught: Taught, tmp_path: Path
) -> None:
    with served(copied(taught.home, tmp_path)) as service:
        (adapter,) = service.learning.registry.list()
        facts = FactStore(service.store.database)
        asked = learned_questions(facts, adapter, read_recipe(adapter.recipe))
        assert {each.kind for each in asked} == {"decision", "extraction"}
        answer = adapters(service, action="export", id=adapter.id, path=str(tmp_path), verify=True)
        assert answer.job_id is not None
        job = finished(service, answer.job_id)
        assert (job.state, job.error) == ("done", None), job
        assert job.figures["asked"] == len(asked)
        assert job.figures["same"] >= 0.9 * len(asked)
        folder = service.learning.registry.folder(adapter.id)
    bare = verify(tiny_reader.folder(), folder, asked[::6], gguf=tiny_reader.gguf(), lora=None, threads=1)
    assert bare.same == 0  # it is the adapter that answers


def test_when_nothing_was_asked_for_a_while_the_adapter_reads(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remanence.engine.facts, "_IDLE_SECONDS", 0.2)
    with served(copied(taught.home, tmp_path), "[facts]\nmodel = true\n") as service:
        (told,) = adapters(service).adapters
        origin = f"tiny+{told.id}"
        later = [capture(service, f"The backups of {each} are kept in Cork.", 5) for each in SERVICES[:6]]
        until(lambda: any(fact.origin == origin for each in later for fact in facts_of(service, each)))


def test_when_nothing_was_asked_for_a_while_the_users_model_reads_and_decides(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remanence.engine.facts, "_IDLE_SECONDS", 0.2)
    with served(home, "[facts]\nmodel = true\n") as service:
        older, newer = (
            capture(service, f"I prefer {each}.", day) for day, each in ((1, "tabs"), (2, "pytest"))
        )
        until(lambda: decisions(service))
        (decided,) = decisions(service)
        assert (decided.origin, decided.state) == ("tiny", "done")  # held to JSON, it decides something
        values = {fact.value for each in (older, newer) for fact in facts_of(service, each)}
        assert values == {"tabs", "pytest"}
        states = [each.state for each in service.language_models.residency().states()]
        assert states.count("loaded") == 1


def test_a_dry_run_says_what_operations_would_be_learned_from_and_leaves_nothing(reader: Service) -> None:
    have_log(reader)
    plan = train(reader, dry_run=True).plan
    assert plan.parent is None
    assert sum(plan.by_origin.values()) >= plan.rows
    assert not list(reader.home.training.iterdir())


def test_without_decisions_there_is_nothing_to_learn_operations_from(reader: Service) -> None:
    with pytest.raises(EngineError, match="nothing was decided about facts yet"):
        train(reader, dry_run=True)
    capture(reader, "Good morning.", 1)
    with pytest.raises(EngineError, match="remanence consolidate"):
        train(reader)
    assert not list(reader.home.training.iterdir())
