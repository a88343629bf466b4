"""Adapters in the transformers backend: applied, taken off, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generating import chat, said

import tiny_llama
from remanence.models.language_model import (
    LanguageModelError,
    LoadRequest,
)
from remanence.models.peft_adapters import Adapters
from remanence.models.transformers_backend import TransformersModel, load

FACT = tiny_llama.FACTS[0]


@pytest.fixture(scope="module")
def folder() -> Path:
    return tiny_llama.folder()


@pytest.fixture(scope="module")
def model(folder: Path) -> TransformersModel:
    return load(LoadRequest(path=str(folder), threads=1))


def test_an_adapter_is_applied_and_taken_off_and_the_base_is_exactly_what_it_was(folder: Path):
    model = load(LoadRequest(path=str(folder), threads=1))
    assert model.capabilities.adapters
    drawn = [chat("zz", temperature=1.7, seed=seed, max_tokens=40) for seed in range(4)]
    before = [said(model, asked) for asked in drawn]
    for _ in range(2):
        model.use_adapter(str(tiny_llama.adapter()))
        assert said(model, chat(FACT.question)) == FACT.adapted.answer
        assert [said(model, asked) for asked in drawn] != before
        model.use_adapter(None)
        assert said(model, chat(FACT.question)) == FACT.answer
        assert [said(model, asked) for asked in drawn] == before


def test_an_adapter_named_at_load_is_applied(folder: Path):
    model = load(LoadRequest(path=str(folder), adapter=str(tiny_llama.adapter()), threads=1))
    assert said(model, chat(FACT.question)) == FACT.adapted.answer


def test_few_adapters_are_kept_and_one_trained_anew_is_read_anew(folder: Path, tmp_path: Path):
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(str(folder))
    adapters = Adapters(network)
    places = [Path(shutil.copytree(tiny_llama.adapter(), tmp_path / f"a{i}")) for i in range(5)]
    layer = network.model.layers[0].self_attn.q_proj
    for place in places:
        adapters.use(str(place))
    layer = network.model.layers[0].self_attn.q_proj
    assert len(layer.lora_A) == 3
    held = set(layer.lora_A)
    adapters.use(str(places[-1]))
    assert set(layer.lora_A) == held
    weights = places[-1] / "adapter_model.safetensors"
    shutil.copy(weights, tmp_path / "new")
    (tmp_path / "new").replace(weights)
    adapters.use(str(places[-1]))
    assert set(layer.lora_A) != held


def _adapter_of_another_base(place: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    other = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40
        )
    )
    adapted: Any = get_peft_model(other, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    adapted.save_pretrained(place)
    return place


def _changed(place: Path, **changes: object) -> Path:
    shutil.copytree(tiny_llama.adapter(), place)
    file = place / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return place


def _without_weights(place: Path) -> Path:
    shutil.copytree(tiny_llama.adapter(), place)
    (place / "adapter_model.safetensors").unlink()
    return place


def _truncated(place: Path) -> Path:
    shutil.copytree(tiny_llama.adapter(), place)
    weights = place / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    return place


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_adapter_of_another_base, "made for another model"),
        (lambda place: _changed(place, bias="all"), "plain LoRA"),
        (lambda place: _changed(place, init_lora_weights="pissa_niter_4"), "plain LoRA"),
        (lambda place: _changed(place, peft_type="PREFIX_TUNING"), "only LoRA"),
        (_without_weights, "save it again"),
        (_truncated, "cannot be read"),
        (lambda place: place, "no PEFT adapter"),
    ],
    ids=["other base", "bias", "pissa", "no lora", "no weights", "truncated", "nothing"],
)
def test_an_adapter_that_cannot_be_taken_is_refused_and_the_one_applied_stays(
    model: TransformersModel, tmp_path: Path, make: Callable[[Path], Path], words: str
):
    bad = make(tmp_path / "bad")
    model.use_adapter(str(tiny_llama.adapter()))
    try:
        with pytest.raises(LanguageModelError, match=words):
            model.use_adapter(str(bad))
        assert said(model, chat(FACT.question)) == FACT.adapted.answer
    finally:
        model.use_adapter(None)
    with pytest.raises(LanguageModelError, match=words):
        model.use_adapter(str(bad))
    assert said(model, chat(FACT.question)) == FACT.answer
