"""Whether an exported adapter says in its own runtime what it says with PEFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from remanence.models.language_model import LoadRequest
from remanence.training.evaluation import Question
from remanence.training.measuring import answers

_RUNTIME = "llama_cpp"


@dataclass(frozen=True, slots=True)
class Verified:
    """How many of the greedy answers were the same, word for word. `differing` are the questions' places."""

    asked: int
    differing: tuple[int, ...]

    @property
    def same(self) -> int:
        return self.asked - len(self.differing)


def verify(
    base: Path,
    adapter: Path,
    questions: Sequence[Question],
    *,
    gguf: Path,
    lora: Path | None,
    threads: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Verified:
    """Ask the base with the PEFT adapter, and `gguf` with the exported `lora` (none: it is merged in).

    Raises LanguageModelError in words, also where llama.cpp is not installed.
    """
    with_peft = answers(
        "transformers",
        LoadRequest(path=str(base), adapter=str(adapter), threads=threads),
        questions,
        cancelled,
    )
    exported = answers(
        _RUNTIME,
        LoadRequest(path=str(gguf), adapter=str(lora) if lora is not None else None, threads=threads),
        questions,
        cancelled,
    )
    pairs = zip(with_peft, exported, strict=False)
    return Verified(
        min(len(with_peft), len(exported)),
        tuple(place for place, (one, other) in enumerate(pairs) if one != other),
    )
