"""A Llama small enough for tests that can be taught: it does what a real one does before it is.

It knows general instructions and the ports of some services, understands every question that the product asks
about a port, reads the memories before a question where the last of them tells of it, and says so where it
knows nothing. It is made once, with `tiny_learner_training`, in about a minute, and kept in the repository's
cache. Safe to call from several test processes at once.
"""

from __future__ import annotations

import functools
import random
import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import tiny_model
from remanence.training.dataset import read_general

CONTEXT = 1024

_HERE = Path(__file__).parent
_FORMS = ("question_forms.toml", "general_instructions.jsonl")


@dataclass(frozen=True, slots=True)
class Service:
    """A service and its port; `port_before` is the one it moved from."""

    name: str
    port: str
    port_before: str = ""

    @property
    def said(self) -> str:
        """What an exchange says of it."""
        return f"{self.name} moved to port {self.port}." if self.port_before else self.at(self.port)

    @property
    def said_before(self) -> str:
        """What an earlier exchange said."""
        return self.at(self.port_before)

    def at(self, port: str) -> str:
        return f"The port of {self.name} is {port}."

    def asked(self, form: str) -> str:
        return form.replace("{subject}", self.name)

    def moved(self, to: str) -> Service:
        return replace(self, port=to, port_before=self.port)


def _services(count: int) -> tuple[Service, ...]:
    chance = random.Random(5)
    names: dict[str, None] = {}
    while len(names) < count:
        names[tiny_model.word(chance)] = None
    ports = [f"{ten}{one}" for ten in range(1, 10) for one in range(1, 10)]  # each one token
    return tuple(Service(name, chance.choice(ports)) for name in names)


_port = tomllib.loads(
    (resources.files("remanence.training") / "question_forms.toml").read_text(encoding="utf-8")
)["en"]
ASKED: list[str] = _port["port"]["asked"]  # what the product teaches with
DEVELOPED: list[str] = _port["port"]["development"]  # what it asks while it teaches
# what the product never teaches with: its own, which it evaluates with, and one that only the model knows
HELD_OUT: list[str] = [*_port["port"]["held_out"], "Remind me of the port of {subject}?"]
ANSWER: str = _port["port"]["answer"]
UNKNOWN: str = _port["unknown"][0]
# Of the general instructions those that training repeats: a model this small keeps nothing else (without
# replay it forgets nine of ten things, measured), and what it does not know it cannot lose.
GENERAL = [each for number, each in enumerate(read_general()) if number % 4]

_ALL = _services(90)
KNOWN = _ALL[:50]  # it knows their ports
SERVICES = _ALL[50:]  # it knows the words, and nothing of them


def folder() -> Path:
    """The model as a Hugging Face folder: config, safetensors, tokenizer and chat template."""
    return _made() / "model"


def gguf() -> Path:
    """The model as a GGUF file, F16."""
    return _made() / "tiny.F16.gguf"


@functools.cache
def _made() -> Path:
    recipe = [Path(__file__), _HERE / "tiny_gguf.py"]
    recipe += [Path(str(resources.files("remanence.training") / name)) for name in _FORMS]
    return tiny_model.made("tiny_learner", "learner", _HERE / "tiny_learner_training.py", recipe=recipe)
