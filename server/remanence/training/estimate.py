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
_LIBRARIES_MB = 700  # torch, transformers, PEFT and TRL with nothing loaded (measured: 580 to 690)
_HEADER_LIMIT = 100 * _MB
_BYTES = {"float32": 4.0, "bfloat16": 2.0}
_SCALES_BYTES = 4 / 64  # of 4-bit weights: a float32 for each 64
_QUANTISED_APART = 4.0  # what is not quantised (embeddings, head) is trained beside in float32
_ADAM_BYTES = 16.0  # a trained weight in float32, its gradient, and two moments
_KEPT_A_TOKEN = 34  # bytes kept for the way back, a hidden unit, layer and token (arXiv 2205.05198, 16 bits)
_KEPT_WITH_CHECKPOINTS = 2  # what goes into a layer; the rest of one layer is there at a time
_START_SECONDS = 12.0  # imports, loading, saving (measured: 8 to 15)
_STEP_SECONDS = 0.07  # what a step takes however small the model (measured: .05 to .1)
_REACHED = (
    0.35  # of a processor's speed at large products, by training (measured on 0.8 million to 1 billion)
)


class WeightsError(Exception):
    """The weights' headers cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What a Hugging Face folder says of itself. `embedded` are the parameters of embeddings and head,
    `adapted` the widths, in and out, of all linear layers: a LoRA of rank 1 has so many weights. Where these
    are 0 they are guessed."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int
    embedded: int = 0
    adapted: int = 0


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
        shapes = [shape for path in sorted(folder.glob("*.safetensors")) for shape in _shapes(path)]
        hidden, layers = _number(config, "hidden_size"), _number(config, "num_hidden_layers")
        vocabulary = _number(config, "vocab_size")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"The size of the model in {folder} cannot be read: {error}") from error
    parameters = sum(map(math.prod, shapes))
    if parameters == 0:
        raise WeightsError(f"{folder} has no weights.")
    embeddings = [shape for shape in shapes if len(shape) == 2 and vocabulary in shape]
    linear = [shape for shape in shapes if len(shape) == 2 and vocabulary not in shape]
    embedded, adapted = sum(map(math.prod, embeddings)), sum(map(sum, linear))
    return ModelSize(parameters, hidden, layers, vocabulary, embedded, adapted)


def estimate(
    size: ModelSize, recipe: Recipe, *, rows: int, tokens: int, steps: int, free_mb: int, gflops: float
) -> Estimate:
    """What `steps` over `rows` rows of `tokens` tokens each will take, at most.

    `free_mb` is the memory that can be had, `gflops` what the machine reaches at large products.
    """
    bits, wide = recipe.base.bits, recipe.base.dtype == "float32"
    base = size.parameters * _BYTES[recipe.base.dtype]
    if bits:
        apart = size.embedded or size.vocabulary * size.hidden
        base = (size.parameters - apart) * (bits / 8 + _SCALES_BYTES) + apart * _QUANTISED_APART
    adapter = recipe.lora.rank * (size.adapted or 2 * size.hidden * size.layers * 7)
    at_once = min(recipe.train.batch_size, max(rows, 1))
    length = min(tokens, recipe.train.max_length)
    kept = size.layers * _KEPT_A_TOKEN
    if recipe.train.checkpointing:
        kept = size.layers * _KEPT_WITH_CHECKPOINTS + _KEPT_A_TOKEN
    activations = at_once * length * size.hidden * kept * (2 if wide else 1)
    logits = at_once * length * size.vocabulary * 4 * 3
    memory = base + adapter * _ADAM_BYTES + activations + logits
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


def _shapes(path: Path) -> list[list[int]]:
    """Of the weights in one safetensors file: its first eight bytes say how long its JSON header is."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _HEADER_LIMIT:
            raise ValueError(f"{path.name} is no safetensors file")
        header = cast(dict[str, dict[str, object]], json.loads(file.read(length)))
    return [cast(list[int], each["shape"]) for name, each in header.items() if name != "__metadata__"]


def _number(config: dict[str, object], name: str) -> int:
    value = config[name]
    if not isinstance(value, int):
        raise ValueError(f"{name} is no number")
    return value
