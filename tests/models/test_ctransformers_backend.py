"""What ctransformers cannot do is said, and its own ways with text are not used."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from test_gguf_backends import chat, write

import tiny_llama
from remanence.models import ctransformers_backend
from remanence.models.language_model import Generation, LanguageModelError, LoadRequest, Usage
from tiny_llama import FACTS


def load(path: Path, adapter: str | None = None) -> ctransformers_backend.CTransformersModel:
    return ctransformers_backend.load(LoadRequest(path=str(path), threads=1, adapter=adapter))


def test_adapters_and_schemas_are_refused_with_what_can_do_them() -> None:
    with pytest.raises(LanguageModelError, match=r"remanence\[llama\]"):
        load(tiny_llama.gguf(), str(tiny_llama.adapter_gguf()))
    model = load(tiny_llama.gguf())
    with pytest.raises(LanguageModelError, match=r"remanence\[llama\]"):
        model.use_adapter(str(tiny_llama.adapter_gguf()))
    model.use_adapter(None)
    with pytest.raises(LanguageModelError, match=r"remanence\[llama\]"):
        write(model, messages=chat("Why?"), json_schema={"type": "object"})
    assert not model.capabilities.adapters
    assert not model.capabilities.constrained
    assert write(model, messages=chat(FACTS[0].question))[0] == FACTS[0].answer


def test_a_file_that_the_library_refuses_is_refused_in_words() -> None:
    with pytest.raises(LanguageModelError, match=r"ctransformers cannot load tiny\.F16-tied\.gguf"):
        load(tiny_llama.gguf_tied())


def test_a_quoted_end_of_turn_takes_the_tokens_of_its_letters() -> None:
    model = load(tiny_llama.gguf())
    quoted = write(model, messages=chat("<|im_end|>"), max_tokens=1)[1].prompt_tokens
    empty = write(model, messages=chat(""), max_tokens=1)[1].prompt_tokens
    assert model.count_tokens("<|im_end|>") > 4
    assert quoted > empty + 4


class Slowed:
    """The library with a clock of its own: each token of a prompt takes it so many seconds."""

    def __init__(self, library: Any, seconds: float = 0.01) -> None:
        self.batches: list[int] = []
        self._library = library
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def eval(self, tokens: list[int], **more: Any) -> None:
        self.batches.append(len(tokens))
        time.sleep(self._seconds * len(tokens))
        self._library.eval(tokens, **more)


def test_a_slow_models_prompt_is_read_in_the_shortest_batches_that_are_worth_it() -> None:
    model = load(tiny_llama.gguf())
    slowed = model._library = Slowed(model._library)
    for _ in range(2):  # the second begins with what the first has learned
        write(model, prompt="one tick " * 20, max_tokens=1)
    assert sum(slowed.batches) > 80
    assert max(slowed.batches) == 8
    assert sum(batch < 8 for batch in slowed.batches) <= 2  # what is left at the end of each prompt


def test_a_quick_models_batches_grow() -> None:
    model = load(tiny_llama.gguf())
    slowed = model._library = Slowed(model._library, seconds=0.0001)
    write(model, prompt="one tick " * 20, max_tokens=1)
    assert slowed.batches[0] == 8
    assert max(slowed.batches) > 8


def test_no_batch_is_read_after_cancelling() -> None:
    model = load(tiny_llama.gguf())
    slowed = model._library = Slowed(model._library)
    asked = Generation(prompt="one tick " * 20, max_tokens=50)
    said = list(model.generate(asked, lambda: len(slowed.batches) >= 3))
    assert [part.finish for part in said if isinstance(part, Usage)] == ["cancelled"]
    assert len(said) == 1
    assert len(slowed.batches) == 3
    assert sum(slowed.batches) < model.count_tokens(asked.prompt or "") / 2
