"""What training will take, said before it begins: memory in MB, seconds, and whether it can fit."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from remanence.training.recipe import Recipe

_MB = 2**20
_LIBRARIES_MB = 650  # torch, transformers, PEFT and TRL with nothing loaded (measured: 580 to 650)
_HEADER_LIMIT = 100 * _MB
_BYTES = {"float32": 4.0, "bfloat16": 2.0}
_ADAM_BYTES = 16.0  # a trained weight in float32, its gradient, and two moments
_KEPT_A_TOKEN = 34  # activations kept for the way back, in hidden sizes a layer and token (arXiv 2205.05198)
_KEPT_WITH_CHECKPOINTS = 2
_START_SECONDS = 12.0  # imports, loading, saving (measured: 8 to 15)
_STEP_SECONDS = 0.07  # what a step takes however small the model (measured: .05 to .1)
_REACHED = (
    0.35  # of a processor's speed at large products, by training (measured on 0.8 million to 1 billion)
)


class WeightsError(Exception):
    """The weights' headers cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What a Hugging Face folder says of itself."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """`memory_mb` at the peak, `seconds` for all steps; `refusal` says in words why it cannot begin."""

    memory_mb: int
    seconds: float
    steps: int
    refusal: str | None = None


def size_of(folder: Path) -> ModelSize:
    """Read from config.json and the headers of the weights; the weights themselves stay unread.

    Raises WeightsError.
    """
    try:
        config = cast(dict[str, object], json.loads((folder / "config.json").read_bytes()))
        parameters = sum(_parameters(path) for path in sorted(folder.glob("*.safetensors")))
        hidden, layers = _number(config, "hidden_size"), _number(config, "num_hidden_layers")
        vocabulary = _number(config, "vocab_size")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"The size of the model in {folder} cannot be read: {error}") from error
    if parameters == 0:
        raise WeightsError(f"{folder} has no weights.")
    return ModelSize(parameters, hidden, layers, vocabulary)


def estimate(
    size: ModelSize, recipe: Recipe, *, rows: int, tokens: int, steps: int, free_mb: int, gflops: float
) -> Estimate:
    """What `steps` over `rows` rows of `tokens` tokens each will take, at most.

    `free_mb` is the memory that can be had, `gflops` what the machine reaches at large products.
    """
    bytes_each = recipe.base.bits / 8 if recipe.base.bits else _BYTES[recipe.base.dtype]
    adapter = 2 * recipe.lora.rank * size.hidden * size.layers * 7
    at_once = min(recipe.train.batch_size, max(rows, 1))
    length = min(tokens, recipe.train.max_length)
    kept = _KEPT_WITH_CHECKPOINTS if recipe.train.checkpointing else _KEPT_A_TOKEN
    activations = at_once * length * size.hidden * size.layers * kept
    logits = at_once * length * size.vocabulary * 4 * 3
    memory = size.parameters * bytes_each + adapter * _ADAM_BYTES + activations + logits
    memory_mb = math.ceil(memory / _MB) + _LIBRARIES_MB
    # forward 2, gradients to the inputs 2 a weight and token; a third more where activations come again
    operations = 4 * size.parameters * (4 / 3 if recipe.train.checkpointing else 1)
    a_step = at_once * recipe.train.accumulate * length * operations / (gflops * _REACHED * 1e9)
    seconds = _START_SECONDS + steps * (_STEP_SECONDS + a_step)
    refusal = None
    if memory_mb > free_mb:
        refusal = (
            f"Training needs about {memory_mb:,} MB and {free_mb:,} MB are free: take a smaller model, a"
            f" smaller batch_size than {recipe.train.batch_size}"
            + ("" if recipe.train.checkpointing else ", checkpointing = true")
            + ("" if recipe.base.bits else ", or on a GPU bits = 4")
            + "."
        )
    return Estimate(memory_mb, round(seconds, 1), steps, refusal)


def measure_gflops(seconds: float = 0.2) -> float:
    """What this processor reaches at products of large float32 matrices, now, on the threads numpy has."""
    matrix = np.random.default_rng(0).standard_normal((384, 384), dtype=np.float32)
    product = matrix @ matrix
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        np.matmul(matrix, matrix, out=product)
        done += 1
    return max(2 * 384**3 * done / (time.perf_counter() - began) / 1e9, 0.1)


def _parameters(path: Path) -> int:
    """The weights in one safetensors file: its first eight bytes say how long its JSON header is."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER_LIMIT:
            raise ValueError(f"{path.name} is no safetensors file")
        header = cast(dict[str, dict[str, object]], json.loads(file.read(length)))
    return sum(
        math.prod(cast(list[int], tensor["shape"]))
        for name, tensor in header.items()
        if name != "__metadata__"
    )


def _number(config: dict[str, object], name: str) -> int:
    value = config[name]
    if not isinstance(value, int):
        raise ValueError(f"{name} is no number")
    return value
