"""The same tiny model writes the same text, greedily, whichever backend runs it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

import pytest
from generating import at
from test_gguf_backends import chat, write
from test_openai_server import llama_server

import tiny_llama
from remanence.models.language_model import Generation, LanguageModel, LoadRequest

__all__ = ["llama_server"]

pytestmark = pytest.mark.e2e

UNTRAINED = ("Who sings at night?", "What port does Nobody use?", "Ünïcode, 漢字 and 😀?", "")
ASKED = [
    *(Generation(messages=chat(fact.question), max_tokens=24) for fact in tiny_llama.FACTS),
    *(Generation(prompt=fact.statement[0], max_tokens=8) for fact in tiny_llama.FACTS[:6]),
    *(Generation(messages=chat(text), max_tokens=24) for text in UNTRAINED),
]


@pytest.fixture(scope="module")
def models(llama_server: str) -> Iterator[Mapping[str, LanguageModel]]:
    """One of each backend; the server is llama-cpp-python's own."""
    models: dict[str, LanguageModel] = {"openai": at(llama_server)}
    for name in ("ctransformers", "llama_cpp", "transformers"):
        path = tiny_llama.folder() if name == "transformers" else tiny_llama.gguf("F16")
        backend = importlib.import_module(f"remanence.models.{name}_backend")
        models[name] = backend.load(LoadRequest(path=str(path), threads=1))
    yield models
    for model in models.values():
        model.close()


@pytest.mark.parametrize("asked", ASKED, ids=range(len(ASKED)))
def test_all_backends_write_the_same(models: Mapping[str, LanguageModel], asked: Generation) -> None:
    texts = {
        name: "".join(part for part in model.generate(asked, lambda: False) if isinstance(part, str))
        for name, model in models.items()
    }
    assert len(set(texts.values())) == 1, texts


def test_what_they_write_is_what_the_model_was_trained_to(models: Mapping[str, LanguageModel]) -> None:
    for model in models.values():
        for fact in tiny_llama.FACTS[:4]:
            assert write(model, messages=chat(fact.question), max_tokens=24)[0] == fact.answer
