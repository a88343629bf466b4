"""A service whose log holds decisions about facts: what an adapter for operations is trained on."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace

from service_in_process import never

import tiny_reader
from remanence.engine import messages as m
from remanence.engine.service import Service
from remanence.memory.decisions import RULES_DECIDED, by_rules
from remanence.memory.fact_rules import RULES_VERSION, draft_facts
from remanence.memory.fact_store import FactStore, Verdict
from remanence.paths import Home
from tiny_reader import PORTS, SERVICES, TASTES, Said

TEACHER = "teacher"  # a model that was asked before
SAID_AT = 1_740_000_000_000
DAY = 86_400_000
RECIPE = """
name = "test"
[train]
learning_rate = 6e-3
batch_size = 8
epochs = {epochs}
max_length = 256
evaluate_every = 100
[curriculum]
facts_per_run = 300
[gate]
least_recall = 0.4
[care]
only_on_mains = false
threads = 1
"""


def set_reader(home: Home, more: str = "", use: str = "tiny") -> None:
    """Name the tiny reader in the settings, as the folder `tiny` and as `file`, the GGUF file of it; `more`
    follows."""
    folder, gguf = json.dumps(str(tiny_reader.folder())), json.dumps(str(tiny_reader.gguf()))
    home.settings.write_text(
        f'[language_models]\nuse = "{use}"\n'
        f"[language_models.models.tiny]\npath = {folder}\nthreads = 1\n"
        f"[language_models.models.file]\npath = {gguf}\nbase = {folder}\nthreads = 1\n"
        f"{more}",
        encoding="utf-8",
    )


def recipe(service: Service, epochs: int) -> str:
    """A recipe of so many epochs, as a file."""
    path = service.home.root / f"operations-{epochs}.toml"
    path.write_text(RECIPE.format(epochs=epochs), encoding="utf-8")
    return str(path)


def have_log(service: Service) -> None:
    """Facts of rules and of a model, and what was decided about them: by rules, by a model, by the user."""
    service.facts.work.close()  # it would read by the rules alone what the teacher reads
    chance, facts = random.Random(5), FactStore(service.store.database)
    days = iter(range(400))
    # two services have each port: so small a model writes no name that it never saw in an answer
    ports = PORTS[:8] * 2
    for service_name, port, later in zip(SERVICES, ports, reversed(ports), strict=False):
        tell(service, tiny_reader.port(chance, service_name, port), next(days))
        if chance.random() < 0.5:
            tell(service, tiny_reader.port(chance, service_name, later), next(days))
    places = (tiny_reader.place(chance, each) for _ in range(5) for each in SERVICES)
    tell_all(service, places, days)
    tell_all(service, (tiny_reader.taste(chance, each) for each in TASTES), days)
    tell_all(service, (tiny_reader.nothing(chance) for _ in range(8)), days)
    tastes = [fact for fact in facts.current() if fact.topic == "preference"]
    tastes.sort(key=lambda fact: fact.age)
    for older, newer in zip(tastes[::2], tastes[1::2], strict=True):
        reason = "both can hold at the same time"
        facts.decide(newer.id, older.id, "ignore", reason, TEACHER)
    taken_back = facts.decisions("done")[-1]
    assert facts.undo(taken_back.id)


def tell_all(service: Service, said: Iterable[Said], days: Iterable[int]) -> None:
    for each, day in zip(said, days, strict=False):
        tell(service, each, day)


def tell(service: Service, said: Said, day: int) -> str:
    """Capture an exchange and draw its facts at once: by the rules, and what they do not see by the teacher;
    the rules then compare. The exchange's id."""
    at = SAID_AT + day * DAY
    request = m.CaptureRequest(question=said.question, answer=said.answer, asked_at=at)
    captured = service.capture(request, never)
    row = service.store.get(captured.id)
    assert row is not None
    facts = FactStore(service.store.database)
    drafts = draft_facts(said.question, said.answer, at)
    if not drafts and said.fact is not None:
        drafts = [replace(said.fact, valid_from=at, origin=TEACHER, confidence=0.7)]
    facts.put(row.row, drafts, f"{RULES_VERSION}+{TEACHER}")
    for draft in drafts:
        fact = facts.get(draft.id)
        assert fact is not None
        verdicts: list[Verdict] = by_rules(fact, facts.rivals(fact))
        facts.settle(verdicts, [fact.id], f"{RULES_DECIDED}+{TEACHER}")
    return captured.id
