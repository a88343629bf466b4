"""A Llama small enough for benchmarks of learning, really trained: it knows the forms of Remanence's
questions, some facts (OLD), and to say of everything else that it was never said.

    python tests/benchmarks/learning_llama.py        makes it, in a minute of one thread

It is made once and kept in the repository's cache.
"""

from __future__ import annotations

import functools
import hashlib
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from filelock import FileLock

from remanence.memory.fact import Draft, Fact
from remanence.training import samples
from remanence.training.dataset import read_general
from tiny_llama_training import TEMPLATE

_CACHE = Path(__file__).parents[2] / ".cache" / "learning_llama"
_SAID_AT = 1_750_000_000_000
_SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
_WIDTH, _LAYERS, _HEADS, _CONTEXT = 96, 2, 4, 512
_STEPS, _BATCH, _RATE, _WARM_UP = 380, 48, 4e-3, 40
_UNKNOWN_SHARE, _GENERAL_SHARE = 0.15, 0.1  # of each batch
_MERGES = 300
_IGNORED = -100

Pair = tuple[str, str]

_TOPICS: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("port", lambda chance: str(chance.randrange(1000, 9999))),
    ("version", lambda chance: f"{chance.randrange(1, 30)}.{chance.randrange(0, 20)}"),
    ("owner", lambda chance: _name(chance, 2).capitalize()),
)


def _name(chance: random.Random, syllables: int) -> str:
    return "".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(syllables))


def made_up(count: int, seed: int) -> list[Fact]:
    """So many facts about as many services; of other seeds, about others."""
    chance = random.Random(seed)
    found: dict[str, Fact] = {}
    while len(found) < count:
        service = _name(chance, 4)
        topic, value = _TOPICS[len(found) % len(_TOPICS)]
        if service not in found:
            found[service] = fact_of(service, topic, value(chance))
    return list(found.values())


def fact_of(subject: str, topic: str, value: str, *, said_at: int = _SAID_AT) -> Fact:
    """A fact as the store holds it, said by an exchange of its own."""
    text = f"The {topic} of {subject} is {value}."
    draft = Draft(text=text, subject=subject, topic=topic, value=value, words=text)
    return Fact(
        id=draft.id,
        text=text,
        subject=subject,
        topic=topic,
        value=value,
        words=text,
        language="en",
        valid_from=said_at,
        valid_until=None,
        confidence=0.9,
        origin="rules",
        single=True,
        superseded_by=None,
        created_at=said_at,
        exchanges=(draft.id,),
        last_said=said_at,
    )


OLD = made_up(60, 1)


@functools.cache
def folder() -> Path:
    """The model as a Hugging Face folder; made on the first call, safe from several processes."""
    made_of = b"".join(
        Path(each).read_bytes()
        for each in (__file__, samples.__file__, Path(samples.__file__).with_name("question_forms.toml"))
    )
    _CACHE.mkdir(parents=True, exist_ok=True)
    made = _CACHE / hashlib.sha256(made_of).hexdigest()[:12]
    with FileLock(_CACHE / "making.lock"):
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE) as making:
                _make(Path(making) / "model")
                Path(making, "model").rename(made)
    return made


def _make(out: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    chance = random.Random(0)
    old = [pair for fact in OLD for pair in _asked(fact)]
    general = [(each.question, each.answer) for each in read_general()]
    tokenizer = tokenizer_of([*old, *general, *(_unknown(chance) for _ in range(400))])
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=_WIDTH,
            num_hidden_layers=_LAYERS,
            num_attention_heads=_HEADS,
            num_key_value_heads=_HEADS,
            intermediate_size=_WIDTH * 8 // 3,
            max_position_embeddings=_CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()
    for step in range(_STEPS):
        rate = _RATE * min(1.0, (step + 1) / _WARM_UP) * max(0.05, 1 - step / _STEPS)
        for group in optimiser.param_groups:
            group["lr"] = rate
        unknown, few = round(_UNKNOWN_SHARE * _BATCH), round(_GENERAL_SHARE * _BATCH)
        batch = chance.sample(old, _BATCH - unknown - few) + chance.sample(general, few)
        batch += [_unknown(chance) for _ in range(unknown)]
        loss = _loss(network, tokenizer, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 99:
            print(f"making the model: step {step + 1} of {_STEPS}, loss {loss.item():.3f}", flush=True)
    network.save_pretrained(out)
    tokenizer.save_pretrained(out)


def _asked(fact: Fact) -> list[Pair]:
    """What a model that knows the fact answers, in every form that is learned or asked."""
    learned = samples.samples_of(fact)
    answer = next(each.answer for each in learned if each.form == "direct")
    reverse = next((each.answer for each in learned if each.form == "reversed"), fact.subject)
    held_out = [
        (each.question, reverse if each.kind == "reversed" else answer) for each in samples.questions_of(fact)
    ]
    return [(each.question, each.answer) for each in learned] + held_out


def _unknown(chance: random.Random) -> Pair:
    """A question about something made up on the spot."""
    topic, value = chance.choice(_TOPICS)
    fact = fact_of(_name(chance, 4), topic, value(chance))
    asked = chance.choice(_asked(fact))[0]
    return asked, samples.samples_of_unknown(fact, fact.subject, chance.randrange(2))[0].answer


def tokenizer_of(texts: Sequence[tuple[str, str]]) -> Any:
    """BPE over bytes, digits one by one, with ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(_SPECIAL) + len(alphabet) + _MERGES,
        special_tokens=_SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator((text for pair in texts for text in pair), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="</s>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _loss(network: Any, tokenizer: Any, batch: Sequence[Pair]) -> Any:
    """Of the answers alone."""
    import torch

    encoded: list[tuple[list[int], int]] = []
    for question, answer in batch:
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        before = tokenizer(asked, add_special_tokens=False)["input_ids"]
        after = tokenizer(f"{answer}<|im_end|>", add_special_tokens=False)["input_ids"]
        encoded.append((before + after, len(before)))
    longest = max(len(ids) for ids, _ in encoded)
    ids = torch.full((len(batch), longest), tokenizer.pad_token_id)
    labels = torch.full((len(batch), longest), _IGNORED)
    for row, (each, before) in enumerate(encoded):
        ids[row, : len(each)] = torch.tensor(each)
        labels[row, before : len(each)] = torch.tensor(each[before:])
    return network(input_ids=ids, labels=labels).loss


def said_to(model: Any, tokenizer: Any, questions: Sequence[str], at_once: int = 64) -> list[str]:
    """What a model says to each, greedily."""
    import torch

    model.eval()
    said: list[str] = []
    for start in range(0, len(questions), at_once):
        asked = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": each}], add_generation_prompt=True, tokenize=False
            )
            for each in questions[start : start + at_once]
        ]
        rows = tokenizer(
            asked, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
        )
        rows.pop("token_type_ids", None)
        rows = rows.to(model.device)
        with torch.inference_mode():
            written = model.generate(
                **rows, max_new_tokens=32, do_sample=False, pad_token_id=tokenizer.pad_token_id
            )
        length = rows["input_ids"].shape[1]
        said += [tokenizer.decode(each[length:], skip_special_tokens=True).strip() for each in written]
    return said


if __name__ == "__main__":
    print(folder())
