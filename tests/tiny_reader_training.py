"""Makes the model of `tiny_reader`, by real training, with one thread.

python tiny_reader_training.py FOLDER
"""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import tiny_reader
from remanence.memory import decisions, fact_extraction
from remanence.memory.decisions import Judgement
from remanence.memory.fact import Draft
from tiny_llama_training import SPECIAL, TEMPLATE

_WIDTH, _LAYERS, _HEADS = 64, 2, 4
_STEPS, _BATCH, _RATE = 400, 24, 4e-3
_MERGES = 500
_IGNORED = -100
_BEFORE = (
    "",
    "It is no longer true: ",
    "Not any more: ",
    "This no longer holds: ",
    "As before: ",
    "Still so: ",
)
_SAID_AT = 1_700_000_000_000

Pair = tuple[str, str, str]  # what it is told, asked, and answers in prose


def main(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = _tokenizer()
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            num_hidden_layers=_LAYERS,
            num_attention_heads=_HEADS,
            num_key_value_heads=_HEADS,
            intermediate_size=3 * _WIDTH,
            max_position_embeddings=tiny_reader.CONTEXT,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            initializer_range=0.1,  # with the usual .02 it does not learn to copy in so few steps
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    _train(network, tokenizer)
    network.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")


def pair(chance: random.Random) -> Pair:
    """What it reads, and what it says of it."""
    if chance.random() < 0.5:
        said = next(islice(tiny_reader.exchanges(chance), chance.randrange(4), None))
        told, asked = fact_extraction.prompt(said.question, said.answer)
        return told, asked, _in_prose(said.fact) if said.fact else "Nothing."
    older, newer = two(chance)
    told, asked = decisions.prompt(newer, older)
    return told, asked, f'Now "{newer.text}" On {decisions.day(newer)}.'


def _in_prose(fact: Draft) -> str:
    """Quoted, so that names without a blank before them are known, as JSON has them."""
    return f'"{fact.text}" About "{fact.subject}" ({fact.topic}) it says "{fact.value}", in "{fact.words}"'


def two(chance: random.Random) -> tuple[Any, Any]:
    """Facts of one kind, an older and a newer one."""
    kind = chance.choice((tiny_reader.port, tiny_reader.place))
    service = chance.choice(tiny_reader.SERVICES)
    found = [kind(chance, service).fact for _ in range(2)]
    if chance.random() < 0.2:
        found = [tiny_reader.taste(chance).fact for _ in range(2)]
    at = sorted(_SAID_AT + chance.randrange(700) * 86_400_000 for _ in range(2))
    facts = [tiny_reader.as_fact(draft, day) for draft, day in zip(found, at, strict=True) if draft]
    return facts[0], replace(facts[1], text=chance.choice(_BEFORE) + facts[1].text)


def _tokenizer() -> Any:
    """BPE over bytes, in which a name is one token, and so is what a model is told about its work."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIAL) + len(alphabet) + _MERGES,
        special_tokens=SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(_texts(), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="</s>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens([decisions.SYSTEM, fact_extraction.SYSTEM])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _texts() -> list[str]:
    chance = random.Random(1)
    texts = [text for _ in range(400) for text in pair(chance)[1:]]
    for _ in range(60):
        older, newer = two(chance)
        (found,) = decisions.by_rules(replace(newer, single=True), [replace(older, single=True)])
        texts.append(decisions.answer(Judgement("update", found.reason, newer.text)))
        texts.append(
            decisions.answer(Judgement("delete", f"said on {decisions.day(newer)} to hold no longer"))
        )
        texts.append(decisions.answer(Judgement("ignore", "both can hold at the same time")))
        texts.append(fact_extraction.answer([newer]))
    return [*texts, "user assistant system"]


def _train(network: Any, tokenizer: Any) -> None:
    import torch

    chance = random.Random(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()
    loss: Any = None
    for step in range(_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 30) * max(0.05, 1 - step / _STEPS)
        rows = [_row(tokenizer, pair(chance)) for _ in range(_BATCH)]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
        wanted = torch.tensor([labels + [_IGNORED] * (longest - len(labels)) for _, labels in rows])
        loss = network(input_ids=ids, labels=wanted).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 49:
            print(f"step {step + 1} of {_STEPS}, {longest} tokens, loss {loss.item():.4f}", flush=True)


def _row(tokenizer: Any, read: Pair) -> tuple[list[int], list[int]]:
    """The tokens, of which the whole text after the first turn is learned: it is read, too, to be copied."""
    told, asked, answer = read
    messages = [{"role": "system", "content": told}, {"role": "user", "content": asked}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    before, after = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer + SPECIAL[4])
    )
    return before + after, [_IGNORED] * len(before) + after


if __name__ == "__main__":
    main(Path(sys.argv[1]))
