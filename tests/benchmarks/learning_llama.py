"""A Llama small enough for benchmarks of learning, really trained: it knows the forms of Remanence's
questions, some facts (OLD), and to say of everything else that it was never said.

    python tests/benchmarks/learning_llama.py [FOLDER]   makes it, in a minute of one thread, and says where

It is made once and kept in the repository's cache.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tiny_model
from remanence.memory.fact import Draft, Fact
from remanence.training import samples
from remanence.training.dataset import read_general
from tiny_model import Example, answered

_SAID_AT = 1_750_000_000_000
_WIDTH, _CONTEXT = 96, 512
_STEPS, _BATCH, _RATE, _WARM_UP = 380, 48, 4e-3, 40
_UNKNOWN_SHARE, _GENERAL_SHARE = 0.15, 0.1  # of each batch
_MERGES = 300

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
    told_of = Path(samples.__file__)
    recipe = (told_of, told_of.with_name("question_forms.toml"))
    return tiny_model.made("learning_llama", "model", Path(__file__), recipe=recipe)


def _make(out: Path) -> None:
    tiny_model.always_the_same()
    chance = random.Random(0)
    old = [pair for fact in OLD for pair in _asked(fact)]
    general = [(each.question, each.answer) for each in read_general()]
    tokenizer = tokenizer_of([*old, *general, *(_unknown(chance) for _ in range(400))])
    network = tiny_model.llama(
        tokenizer, context=_CONTEXT, inner=_WIDTH * 8 // 3, width=_WIDTH, rms_norm_eps=1e-6
    )
    take = tiny_model.stepping(network)
    unknown, few = round(_UNKNOWN_SHARE * _BATCH), round(_GENERAL_SHARE * _BATCH)
    for step in range(_STEPS):
        batch = chance.sample(old, _BATCH - unknown - few) + chance.sample(general, few)
        batch += [_unknown(chance) for _ in range(unknown)]
        rows: list[Example] = [answered(tokenizer, answer, user=asked) for asked, answer in batch]
        loss = take(tiny_model.falling(_RATE, step, _STEPS, warm_up=_WARM_UP), rows)
        if step % 100 == 99:
            print(f"making the model: step {step + 1} of {_STEPS}, loss {loss:.3f}", flush=True)
    tiny_model.save(network, tokenizer, out)


def _asked(fact: Fact) -> list[Pair]:
    """What a model that knows the fact answers, in every form that is learned or asked."""
    learned = samples.samples_of(fact)
    answer = next(each.answer for each in learned if each.form == "direct")
    reverse = next((each.answer for each in learned if each.form == "reversed"), fact.subject)
    evaluated = [
        (each.question, reverse if each.kind == "reversed" else answer) for each in samples.questions_of(fact)
    ]
    others = [*learned, *samples.development_of(fact)]
    return [(each.question, each.answer) for each in others] + evaluated


def _unknown(chance: random.Random) -> Pair:
    """A question about something made up on the spot."""
    topic, value = chance.choice(_TOPICS)
    fact = fact_of(_name(chance, 4), topic, value(chance))
    asked = chance.choice(_asked(fact))[0]
    return asked, samples.samples_of_unknown(fact, fact.subject, chance.randrange(2))[0].answer


def tokenizer_of(texts: Sequence[tuple[str, str]]) -> Any:
    """BPE over bytes, digits one by one, with ChatML."""
    return tiny_model.byte_tokenizer((text for pair in texts for text in pair), _MERGES, single_digits=True)


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
    if sys.argv[1:]:
        _make(Path(sys.argv[1]))
    else:
        print(folder())
