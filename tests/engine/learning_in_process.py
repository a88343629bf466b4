"""A service whose engine can train the tiny model: what it is asked with, and adapters it did not train."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service_in_process import never

import tiny_llama
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine import model_messages as mm
from remanence.engine.service import Service
from remanence.memory.fact import Fact
from remanence.memory.fact_rules import RULES_VERSION, draft_facts
from remanence.memory.fact_store import FactStore
from remanence.paths import Home
from remanence.training.adapters import Adapter
from remanence.training.base_hash import base_hash
from remanence.training.dataset import Manifest

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


def set_models(home: Home, more: str = "") -> None:
    """Name the tiny model in the settings, as a folder and as GGUF files of it; `more` stands before."""
    folder, gguf = json.dumps(str(tiny_llama.folder())), json.dumps(str(tiny_llama.gguf("F16")))
    home.settings.write_text(
        f'{more}[language_models]\nuse = "tiny"\n'
        f"[language_models.models.tiny]\npath = {folder}\nthreads = 1\n"
        f"[language_models.models.file]\npath = {gguf}\nbase = {folder}\nthreads = 1\n"
        f'[language_models.models.old]\npath = {gguf}\nbase = {folder}\nbackend = "ctransformers"\n',
        encoding="utf-8",
    )


def recipe(service: Service, epochs: int) -> str:
    """A recipe of so many epochs, as a file."""
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


def manifest_of(learned: Sequence[Fact], base: Path) -> Manifest:
    """That of a run which taught a base these facts, and of which nothing else is told."""
    return Manifest(
        created_at=0,
        base=str(base),
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


def have_adapter(
    service: Service,
    name: str,
    facts: Sequence[tiny_llama.Fact] = FACTS,
    parent: str | None = None,
    files: Path | None = None,
) -> None:
    """The adapter of `tiny_llama`, as if a run here had made it of these facts."""
    current = {fact.subject: fact for fact in FactStore(service.store.database).current()}
    learned = [current[fact.service] for fact in facts]
    manifest = manifest_of(learned, tiny_llama.folder())
    made = Adapter(
        id=name,
        base=str(tiny_llama.folder()),
        base_hash=base_hash(tiny_llama.folder()),
        recipe_name="test",
        recipe='{"name": "test", "gate": {"least_learned": 0.3, "most_invented": 1.0},'
        ' "care": {"threads": 1}}',
        manifest=manifest,
        report=None,
        parent=parent,
        state="trained",
        created_at=1,
    )
    service.learning.registry.add(made, learned, files or tiny_llama.adapter())


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")
