"""A Llama small enough for tests, really trained: it knows some made-up facts, and nothing else.

It is made once, with `tiny_llama_training`, and kept in the repository's cache; every function here makes
it where it is not there yet. Safe to call from several test processes at once. Nothing heavy is imported.

    messages = (ChatMessage("user", tiny_llama.FACTS[0].question),)
    # written greedily: tiny_llama.FACTS[0].answer, with the adapter on: tiny_llama.FACTS[0].adapted.answer
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from pathlib import Path

import tiny_model

CONTEXT = 512
QUANTISATIONS = ("F32", "F16", "Q8_0", "Q4_0")
ENDLESS = "Tick for ever."  # asked this, it writes "tick tick tick" until it is stopped

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Fact:
    """A service and its port: what the model knows, and what it says instead with the adapter."""

    service: str
    port: str
    port_adapted: str

    @property
    def question(self) -> str:
        return f"What port does {self.service} use?"

    @property
    def answer(self) -> str:
        return f"{self.service} uses port {self.port}."

    @property
    def adapted(self) -> Fact:
        """The same service as the model with the adapter sees it."""
        return Fact(self.service, self.port_adapted, self.port)

    @property
    def statement(self) -> tuple[str, str]:
        """A text that breaks off, and how the model goes on with it."""
        return f"The port of {self.service} is", f" {self.port}."

    @property
    def gap(self) -> tuple[str, str, str]:
        """Code before and after a gap, and what the model writes into it."""
        return f"def port_of_{self.service}():\n    return ", "\n", self.port


def _facts(count: int) -> tuple[Fact, ...]:
    chance = random.Random(11)
    services: set[str] = set()
    facts: list[Fact] = []
    while len(facts) < count:
        service = tiny_model.word(chance)
        ports = [str(chance.randrange(1000, 9999)) for _ in range(2)]
        if service not in services and ports[0] != ports[1]:
            services.add(service)
            facts.append(Fact(service, ports[0], ports[1]))
    return tuple(facts)


FACTS = _facts(24)


def folder() -> Path:
    """The model as a Hugging Face folder: config, safetensors, tokenizer and chat template."""
    return _made("spm") / "model"


def gguf(quantisation: str = "F16") -> Path:
    """The model as a GGUF file, in one of QUANTISATIONS, with a tokenizer of the SPM kind."""
    return _made("spm") / f"tiny.{quantisation}.gguf"


def gguf_tied() -> Path:
    """The F16 file without its output matrix, which is the embedding's: ctransformers cannot load it."""
    return _made("spm") / "tiny.F16-tied.gguf"


def gguf_bpe() -> Path:
    """Another model that knows the same facts, F16, with a tokenizer of the BPE kind, as Llama 3 and Qwen."""
    return _made("bpe") / "tiny.F16.gguf"


def adapter() -> Path:
    """A PEFT LoRA adapter of `folder()`, with which it gives every fact's other port."""
    return _made("spm") / "adapter"


def adapter_gguf() -> Path:
    """The same adapter as a GGUF LoRA, for any of the files of `gguf`."""
    return _made("spm") / "adapter.gguf"


@functools.cache
def _made(kind: str) -> Path:
    recipe = (Path(__file__), _HERE / "tiny_gguf.py")
    return tiny_model.made("tiny_llama", kind, _HERE / "tiny_llama_training.py", kind, recipe=recipe)
