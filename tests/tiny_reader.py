"""A Llama small enough for tests that reads: it says in prose what facts or an exchange say, never as JSON.

Made once, with `tiny_reader_training`, and kept in the repository's cache, as `tiny_llama` is. Of the names
it knows it says the one that it reads, so that an adapter which teaches it JSON has something to write.
Nothing heavy is imported.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tiny_model
from remanence.memory import decisions, fact_extraction
from remanence.memory.fact import USER, Draft, Fact

CONTEXT = 2048

_HERE = Path(__file__).parent
SERVICES = (
    *("billing", "ledger", "gateway", "mailer", "indexer", "scheduler", "catalog", "frontend", "invoices"),
    *("telemetry", "payments", "accounts", "reports", "uploads", "search", "profiles", "alerts", "audit"),
)
PLACES = (
    *("Oslo", "Lyon", "Porto", "Turin", "Ghent", "Basel", "Cork", "Malmo", "Graz", "Nantes", "Bergen"),
    *("Leeds", "Delft", "Split", "Bilbao", "Poznan"),
)
TASTES = (
    *("tabs", "dataclasses", "pytest", "monorepos", "rebasing", "protocols", "generators", "notebooks"),
    *("makefiles", "docstrings", "asserts", "squashing", "fixtures", "enums", "tuples", "linters"),
    *("containers", "snapshots", "branches", "spaces"),
)
PORTS = tuple(str(4000 + 317 * i) for i in range(16))
_REPLIES = ("Noted, the config follows.", "Good to know.", "Fine, I keep that in mind.")


@dataclass(frozen=True, slots=True)
class Said:
    """One exchange and the fact that it says, or none."""

    question: str
    answer: str
    fact: Draft | None


def folder() -> Path:
    """The model as a Hugging Face folder: config, safetensors, tokenizer and chat template."""
    return _made() / "model"


def gguf() -> Path:
    """The model as a GGUF file, F16."""
    return _made() / "tiny.F16.gguf"


def port(chance: random.Random, service: str = "", value: str = "") -> Said:
    """What the rules find too, and of which one value holds at a time."""
    service, value = service or chance.choice(SERVICES), value or chance.choice(PORTS)
    return _said(chance, f"The {service} runs on port {value} now.", service, "port", value, single=True)


def place(chance: random.Random, service: str = "", value: str = "") -> Said:
    """What only a model finds."""
    service, value = service or chance.choice(SERVICES), value or chance.choice(PLACES)
    return _said(chance, f"The backups of {service} are kept in {value}.", service, "other", value)


def taste(chance: random.Random, value: str = "") -> Said:
    """What the rules find too, and of which many hold at once."""
    value = value or chance.choice(TASTES)
    return _said(chance, f"I prefer {value}.", USER, "preference", value)


def nothing(chance: random.Random) -> Said:
    """What says no fact."""
    asked = chance.choice(SERVICES)
    return Said(f"What does {asked} mean?", f"In general {asked} stands for a kind of work.", None)


def exchanges(chance: random.Random) -> Iterator[Said]:
    """Without end, of every kind in turn."""
    while True:
        for kind in (port, place, taste, nothing):
            yield kind(chance)


def as_fact(draft: Draft, said_at: int, exchange: str = "e") -> Fact:
    """The draft as it is stored."""
    return Fact(
        id=draft.id,
        text=draft.text,
        subject=draft.subject,
        topic=draft.topic,
        value=draft.value,
        words=draft.words,
        language=draft.language,
        valid_from=said_at,
        valid_until=None,
        confidence=draft.confidence,
        origin=draft.origin,
        single=draft.single,
        superseded_by=None,
        created_at=said_at,
        exchanges=(exchange,),
        last_said=said_at,
    )


def _said(
    chance: random.Random, text: str, subject: str, topic: str, value: str, *, single: bool = False
) -> Said:
    fact = Draft(text=text, subject=subject, topic=topic, value=value, words=text, single=single)
    return Said(text, chance.choice(_REPLIES), fact)


@functools.cache
def _made() -> Path:
    recipe = (Path(__file__), _HERE / "tiny_gguf.py", decisions.SYSTEM, fact_extraction.SYSTEM)
    return tiny_model.made("tiny_reader", "made", _HERE / "tiny_reader_training.py", recipe=recipe)
