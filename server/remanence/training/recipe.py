"""How an adapter is trained and what it must show: read from a TOML file, checked field by field.

The recipes that come with Remanence are in `configs/training`, each with the reasons for its numbers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Purpose = Literal["facts", "operations"]
"""facts: what is remembered, to answer with. operations: to draw facts and to decide about them."""

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]

_SHIPPED = (
    Path(__file__).parent / "recipes",  # in an installed package
    Path(__file__).parents[3] / "configs" / "training",  # in a checkout
)


class RecipeError(Exception):
    """A recipe cannot be used; the message names the field and what it expects."""


class BaseRecipe(Struct, frozen=True, forbid_unknown_fields=True):
    """How the base model is loaded. `bits` 4 or 8 needs bitsandbytes; 0 keeps it whole."""

    bits: Literal[0, 4, 8] = 0
    dtype: Literal["float32", "bfloat16"] = "float32"


class LoraRecipe(Struct, frozen=True, forbid_unknown_fields=True):
    """`targets`: the linear layers adapted, "all-linear" or names of modules."""

    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.0
    targets: str | list[str] = "all-linear"


class TrainRecipe(Struct, frozen=True, forbid_unknown_fields=True):
    """`epochs` is how often each sample of a stage is seen, `replay` how many known rows go with each new
    one, `paraphrases` how many more ways to ask for a fact the user's own model, where there is one, is asked
    to write. `warmup` is a share of all steps. Held-out rows are asked every `evaluate_every` steps; training
    ends when they gained nothing for `patience` of these."""

    learning_rate: Annotated[float, Meta(gt=0, lt=1)] = 2e-4
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Share = 0.05
    batch_size: Count = 8
    accumulate: Count = 1
    epochs: Count = 8
    max_length: Annotated[int, Meta(ge=32)] = 1024
    checkpointing: bool = False
    replay: Annotated[float, Meta(ge=0, le=64)] = 2.0
    paraphrases: Annotated[int, Meta(ge=0, le=16)] = 0
    evaluate_every: Count = 50
    patience: Count = 3
    seed: int = 0


class CurriculumRecipe(Struct, frozen=True, forbid_unknown_fields=True):
    """New facts enter `facts_per_stage` at a time, the most confirmed first, `facts_per_run` in all."""

    facts_per_stage: Count = 20
    facts_per_run: Count = 200


class GateRecipe(Struct, frozen=True, forbid_unknown_fields=True):
    """What an adapter must show before it is activated by itself: shares of questions answered right on
    held-out paraphrases, how much more than the base, how much a general set may lose, and how often it
    may answer what was never said or no longer holds.

    Of one that is trained for operations: the share of its answers that are the JSON that was asked for
    though nothing holds it to that (one in twenty is asked again), the macro-F1 of its decisions (rules and
    people agree on no more), and of the facts it draws how many are right, and how many of all it finds: what
    is wrong costs more than what is left out."""

    least_learned: Share = 0.6
    least_gain: Share = 0.3
    most_general_loss: Share = 0.02
    most_stale: Share = 0.2
    most_invented: Share = 0.5
    least_valid: Share = 0.95
    least_decision_f1: Share = 0.7
    least_precision: Share = 0.5
    least_recall: Share = 0.3


class CareRecipe(Struct, frozen=True, forbid_unknown_fields=True):
    """When it may run: `only_on_mains` waits while a battery is drained, `only_when_idle` while other
    programs use more than half of the processor."""

    only_on_mains: bool = True
    only_when_idle: bool = False
    threads: Annotated[int, Meta(ge=0, le=256)] = 0


class Recipe(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to train. `processes` above 1 starts `accelerate launch`."""

    name: str
    about: str = ""
    processes: Count = 1
    base: BaseRecipe = BaseRecipe()
    lora: LoraRecipe = LoraRecipe()
    train: TrainRecipe = TrainRecipe()
    curriculum: CurriculumRecipe = CurriculumRecipe()
    gate: GateRecipe = GateRecipe()
    care: CareRecipe = CareRecipe()


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with Remanence, by name."""
    return {path.stem: path for path in _shipped_files()}


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, or the one in a file. Raises RecipeError in words."""
    path = shipped_recipes().get(name, Path(name).expanduser())
    if path.suffix != ".toml":
        known = ", ".join(sorted(shipped_recipes()))
        raise RecipeError(f"There is no recipe {name!r}: take one of {known}, or a .toml file.")
    try:
        return parse_recipe(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError, RecipeError) as error:
        raise RecipeError(f"{path}: {error}") from error


def parse_recipe(text: str) -> Recipe:
    """Raises RecipeError in words."""
    try:
        return msgspec.convert(tomllib.loads(text), Recipe)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RecipeError(str(error)) from error


def _shipped_files() -> Iterator[Path]:
    for folder in _SHIPPED:
        if folder.is_dir():
            yield from sorted(folder.glob("*.toml"))
            return
