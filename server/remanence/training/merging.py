"""Two adapters made into one with PEFT, in a process of its own: it alone imports torch.

    python -m remanence.training.merging FOLDER

FOLDER has a `merge.json` (Merge); the process writes `merged/` there, or why not into `trouble.txt`.

What two adapters add to the same weights gets in each other's way: the merged one must be evaluated like any
other. (Training on from the active adapter stacks what is learned without that loss.)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from remanence.training.adapters import Adapter, AdapterError
from remanence.training.base_model import BaseModelError, load_base
from remanence.training.dataset import Manifest
from remanence.training.recipe import BaseRecipe

Method = Literal["svd", "linear", "cat", "ties", "dare_ties"]
"""svd: the sum, cut down to the larger rank. cat: the sum, of both ranks together. linear: factor by factor,
of one rank, rough. ties, dare_ties: of one rank, without small or contrary changes (arXiv 2306.01708,
2311.03099).
"""

# Two adapters share much of what they change (cosine .48 where each learned five other facts). A whole sum
# doubles that: it kept .73 and .67 of the facts and .53 of the general answers, and declined .06 of what was
# never said. The mean kept .67 and .53, and all general answers, and declined .75; ties, which is a mean by
# itself, .60 and .47, all, and .75.
_MEAN, _WHOLE = (0.5, 0.5), (1.0, 1.0)
_AVERAGING = ("ties", "dare_ties")
_POLL_SECONDS = 0.2
_DENSITY = 0.5  # how much ties and dare_ties keep
_NICENESS = 15
_TROUBLE = "trouble.txt"
_PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")


class Merge(Struct, frozen=True, kw_only=True):
    """What is to be done: folders of PEFT adapters of the Hugging Face folder `base`, a weight for each."""

    base: str
    base_recipe: BaseRecipe
    adapters: list[str]
    weights: list[float]
    method: Method


class MergingEnded(Exception):
    """It was cancelled."""


def usual_weights(method: Method) -> list[float]:
    """What two adapters weigh where nothing else is asked: so that their mean is made."""
    return list(_WHOLE if method in _AVERAGING else _MEAN)


def check_mergeable(one: Adapter, other: Adapter, weights: Sequence[float]) -> None:
    """Raises AdapterError in words where these two cannot be merged."""
    if one.id == other.id:
        raise AdapterError(f"{one.id} cannot be merged with itself: name two adapters.")
    if one.base_hash != other.base_hash:
        raise AdapterError(
            f"{one.id} and {other.id} were trained on different models, {one.base} and {other.base}: only"
            " adapters of one model can be merged."
        )
    if one.purpose != other.purpose:
        raise AdapterError(f"{one.id} and {other.id} are for different purposes: they are not merged.")
    for each in (one, other):
        if each.is_outdated:
            raise AdapterError(f"{each.id} learned something that was forgotten since: it is not merged.")
    if len(weights) != 2 or not all(0 < weight <= 2 for weight in weights):
        raise AdapterError("weights: give one for each of the two adapters, above 0 and at most 2.")


def merged_manifest(one: Adapter, other: Adapter, method: Method, created_at: int) -> Manifest:
    """What both learned: forgetting any of it marks the merged one too."""
    first, second = one.manifest, other.manifest
    facts = list(dict.fromkeys([*first.facts, *second.facts]))
    return Manifest(
        created_at=created_at,
        base=first.base,
        recipe=f"merged by {method}",
        facts=facts,
        known=[each for each in dict.fromkeys([*first.known, *second.known]) if each not in set(facts)],
        exchanges=sorted({*first.exchanges, *second.exchanges}),
        stages=first.stages + second.stages,
        rows=first.rows + second.rows,
        by_form=dict(Counter(first.by_form) + Counter(second.by_form)),
        questions={},
        sha256={},
        left_out={},
        purpose=first.purpose,
    )


def merge(asked: Merge, folder: Path, cancelled: Callable[[], bool]) -> Path:
    """Have a process merge them into a folder within `folder`, which is there; gives that folder.

    Raises AdapterError in words, MergingEnded once `cancelled`, OSError.
    """
    (folder / "merge.json").write_bytes(msgspec.json.encode(asked))
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    log = folder / "merge.log"
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "remanence.training.merging", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, **offline},
        )
    try:
        while process.poll() is None:
            if cancelled():
                raise MergingEnded
            time.sleep(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    merged = folder / "merged"
    if process.returncode != 0 or not all((merged / name).is_file() for name in _PEFT_FILES):
        trouble = folder / _TROUBLE
        words = trouble.read_text(encoding="utf-8") if trouble.is_file() else "the process ended too early"
        raise AdapterError(f"The adapters cannot be merged: {words}")
    return merged


def main(arguments: Sequence[str]) -> int:
    """Merge; 0 when done, 1 where it failed, with the reason in a file."""
    folder = Path(arguments[0])
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        _merge(msgspec.json.decode((folder / "merge.json").read_bytes(), type=Merge), folder / "merged")
    except Exception as error:  # noqa: BLE001  PEFT's errors are untyped, and each must be told
        (folder / _TROUBLE).write_text(_in_words(error), encoding="utf-8")
        return 1
    return 0


def _merge(asked: Merge, out: Path) -> None:
    import torch
    from peft import PeftModel

    torch.manual_seed(0)  # dare_ties draws what it leaves out
    model, _ = load_base(Path(asked.base), asked.base_recipe)
    names = [f"part{number}" for number in range(len(asked.adapters))]
    adapted = cast(Any, PeftModel.from_pretrained(model, asked.adapters[0], adapter_name=names[0]))
    for name, path in zip(names[1:], asked.adapters[1:], strict=True):
        adapted.load_adapter(path, adapter_name=name)
    density = _DENSITY if asked.method in _AVERAGING else None
    adapted.add_weighted_adapter(
        names, asked.weights, "default", combination_type=asked.method, density=density
    )
    adapted.save_pretrained(str(out), selected_adapters=["default"])


def _in_words(error: Exception) -> str:
    """Short; PEFT says which ranks or layers do not go together."""
    if isinstance(error, BaseModelError | ValueError):
        return str(error)
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return "the memory did not suffice."
    if isinstance(error, OSError):
        return f"a file could not be read or written: {error.strerror or type(error).__name__}."
    if isinstance(error, ImportError):
        return "PEFT is not installed: pip install 'remanence[train]'."
    return f"{type(error).__name__}."


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main(sys.argv[1:]))
