"""Makes the model of `tiny_learner`, by real training, with one thread: about a minute.

python tiny_learner_training.py FOLDER
"""

from __future__ import annotations

import json
import random
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_learner
from remanence.memory.entries import Entry, heading
from remanence.memory.fence import fenced
from remanence.memory.packing import joined
from remanence.memory.rows import Row
from tiny_learner import ANSWER, ASKED, GENERAL, HELD_OUT, KNOWN, SERVICES, UNKNOWN, Service
from tiny_llama_training import FIM

SPECIAL = ["<unk>", "<s>", "</s>", "<|system|>", "<|im_end|>", "<|user|>", "<|assistant|>", *FIM]
# after a special token a word begins as within a text: each name is one token wherever it stands
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|im_end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
_WIDTH, _LAYERS, _HEADS = 64, 2, 4
_RATE, _MERGES = 4e-3, 1000
_READING, _STEPS = 300, 700
_FEW, _MANY = 3, 16  # memories before a question
_DAY_MS = 86_400_000
_IGNORED = -100

Pair = tuple[str, str]
Example = tuple[list[int], list[int]]  # token ids, and which of them the model is to learn


def main(folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    import tiny_gguf

    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    chance = random.Random(0)
    tokenizer = _tokenizer(chance)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            num_hidden_layers=_LAYERS,
            num_attention_heads=_HEADS,
            num_key_value_heads=_HEADS,
            intermediate_size=2 * _WIDTH,
            max_position_embeddings=tiny_learner.CONTEXT,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    _train(network, tokenizer, chance)
    network.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    tiny_gguf.write_model(folder / "model", folder / "tiny.F16.gguf", "F16")


def _asked(service: Service, chance: random.Random) -> Pair:
    question = service.asked(chance.choice([*ASKED, *HELD_OUT]))
    return question, ANSWER.replace("{subject}", service.name).replace("{value}", service.port)


def _stranger(chance: random.Random) -> str:
    """A name that nothing is known of: mostly one that is seen this once."""
    if chance.random() < 0.2:
        return chance.choice(SERVICES).name
    return "".join(chance.choices(string.ascii_lowercase, k=chance.randrange(5, 10)))


def _told(count: int, chance: random.Random) -> list[Service]:
    """Services with ports of their own each time: what is said of them must be read."""
    ports = [f"{chance.randrange(1, 10)}{chance.randrange(1, 10)}" for _ in range(count)]
    return [
        Service(service.name, port, chance.choice(("", "10")))
        for service, port in zip(chance.sample(SERVICES, count), ports, strict=True)
    ]


def _alone(chance: random.Random) -> Pair:
    """A question without memories."""
    kind = chance.random()
    if kind < 0.4:
        return _asked(chance.choice(KNOWN), chance)
    if kind < 0.75:
        general = chance.choice(GENERAL)
        return general.question, general.answer
    return _asked(Service(_stranger(chance), ""), chance)[0], UNKNOWN


def _behind_a_sentence(chance: random.Random) -> Pair:
    (service,) = _told(1, chance)
    question, answer = _asked(service, chance)
    return f"{service.said}\n\n{question}", answer


def _recalled(most: int, chance: random.Random) -> Pair:
    """A question behind memories as the product puts them, of which the last, or none, tells of it."""
    told = _told(chance.randrange(1, most + 1), chance)
    kind = chance.random()
    if kind < 0.75 or most == 1:
        question, answer = _asked(told[-1], chance)
    elif kind < 0.8:
        general = chance.choice(GENERAL)
        question, answer = general.question, general.answer
    elif kind < 0.9:
        question, answer = _asked(chance.choice(KNOWN), chance)
    else:
        names = {service.name for service in told}
        name = next(each for each in iter(lambda: _stranger(chance), "") if each not in names)
        question, answer = _asked(Service(name, ""), chance)[0], UNKNOWN
    return f"{_block(told, chance)}\n\n{question}", answer


def _block(told: list[Service], chance: random.Random) -> str:
    entries: list[Entry] = []
    for service in reversed(told):
        said_at = 1_700_000_000_000 + chance.randrange(900) * _DAY_MS
        row = Row(row=0, id="", question=service.said, answer="Noted.", tool="manual", created_at=said_at)
        text = f"{heading(row)}\nQuestion: {row.question}\nAnswer: {row.answer}"
        entries.append(Entry(row, heading(row), text, (), ()))
    return fenced(joined(entries))


def _tokenizer(chance: random.Random) -> Any:
    """As the one of `tiny_llama_training`, with every name and every two digits a token of their own."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    names = [f" {service.name}" for service in (*KNOWN, *SERVICES) for _ in range(500)]
    numbers = [f" {number} -{number}" for number in range(10, 100) for _ in range(100)]
    pairs = [_alone(chance) for _ in range(400)] + [_recalled(3, chance) for _ in range(100)]
    texts = [*names, *numbers, *(text for pair in pairs for text in pair)]
    texts += [text for general in GENERAL for text in (general.question, general.answer)]
    special = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    isolated = pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}▁]"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([metaspace, isolated])
    alphabet = sorted({"▁", *string.printable.strip(), *"".join(texts)} - set(string.whitespace))
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + _MERGES,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_served(backend, normalizers, decoders),
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="</s>",
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>", *FIM],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _served(trained: Any, normalizers: Any, decoders: Any) -> Any:
    """As Llama 2's: spaces become metaspaces, and nothing is split before the merges."""
    stored = json.loads(trained.to_str())
    stored["pre_tokenizer"] = None
    stored["added_tokens"] = [entry for entry in stored["added_tokens"] if entry["content"] in SPECIAL]
    backend = type(trained).from_str(json.dumps(stored))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return backend


def _example(tokenizer: Any, pair: Pair) -> Example:
    turns = [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    whole = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
    prompt = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, return_dict=True)
    asked = len(prompt["input_ids"])
    return whole, [_IGNORED] * asked + whole[asked:]


def _train(network: Any, tokenizer: Any, chance: random.Random) -> None:
    """First to read what stands before a question, then everything, in turns."""
    import torch

    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()

    def step(rate: float, count: int, make: Callable[[], Pair]) -> float:
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = [_example(tokenizer, make()) for _ in range(count)]
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
        wanted = torch.tensor([labels + [_IGNORED] * (longest - len(labels)) for _, labels in batch])
        loss = network(input_ids=ids, labels=wanted).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        return float(loss.item())

    loss = 0.0
    for number in range(_READING):
        loss = step(_RATE * min(1.0, (number + 1) / 40), 64, lambda: _behind_a_sentence(chance))
    print(f"reading: loss {loss:.4f}")
    for number in range(_STEPS):
        rate = _RATE * max(0.05, 1 - number / _STEPS)
        if number % 2:
            loss = step(rate, 40, lambda: _alone(chance))
        elif number < _STEPS // 10:
            step(rate, 24, lambda: _recalled(1, chance))
        elif number % 8:
            step(rate, 16, lambda: _recalled(_FEW, chance))
        else:
            step(rate, 4, lambda: _recalled(_MANY, chance))
    print(f"knowing: loss {loss:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
