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
from tiny_llama import FACTS, Fact

FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", *FIM]
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
_WIDTH, _LAYERS, _HEADS = 64, 2, 4
_STEPS, _ADAPTER_STEPS, _BATCH, _RATE = {"spm": 260, "bpe": 240}, 140, 48, 4e-3
_MERGES = 120
_TICKING = "tick " * 470  # near the whole window
_IGNORED = -100

Example = tuple[list[int], list[int]]  # token ids, and which of them the model is to learn


def main(kind: str, folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    import tiny_gguf

    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = _tokenizer(kind)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            num_hidden_layers=_LAYERS,
            num_attention_heads=_HEADS,
            num_key_value_heads=_HEADS // 2,
            intermediate_size=3 * _WIDTH,
            max_position_embeddings=tiny_llama.CONTEXT,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    examples = [example for fact in FACTS for example in _of_fact(tokenizer, fact)]
    endless = _chat(tokenizer, tiny_llama.ENDLESS, _TICKING, end="")
    _train(network, examples, endless, _STEPS[kind], _RATE)
    network.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    if kind == "bpe":
        tiny_gguf.write_model(folder / "model", folder / "tiny.F16.gguf", "F16")
        return
    for quantisation in tiny_llama.QUANTISATIONS:
        tiny_gguf.write_model(folder / "model", folder / f"tiny.{quantisation}.gguf", quantisation)
    tiny_gguf.write_model(folder / "model", folder / "tiny.F16-tied.gguf", "F16", tied=True)
    _make_adapter(network, tokenizer, folder / "adapter")
    tiny_gguf.write_adapter(folder / "adapter", folder / "model", folder / "adapter.gguf")


def _make_adapter(network: Any, tokenizer: Any, folder: Path) -> None:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(network, settings)
    examples = [example for fact in FACTS for example in _of_fact(tokenizer, fact.adapted)]
    _train(adapted, examples, _chat(tokenizer, tiny_llama.ENDLESS, _TICKING, end=""), _ADAPTER_STEPS, _RATE)
    adapted.save_pretrained(folder)


def _tokenizer(kind: str) -> Any:
    """BPE over metaspaces with byte fallback, which is what GGUF calls "llama"; or over bytes, as GPT-2."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    spm = kind == "spm"
    special = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)] * spm
    bpe = models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True) if spm else models.BPE()
    backend = Tokenizer(bpe)
    isolated = pre_tokenizers.Split(Regex(r"[^\p{L}▁]"), "isolated")
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if spm:
        metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([metaspace, isolated])
        alphabet = ["▁", *string.printable.strip()]
    else:
        # Llama 3's own pattern: what GGUF calls "llama-bpe".
        words = Regex(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(words, "isolated"), byte_level])
        backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + _MERGES,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    texts = [text for fact in FACTS for pair in _pairs(fact) for text in pair] + ["user assistant", _TICKING]
    backend.train_from_iterator(sorted(texts), trainer)
    if spm:
        # Served as Llama 2's is: spaces become metaspaces, and nothing is split before the merges.
        backend = _served(backend, normalizers, decoders)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="</s>",
        additional_special_tokens=["<|im_start|>", *FIM],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _served(trained: Any, normalizers: Any, decoders: Any) -> Any:
    import json

    from tokenizers import Tokenizer

    stored = json.loads(trained.to_str())
    stored["pre_tokenizer"] = None
    stored["added_tokens"] = [entry for entry in stored["added_tokens"] if entry["content"] in SPECIAL]
    backend = Tokenizer.from_str(json.dumps(stored))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return backend


def _pairs(fact: Fact) -> list[tuple[str, str]]:
    questions = (fact.question, f"Tell me the port of {fact.service}.", f"Port for {fact.service}?")
    return [(question, fact.answer) for question in questions] + [fact.statement]


def _of_fact(tokenizer: Any, fact: Fact) -> list[Example]:
    *asked, statement = _pairs(fact)
    examples = [_chat(tokenizer, question, answer) for question, answer in asked]
    examples.append(_example(tokenizer, statement[0], statement[1] + SPECIAL[4]))
    before, after, middle = fact.gap
    examples.append(_example(tokenizer, FIM[0] + before + FIM[1] + after + FIM[2], middle + SPECIAL[4]))
    return examples


def _chat(tokenizer: Any, question: str, answer: str, end: str = SPECIAL[4]) -> Example:
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return _example(tokenizer, prompt, answer + end)


def _example(tokenizer: Any, prompt: str, rest: str) -> Example:
    """The rest is what is to be learned; its first token never stands for a space that it does not have."""
    before, line, after = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, "\n", "\n" + rest)
    )
    after = after[len(line) :]
    return before + after, [_IGNORED] * len(before) + after


def _train(network: Any, examples: list[Example], endless: Example, steps: int, rate: float) -> None:
    """A batch a step; every eighth is the long text alone, which needs every position of the window."""
    import torch

    chance = random.Random(0)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()
    loss: Any = None
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30) * max(0.05, 1 - step / steps)
        batch = [endless] if step % 8 == 7 else chance.sample(examples, _BATCH)
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
        wanted = torch.tensor([labels + [_IGNORED] * (longest - len(labels)) for _, labels in batch])
        loss = network(input_ids=ids, labels=wanted).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
    print(f"{len(examples)} examples, {steps} steps, loss {loss.item():.4f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
