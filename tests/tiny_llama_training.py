"""Makes the models of `tiny_llama`, by real training, with one thread: about half a minute.

python tiny_llama_training.py spm|bpe FOLDER
"""

from __future__ import annotations

import random
import string
import sys
from pathlib import Path
from typing import Any

import tiny_llama
import tiny_model
from tiny_llama import FACTS, Fact
from tiny_model import FIM, Example, answered, example

SPECIAL = (*tiny_model.CHATML_SPECIAL, *FIM)
_STEPS, _ADAPTER_STEPS, _BATCH, _RATE = {"spm": 260, "bpe": 240}, 140, 48, 4e-3
_MERGES = 120
_TICKING = "tick " * 470  # near the whole window
_END = "<|im_end|>"


def main(kind: str, folder: Path) -> None:
    import tiny_gguf

    tiny_model.always_the_same()
    tokenizer = _tokenizer(kind)
    network = tiny_model.llama(tokenizer, context=tiny_llama.CONTEXT, inner=192, num_key_value_heads=2)
    examples = [each for fact in FACTS for each in _of_fact(tokenizer, fact)]
    endless = answered(tokenizer, _TICKING, user=tiny_llama.ENDLESS, end="")
    _train(network, examples, endless, _STEPS[kind])
    tiny_model.save(network, tokenizer, folder / "model")
    if kind == "bpe":
        tiny_gguf.write_model(folder / "model", folder / "tiny.F16.gguf", "F16")
        return
    for quantisation in tiny_llama.QUANTISATIONS:
        tiny_gguf.write_model(folder / "model", folder / f"tiny.{quantisation}.gguf", quantisation)
    tiny_gguf.write_model(folder / "model", folder / "tiny.F16-tied.gguf", "F16", tied=True)
    _make_adapter(network, tokenizer, folder / "adapter", endless)
    tiny_gguf.write_adapter(folder / "adapter", folder / "model", folder / "adapter.gguf")


def _make_adapter(network: Any, tokenizer: Any, folder: Path, endless: Example) -> None:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(network, settings)
    examples = [each for fact in FACTS for each in _of_fact(tokenizer, fact.adapted)]
    _train(adapted, examples, endless, _ADAPTER_STEPS)
    adapted.save_pretrained(folder)


def _tokenizer(kind: str) -> Any:
    pairs = [text for fact in FACTS for pair in _pairs(fact) for text in pair]
    texts = sorted([*pairs, "user assistant", _TICKING])
    if kind == "spm":
        alphabet = ["▁", *string.printable.strip()]
        return tiny_model.metaspace_tokenizer(
            texts, _MERGES, alphabet=alphabet, isolated=r"[^\p{L}▁]", special=SPECIAL
        )
    # Llama 3's own pattern: what GGUF calls "llama-bpe".
    words = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    return tiny_model.byte_tokenizer(texts, _MERGES, special=SPECIAL, words=words)


def _pairs(fact: Fact) -> list[tuple[str, str]]:
    questions = (fact.question, f"Tell me the port of {fact.service}.", f"Port for {fact.service}?")
    return [(question, fact.answer) for question in questions] + [fact.statement]


def _of_fact(tokenizer: Any, fact: Fact) -> list[Example]:
    *asked, statement = _pairs(fact)
    examples = [answered(tokenizer, answer, user=question) for question, answer in asked]
    examples.append(example(tokenizer, statement[0], statement[1] + _END))
    before, after, middle = fact.gap
    examples.append(example(tokenizer, FIM[0] + before + FIM[1] + after + FIM[2], middle + _END))
    return examples


def _train(network: Any, examples: list[Example], endless: Example, steps: int) -> None:
    """A batch a step; every eighth is the long text alone, which needs every position of the window."""
    chance = random.Random(0)
    take, loss = tiny_model.stepping(network), 0.0
    for step in range(steps):
        batch = [endless] if step % 8 == 7 else chance.sample(examples, _BATCH)
        loss = take(tiny_model.falling(_RATE, step, steps), batch)
    print(f"{len(examples)} examples, {steps} steps, loss {loss:.4f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
