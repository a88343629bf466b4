"""Makes the model of `tiny_learner`, by real training, with one thread: about a minute.

python tiny_learner_training.py FOLDER
"""

from __future__ import annotations

import random
import string
import sys
from pathlib import Path
from typing import Any

import tiny_learner
import tiny_model
from remanence.memory.entries import Entry, heading
from remanence.memory.fence import fenced
from remanence.memory.packing import joined
from remanence.memory.rows import Row
from tiny_learner import ANSWER, ASKED, DEVELOPED, GENERAL, HELD_OUT, KNOWN, SERVICES, UNKNOWN, Service
from tiny_model import FIM, Example

SPECIAL = ("<unk>", "<s>", "</s>", "<|system|>", "<|im_end|>", "<|user|>", "<|assistant|>", *FIM)
# after a special token a word begins as within a text: each name is one token wherever it stands
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|im_end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
_RATE, _MERGES = 4e-3, 1000
_READING, _STEPS = 300, 760
_FEW, _MANY = 3, 16  # memories before a question
_DAY_MS = 86_400_000

Pair = tuple[str, str]


def main(folder: Path) -> None:
    import tiny_gguf

    tiny_model.always_the_same()
    chance = random.Random(0)
    tokenizer = _tokenizer(chance)
    network = tiny_model.llama(tokenizer, context=tiny_learner.CONTEXT, inner=128)
    _train(network, tokenizer, chance)
    tiny_model.save(network, tokenizer, folder / "model")
    tiny_gguf.write_model(folder / "model", folder / "tiny.F16.gguf", "F16")


def _asked(service: Service, chance: random.Random) -> Pair:
    question = service.asked(chance.choice([*ASKED, *DEVELOPED, *HELD_OUT]))
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
    """Every name and every two digits are a token of their own."""
    names = [f" {service.name}" for service in (*KNOWN, *SERVICES) for _ in range(500)]
    numbers = [f" {number} -{number}" for number in range(10, 100) for _ in range(100)]
    pairs = [_alone(chance) for _ in range(400)] + [_recalled(3, chance) for _ in range(100)]
    texts = [*names, *numbers, *(text for pair in pairs for text in pair)]
    texts += [text for general in GENERAL for text in (general.question, general.answer)]
    return tiny_model.metaspace_tokenizer(
        texts,
        _MERGES,
        alphabet=sorted({"▁", *string.printable.strip(), *"".join(texts)} - set(string.whitespace)),
        isolated=r"[^\p{L}\p{N}▁]",
        special=SPECIAL,
        template=TEMPLATE,
    )


def _example(tokenizer: Any, pair: Pair) -> Example:
    turns = [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    whole = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
    prompt = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, return_dict=True)
    asked = len(prompt["input_ids"])
    return tiny_model.learning(whole[:asked], whole[asked:])


def _train(network: Any, tokenizer: Any, chance: random.Random) -> None:
    """First to read what stands before a question, then everything, in turns."""
    take, loss = tiny_model.stepping(network), 0.0
    for step in range(_READING):
        pairs = [_behind_a_sentence(chance) for _ in range(64)]
        loss = take(_RATE * min(1.0, (step + 1) / 40), [_example(tokenizer, each) for each in pairs])
    print(f"reading: loss {loss:.4f}")
    for step in range(_STEPS):
        pairs = _mixed(step, chance)
        loss = take(_RATE * max(0.05, 1 - step / _STEPS), [_example(tokenizer, each) for each in pairs])
    print(f"knowing: loss {loss:.4f}")


def _mixed(step: int, chance: random.Random) -> list[Pair]:
    if step % 2:
        return [_alone(chance) for _ in range(40)]
    if step < _STEPS // 10:
        return [_recalled(1, chance) for _ in range(24)]
    if step % 8:
        return [_recalled(_FEW, chance) for _ in range(16)]
    return [_recalled(_MANY, chance) for _ in range(4)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
