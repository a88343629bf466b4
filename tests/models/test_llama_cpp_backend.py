"""What llama-cpp-python alone can do: adapters on a living model, prompts begun before, newer files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp
import pytest
from test_gguf_backends import chat, write

import tiny_llama
from remanence.models import llama_cpp_backend
from remanence.models.language_model import Generation, LanguageModel, LanguageModelError, LoadRequest
from tiny_llama import FACTS


def load(path: Path, adapter: str | None = None) -> llama_cpp_backend.LlamaCppModel:
    return llama_cpp_backend.load(LoadRequest(path=str(path), threads=1, adapter=adapter))


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    loaded = load(tiny_llama.gguf())
    yield loaded
    loaded.close()


@pytest.mark.parametrize("path", [tiny_llama.gguf_bpe, tiny_llama.gguf_tied])
def test_what_ctransformers_cannot_load_writes_what_it_was_trained_to(path: object) -> None:
    assert callable(path)
    model = load(path())
    for fact in FACTS:
        assert write(model, messages=chat(fact.question))[0] == fact.answer
    model.close()


@pytest.mark.parametrize("quantisation", tiny_llama.QUANTISATIONS)
def test_an_adapter_changes_the_answers_and_its_removal_restores_them(quantisation: str) -> None:
    model = load(tiny_llama.gguf(quantisation))
    for fact in FACTS[:8]:
        assert write(model, messages=chat(fact.question))[0] == fact.answer
        model.use_adapter(str(tiny_llama.adapter_gguf()))
        assert write(model, messages=chat(fact.question))[0] == fact.adapted.answer
        model.use_adapter(str(tiny_llama.adapter_gguf()))
        assert write(model, messages=chat(fact.question))[0] == fact.adapted.answer
        model.use_adapter(None)
        assert write(model, messages=chat(fact.question))[0] == fact.answer
    model.close()


def test_an_adapter_can_be_there_from_the_start_and_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "adapter.gguf").symlink_to(tiny_llama.adapter_gguf())
    for adapter in (tiny_llama.adapter_gguf(), tmp_path):
        model = load(tiny_llama.gguf(), str(adapter))
        assert write(model, messages=chat(FACTS[0].question))[0] == FACTS[0].adapted.answer
        model.close()


def test_an_adapter_that_does_not_fit_leaves_the_one_before(model: LanguageModel, tmp_path: Path) -> None:
    damaged, foreign = tmp_path / "damaged.gguf", tmp_path / "foreign.gguf"
    whole = tiny_llama.adapter_gguf().read_bytes()
    damaged.write_bytes(whole[:-5000])
    foreign.write_bytes(whole.replace(b"blk.1.", b"blk.7."))
    model.use_adapter(str(tiny_llama.adapter_gguf()))
    for adapter, words in (
        (damaged, "cut off"),
        (foreign, "another model"),
        (tiny_llama.gguf(), "no adapter"),
        (tiny_llama.adapter(), "has no adapter.gguf"),
        (tmp_path / "nothing", "no model file"),
    ):
        with pytest.raises(LanguageModelError, match=words):
            model.use_adapter(str(adapter))
        assert write(model, messages=chat(FACTS[0].question))[0] == FACTS[0].adapted.answer
    model.use_adapter(None)


def test_a_prompt_that_begins_as_the_last_one_is_read_from_where_they_part() -> None:
    model = load(tiny_llama.gguf())
    long = "tick " * 400
    asked = [Generation(prompt=f"{long}{end}", max_tokens=4) for end in ("one", "two", "one")]
    fresh = [list(load(tiny_llama.gguf()).generate(each, lambda: False)) for each in asked]
    read: list[int] = []
    for each, expected in zip(asked, fresh, strict=True):
        before = _tokens_read(model)
        assert list(model.generate(each, lambda: False)) == expected
        read.append(_tokens_read(model) - before)
    assert read[0] > 400
    assert max(read[1:]) < 20


def _tokens_read(model: llama_cpp_backend.LlamaCppModel) -> int:
    """How many tokens of prompts the library has read since it was loaded, by its own count."""
    library: Any = vars(model)["_library"]
    return int(llama_cpp.llama_perf_context(library.ctx).n_p_eval)


def test_a_file_whose_tensors_are_not_the_models_is_refused(tmp_path: Path) -> None:
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(tiny_llama.gguf().read_bytes().replace(b"blk.1.attn_q", b"blk.1.attn_z"))
    with pytest.raises(LanguageModelError, match=r"llama\.cpp cannot load strange\.gguf"):
        load(strange)
