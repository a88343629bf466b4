"""Two adapters of the tiny learner, each taught the ports of other services, by the product's own dataset and
trainer: what merging is tried on. Made once, in about a minute, and kept in the repository's cache.

python tiny_pair.py FOLDER
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import tiny_learner
import tiny_model
import tiny_reader
from remanence.memory.fact import Fact
from remanence.memory.fact_rules import draft_facts
from remanence.training.dataset import Material, build_dataset, read_general, stage_files
from remanence.training.recipe import parse_recipe
from remanence.training.run_folder import RunFolder, TrainingRun
from tiny_learner import SERVICES, Service

TAUGHT = {"one": SERVICES[:5], "other": SERVICES[5:10]}
SAID_AT = 1_750_000_000_000
RECIPE = """
name = "pair"
[train]
learning_rate = 3e-3
batch_size = 16
epochs = 16
max_length = 512
replay = 4.0
warmup = 0.03
evaluate_every = 1000
[care]
only_on_mains = false
threads = 1
"""


def adapter(name: str) -> Path:
    """The PEFT adapter that was taught TAUGHT[name]."""
    return _made() / name


def main(folder: Path) -> None:
    recipe = parse_recipe(RECIPE)
    base = str(tiny_learner.folder())
    for name, services in TAUGHT.items():
        work = folder / f"{name}-run"
        material = Material(current=_facts(services), general=read_general())
        build_dataset(material, recipe, work / "dataset", base=base, created_at=0)
        stages = [str(path) for path in stage_files(work / "dataset")]
        run = RunFolder(work / "run")
        run.path.mkdir()
        held_out = str(work / "dataset" / "held_out.jsonl")
        run.create(TrainingRun(base=base, recipe=recipe, stages=stages, held_out=held_out))
        subprocess.run([sys.executable, "-m", "remanence.training.trainer", str(run.path)], check=True)
        run.adapter.rename(folder / name)


def _facts(services: Sequence[Service]) -> list[Fact]:
    found: list[Fact] = []
    for service in services:
        (draft,) = draft_facts(service.said, "Noted.", SAID_AT)
        found.append(tiny_reader.as_fact(draft, SAID_AT, f"said of {service.name}"))
    return found


@functools.cache
def _made() -> Path:
    recipe = (tiny_learner.folder().parents[1].name,)  # another learner has other adapters
    return tiny_model.made("tiny_pair", "made", Path(__file__), recipe=recipe)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
