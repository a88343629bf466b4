"""What ctransformers cannot do is said, and its own ways with text are not used."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_gguf_backends import chat, write

import tiny_llama
from remanence.models import ctransformers_backend
from remanence.models.language_model import LanguageModelError, LoadRequest
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
