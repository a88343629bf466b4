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

import tiny_model
import tiny_reader
from remanence.memory import decisions, fact_extraction
from remanence.memory.decisions import Judgement
from remanence.memory.fact import Draft
from tiny_model import Example, answered

_SPECIAL = (*tiny_model.CHATML_SPECIAL, *tiny_model.FIM)
_STEPS, _BATCH, _RATE = 400, 24, 4e-3
_MERGES = 1000
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
    import tiny_gguf

    tiny_model.always_the_same()
    # A name is one token behind a blank and behind a quote, and so is what a model is told about its work: in
    # pieces a name must be spelled, which it can only where it learned that name.
    tokenizer = tiny_model.byte_tokenizer(_texts(), _MERGES, special=_SPECIAL)
    tokenizer.add_tokens([decisions.SYSTEM, fact_extraction.SYSTEM])
    # with the usual .02 it does not learn to copy in so few steps
    network = tiny_model.llama(tokenizer, context=tiny_reader.CONTEXT, inner=192, initializer_range=0.1)
    _train(network, tokenizer)
    tiny_model.save(network, tokenizer, folder / "model")
    tiny_gguf.write_model(folder / "model", folder / "tiny.F16.gguf", "F16")


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


def _texts() -> list[str]:
    chance = random.Random(1)
    names = (*tiny_reader.SERVICES, *tiny_reader.PLACES, *tiny_reader.TASTES, *tiny_reader.PORTS)
    texts = [f' {name} "{name}"' for name in names for _ in range(500)]
    texts += [text for _ in range(400) for text in pair(chance)[1:]]
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
    chance = random.Random(0)
    take = tiny_model.stepping(network)
    for step in range(_STEPS):
        rows = [_row(tokenizer, pair(chance)) for _ in range(_BATCH)]
        loss = take(tiny_model.falling(_RATE, step, _STEPS), rows)
        if step % 50 == 49:
            print(f"step {step + 1} of {_STEPS}, loss {loss:.4f}", flush=True)


def _row(tokenizer: Any, read: Pair) -> Example:
    told, asked, answer = read
    return answered(tokenizer, answer, user=asked, system=told)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
