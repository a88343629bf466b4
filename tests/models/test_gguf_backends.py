"""What both backends for GGUF files do alike, each with its real library on a really trained tiny Llama."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from gguf_child import GGUFChild
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tiny_llama
from remanence.models.language_model import (
    ChatMessage,
    Generation,
    Infill,
    LanguageModel,
    LanguageModelError,
    LoadRequest,
    Usage,
)
from tiny_llama import FACTS

BACKENDS = ("ctransformers", "llama_cpp")
HARD_TEXTS = (
    "привет мир " * 20,
    "😀👩‍👩‍👧‍👦" * 30,
    "漢字かな交じり文" * 15,
    "\ud800 lone \udfff",
    "nul \0 nul",
    "<|im_end|>\n<|im_start|>assistant\n<s></s><unk><|fim_middle|>",
    "▁▁ ▁",
    "",
    " ",
    "\n\n\t\r\n",
    "<0x0A><0xFF>",
    "ﷺ" * 40,
    "\u202e\u200b\ufeff",
    "a\u0301" * 50,
)


def load(backend: str, quantisation: str = "F16", **options: Any) -> LanguageModel:
    asked = LoadRequest(path=str(tiny_llama.gguf(quantisation)), threads=1, **options)
    return importlib.import_module(f"remanence.models.{backend}_backend").load(asked)


def write(model: LanguageModel, **asked: Any) -> tuple[str, Usage]:
    *pieces, usage = model.generate(Generation(**asked), lambda: False)
    assert isinstance(usage, Usage)
    return "".join(str(piece) for piece in pieces), usage


def chat(text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage("user", text),)


@pytest.fixture(scope="module", params=BACKENDS)
def model(request: pytest.FixtureRequest) -> Iterator[LanguageModel]:
    loaded = load(request.param)
    yield loaded
    loaded.close()


@pytest.mark.parametrize("quantisation", tiny_llama.QUANTISATIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_quantisation_writes_what_it_was_trained_to(backend: str, quantisation: str) -> None:
    model = load(backend, quantisation)
    for fact in FACTS:
        assert write(model, messages=chat(fact.question))[0] == fact.answer
        beginning, rest = fact.statement
        assert write(model, prompt=beginning)[0] == rest
        before, after, middle = fact.gap
        assert write(model, infill=Infill(before, after))[0] == middle
    model.close()


@pytest.mark.parametrize("quantisation", ["F16", "Q8_0"])
def test_both_write_the_same_to_what_they_were_not_trained_for(quantisation: str) -> None:
    models = [load(backend, quantisation) for backend in BACKENDS]
    for text in ("What is a port?", "Who are you?", "Port for nobody?", "tick", "Explain RFC 793 to me."):
        one, other = (write(model, messages=chat(text), max_tokens=24) for model in models)
        assert one == other


def test_the_usage_counts_the_tokens(model: LanguageModel) -> None:
    assert write(model, messages=chat(FACTS[0].question))[1].finish == "stop"
    assert write(model, prompt="tick tick", max_tokens=3)[1] == Usage(
        prompt_tokens=model.count_tokens("tick tick"), written_tokens=3, finish="length"
    )


def test_writing_ends_where_the_window_does(model: LanguageModel) -> None:
    text, usage = write(model, messages=chat(tiny_llama.ENDLESS), max_tokens=10_000)
    assert usage.prompt_tokens + usage.written_tokens == model.capabilities.context == tiny_llama.CONTEXT
    assert usage.finish == "length"
    assert set(text.split()) == {"tick"}


def test_a_prompt_over_the_window_is_refused_with_both_numbers(model: LanguageModel) -> None:
    with pytest.raises(LanguageModelError, match=r"1,0\d\d tokens long.*512"):
        write(model, prompt="tick " * 1010)
    assert write(model, messages=chat(FACTS[1].question))[0] == FACTS[1].answer


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_smaller_window_is_kept_and_a_larger_one_is_the_models(backend: str) -> None:
    assert load(backend, context=128).capabilities.context == 128
    assert load(backend, context=100_000).capabilities.context == tiny_llama.CONTEXT


def test_stop_strings_end_the_text_wherever_pieces_do(model: LanguageModel) -> None:
    whole = write(model, messages=chat(tiny_llama.ENDLESS), max_tokens=30)[0]
    for stop in ("tick tick tick t", "k t", "ick", "t", "k tick tick tick tick"):
        text, usage = write(model, messages=chat(tiny_llama.ENDLESS), max_tokens=30, stop=("never", stop))
        assert text == whole[: whole.index(stop)]
        assert usage.finish == "stop"
    assert write(model, messages=chat(tiny_llama.ENDLESS), max_tokens=30, stop=("tock",))[0] == whole


def test_a_seed_repeats_a_text_and_another_gives_others(model: LanguageModel) -> None:
    def warm(seed: int) -> str:
        return write(model, messages=chat("Who?"), max_tokens=24, temperature=2.0, seed=seed)[0]

    assert [warm(seed) for seed in range(6)] == [warm(seed) for seed in range(6)]
    assert len({warm(seed) for seed in range(6)}) > 3


def test_cancelling_stops_before_the_next_token_and_the_next_request_works(model: LanguageModel) -> None:
    said: list[str | Usage] = []
    asked = Generation(messages=chat(tiny_llama.ENDLESS), max_tokens=400)
    said.extend(model.generate(asked, lambda: len(said) >= 5))
    usage = said.pop()
    assert isinstance(usage, Usage)
    assert usage.finish == "cancelled"
    assert ("tick " * 9).startswith("".join(map(str, said)))
    assert usage.written_tokens < 10
    assert write(model, messages=chat(FACTS[2].question))[0] == FACTS[2].answer


def test_cancelling_is_heard_while_the_prompt_is_read(model: LanguageModel) -> None:
    times = 0

    def cancelled() -> bool:
        nonlocal times
        times += 1
        return times > 1

    said = list(model.generate(Generation(prompt="one tick " * 90, max_tokens=50), cancelled))
    assert [piece.finish for piece in said if isinstance(piece, Usage)] == ["cancelled"]
    assert len(said) == 1
    assert write(model, messages=chat(FACTS[3].question))[0] == FACTS[3].answer


def test_a_generation_left_unfinished_does_not_spoil_the_next(model: LanguageModel) -> None:
    half = model.generate(Generation(messages=chat(tiny_llama.ENDLESS)), lambda: False)
    next(half)
    assert write(model, messages=chat(FACTS[4].question))[0] == FACTS[4].answer
    del half
    assert write(model, messages=chat(FACTS[4].question))[0] == FACTS[4].answer


@pytest.mark.parametrize("asked", [{}, {"prompt": "a", "messages": chat("b")}])
def test_a_request_says_exactly_one_thing_to_go_on_from(model: LanguageModel, asked: dict[str, Any]) -> None:
    with pytest.raises(LanguageModelError, match="Exactly one"):
        write(model, **asked)


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_is_read_as_the_models_own_tokenizer_reads_it_and_never_crashes(backend: str) -> None:
    with GGUFChild(backend, tiny_llama.gguf()) as child:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.one_of(st.sampled_from(HARD_TEXTS), st.text(max_size=60), _surrogates()))
        def read(text: str) -> None:
            said = child.ask(text)
            plain = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            plain = plain.replace("\0", "\ufffd")
            tokens = own_tokens(plain)
            around = own_tokens("\n") + own_tokens("assistant\n") + 3
            assert said["tokens"] == tokens
            assert said["prompt"] in (tokens or 1, None)
            assert said["messages"] in (own_tokens("user\n" + plain) + around, None)
            assert said["infill"] in (2 * tokens + 3, None)
            assert said["prompt"] is not None or tokens >= tiny_llama.CONTEXT

        read()


def _surrogates() -> st.SearchStrategy[str]:
    return st.text(st.characters(categories=["Cs", "So", "Lo"]), max_size=40)


def own_tokens(text: str) -> int:
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(tiny_llama.folder() / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer
