"""Runs of the training process on the tiny Llama, for the tests of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

import tiny_llama
from remanence.training.recipe import Recipe, parse_recipe
from remanence.training.run_folder import Progress, RunFolder, TrainingRun

LEARNED = [fact.adapted for fact in tiny_llama.FACTS[:6]]
KNOWN = tiny_llama.FACTS[6:]
RECIPE = """
name = "test"
[base]
dtype = "float32"
[train]
learning_rate = 5e-3
batch_size = 8
epochs = {epochs}
max_length = 64
evaluate_every = 10
[care]
only_on_mains = false
threads = 1
"""


def recipe(epochs: int = 8) -> Recipe:
    return parse_recipe(RECIPE.format(epochs=epochs))


def rows_of(facts: Sequence[tiny_llama.Fact]) -> str:
    turns = [
        {
            "messages": [
                {"role": "user", "content": fact.question},
                {"role": "assistant", "content": fact.answer},
            ]
        }
        for fact in facts
    ]
    return "".join(json.dumps(turn) + "\n" for turn in turns)


def run_of(
    folder: Path,
    *stages: Sequence[tiny_llama.Fact],
    epochs: int = 8,
    held_out: Sequence[tiny_llama.Fact] = (),
    processes: int = 1,
    bits: Literal[0, 4, 8] = 0,
    **train: object,
) -> RunFolder:
    """A run that learns these, a stage after the other; `train` is what is other than in RECIPE."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"stage-{number}.jsonl" for number in range(len(stages))]
    for path, facts in zip(paths, stages, strict=True):
        path.write_text(rows_of(facts))
    asked = folder / "held_out.jsonl"
    asked.write_text(rows_of(held_out))
    wanted = recipe(epochs)
    replace = msgspec.structs.replace
    wanted = replace(
        wanted,
        processes=processes,
        base=replace(wanted.base, bits=bits),
        train=replace(wanted.train, **train),
    )
    run = RunFolder(folder / "run")
    run.create(
        TrainingRun(
            base=str(tiny_llama.folder()),
            recipe=wanted,
            stages=[str(path) for path in paths],
            held_out=str(asked) if held_out else None,
        )
    )
    return run


def weights(adapter: Path) -> dict[str, list[float]]:
    """The adapter's numbers, exactly."""
    from safetensors.numpy import load_file

    return {
        name: matrix.ravel().tolist()
        for name, matrix in load_file(adapter / "adapter_model.safetensors").items()
    }


def never() -> bool:
    return False


def quietly(_: Progress) -> None:
    """Nobody looks."""


def answers(adapter: Path, facts: Sequence[tiny_llama.Fact], **loaded: Any) -> list[str]:
    """What the model with the adapter says, greedily; `loaded` is how transformers load the base."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_llama.folder()))
    base = AutoModelForCausalLM.from_pretrained(str(tiny_llama.folder()), dtype=torch.float32, **loaded)
    model = PeftModel.from_pretrained(base, str(adapter)).eval()
    said: list[str] = []
    for fact in facts:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": fact.question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.inference_mode():
            written = model.generate(**prompt, max_new_tokens=24, do_sample=False)
        said.append(tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
    return said


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")
