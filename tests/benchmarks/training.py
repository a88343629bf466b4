"""Training: our trainer beside bare TRL, and what its numbers do: rate, targets, replay.

    python tests/benchmarks/training.py [speed] [rates] [targets] [replay] [table]
        [--quick] [--rounds N] [--seeds N] [--base FOLDER] [--recipe FILE] [--json FILE]

speed    samples a second and peak memory of our trainer and of TRL with PEFT alone (`bare_trl.py`), on the
         same rows with the same recipe, checkpoints and held-out rows, each in a process of its own, in turn,
         all at the same low priority; the ratio is the median over the rounds.
rates    learning rates from the 2e-5 of full fine-tuning to 1e-2, all else as the recipe has it.
targets  query and value alone, against all linear layers.
replay   how many known rows go with each new one.
table    before and after, with and without recall: see `training_table.py`.

What the sweeps train is the product's own dataset of 20 new facts, on a tiny Llama that knows 60 others
(`learning_llama.py`). They ask, in words that were never learned: new facts, old facts (half of which replay
may repeat, half never), general questions that are never repeated, and things never said. Each is one run of
the real trainer, without early stopping, so that all see every sample as often.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
from results import LEARNING, run_facts, write_results

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import learning_llama

from remanence.training import samples
from remanence.training.dataset import Material, build_dataset, read_general, read_questions, stage_files
from remanence.training.evaluation import Answered, Question
from remanence.training.recipe import CareRecipe, CurriculumRecipe, Recipe, load_recipe
from remanence.training.run_folder import RunFolder, TrainingRun

PARTS = ("speed", "rates", "targets", "replay", "table")
RATES = (2e-5, 5e-5, 2e-4, 5e-4, 1e-3, 3e-3, 1e-2)
QUICK_RATES = (5e-5, 3e-3)
REPLAYS = (0.0, 1.0, 2.0, 4.0)
TARGETS: dict[str, str | list[str]] = {"query and value": ["q_proj", "v_proj"], "all linear": "all-linear"}
NEW = learning_llama.made_up(20, 2)
_NEVER = learning_llama.made_up(30, 3)
_BARE = Path(__file__).with_name("bare_trl.py")
_NICENESS = 15
_SPEED = re.compile(r"'train_samples_per_second': '?([0-9.e+]+)")


@dataclass(frozen=True, slots=True)
class Trained:
    """One training process."""

    samples_per_s: float
    cpu_s: float
    seconds: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--quick", action="store_true", help="less of each: under two minutes")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of the speed")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each point of a sweep")
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="another model, for the table")
    parser.add_argument("--recipe", default="cpu-tiny", help="a shipped recipe or a file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = given.parts or (("speed", "rates") if given.quick else PARTS)
    figures: dict[str, Any] = {}
    load = os.getloadavg() if hasattr(os, "getloadavg") else (0.0,)
    with tempfile.TemporaryDirectory(prefix="remanence-training-") as name:
        folder = Path(name)
        recipe = plain(load_recipe(given.recipe))
        if "speed" in parts:
            figures["speed"] = speed(folder, recipe, 1 if given.quick else given.rounds, given.quick)
        sweeps = [each for each in ("rates", "targets", "replay") if each in parts]
        if sweeps:
            base = Known()
            figures["before"] = base.score(None)
            for each in sweeps:
                figures[each] = sweep(each, base, folder, recipe, given)
    if "table" in parts:
        import training_table

        import tiny_learner

        figures["table"] = training_table.measure(given.base or tiny_learner.folder(), given.recipe)
    if given.json:
        facts = run_facts(libraries=LEARNING, load=round(load[0], 2), recipe=given.recipe, seeds=given.seeds)
        write_results(given.json, "training", facts, figures)


def plain(recipe: Recipe) -> Recipe:
    """One thread, at once, all facts in one stage."""
    return msgspec.structs.replace(
        recipe,
        care=CareRecipe(only_on_mains=False, threads=1),
        curriculum=CurriculumRecipe(facts_per_stage=len(NEW), facts_per_run=len(NEW)),
    )


# Beside TRL


def speed(folder: Path, recipe: Recipe, rounds: int, quick: bool) -> dict[str, Any]:
    """Ours and the bare library's, one after the other, whoever was second being first in the next round."""
    train = msgspec.structs.replace(recipe.train, epochs=2 if quick else 6, patience=1000)
    run = prepared(folder / "speed", msgspec.structs.replace(recipe, train=train))
    ours: list[Trained] = []
    theirs: list[Trained] = []
    for number in range(rounds):
        for side in ("ours", "bare") if number % 2 else ("bare", "ours"):
            if side == "ours":
                again = RunFolder(folder / f"ours-{number}")
                again.create(run.read_run())
                ours.append(trained(["-m", "remanence.training.trainer", str(again.path)], again.log))
            else:
                out = folder / f"bare-{number}"
                out.mkdir()
                theirs.append(trained([str(_BARE), str(run.path), str(out)], out / "bare.log"))
    pairs = list(zip(ours, theirs, strict=True))
    found = {
        "ours": {name: _median([getattr(each, name) for each in ours]) for name in Trained.__slots__},
        "bare": {name: _median([getattr(each, name) for each in theirs]) for name in Trained.__slots__},
        "samples/s, times bare": _median([our.samples_per_s / bare.samples_per_s for our, bare in pairs]),
        "cpu, times bare": _median([our.cpu_s / bare.cpu_s for our, bare in pairs]),
        "peak, times bare": _median([our.peak_mb / bare.peak_mb for our, bare in pairs]),
        "rounds": rounds,
    }
    print(f"\n{'':<26}{'ours':>10}{'bare TRL':>10}{'ratio':>8}")
    for name, label, ratio in (
        ("samples_per_s", "samples/s in training", "samples/s, times bare"),
        ("cpu_s", "CPU seconds, all of it", "cpu, times bare"),
        ("peak_mb", "peak memory, MB", "peak, times bare"),
    ):
        print(f"{label:<26}{found['ours'][name]:10.1f}{found['bare'][name]:10.1f}{found[ratio]:8.3f}")
    return found


def trained(arguments: Sequence[str], log: Path) -> Trained:
    """One process to its end, at the priority that our trainer gives itself."""
    begun = time.perf_counter()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=file, stderr=file, preexec_fn=lambda: os.nice(_NICENESS)
        )
        _, status, used = os.wait4(process.pid, 0)
    text = log.read_text(errors="replace")
    if status != 0 or not (speeds := _SPEED.findall(text)):
        raise SystemExit(f"training ended with {status}:\n{text[-2000:]}")
    return Trained(
        samples_per_s=float(speeds[-1]),
        cpu_s=used.ru_utime + used.ru_stime,
        seconds=time.perf_counter() - begun,
        peak_mb=used.ru_maxrss / (2**20 if psutil.MACOS else 2**10),
    )


# Sweeps


class Known:
    """What is asked of every model of a sweep, and the base model that each adapter is put on."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(1)
        self._folder = str(learning_llama.folder())
        self._tokenizer: Any = AutoTokenizer.from_pretrained(self._folder)
        self._load = AutoModelForCausalLM.from_pretrained
        half = len(learning_llama.OLD) // 2
        general = [
            each for i, each in enumerate(read_general()) if i % 4 == 0
        ]  # never repeated: see dataset.py
        self.asked: dict[str, list[Question]] = {
            "new": [q for fact in NEW for q in samples.questions_of(fact) if q.kind == "paraphrase"],
            "new, reversed": [q for fact in NEW for q in samples.questions_of(fact) if q.kind == "reversed"],
            "old, repeated": _asked_of(learning_llama.OLD[:half]),
            "old, never repeated": _asked_of(learning_llama.OLD[half:]),
            "general": [Question(question=g.question, expected=g.expected, kind="general") for g in general],
            "never said": [samples.questions_of_unknown(each, each.subject)[0] for each in _NEVER],
        }

    def score(self, adapter: Path | None) -> dict[str, float]:
        """The share of each kind that is answered right."""
        model: Any = self._load(self._folder)
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(adapter))
        found: dict[str, float] = {}
        for kind, questions in self.asked.items():
            said = learning_llama.said_to(model, self._tokenizer, [each.question for each in questions])
            right = [Answered(each, one).is_right for each, one in zip(questions, said, strict=True)]
            found[kind] = round(statistics.mean(right), 3)
        return found


def _asked_of(facts: Sequence[Any]) -> list[Question]:
    chance = random.Random(5)
    return [chance.choice([q for q in samples.questions_of(f) if q.kind == "paraphrase"]) for f in facts]


def sweep(
    name: str, base: Known, folder: Path, recipe: Recipe, given: argparse.Namespace
) -> list[dict[str, Any]]:
    """One run for each value and seed, as a table."""
    replace = msgspec.structs.replace
    points: list[tuple[str, Recipe]] = []
    if name == "rates":
        rates = QUICK_RATES if given.quick else RATES
        points = [(f"{r:g}", replace(recipe, train=replace(recipe.train, learning_rate=r))) for r in rates]
    elif name == "targets":
        points = [(w, replace(recipe, lora=replace(recipe.lora, targets=t))) for w, t in TARGETS.items()]
    else:
        points = [(f"{r:g}", replace(recipe, train=replace(recipe.train, replay=r))) for r in REPLAYS]
    print(
        f"\n| {name} | " + " | ".join(base.asked) + " | steps | CPU s |\n|" + "---|" * (len(base.asked) + 3)
    )
    found: list[dict[str, Any]] = []
    for label, wanted in points:
        scores: list[dict[str, float]] = []
        last = Trained(0, 0, 0, 0)
        steps = 0
        for seed in range(given.seeds):
            train = replace(
                wanted.train, seed=seed, patience=1000, epochs=3 if given.quick else wanted.train.epochs
            )
            run = prepared(folder / f"{name}-{label}-{seed}", replace(wanted, train=train), held_out=False)
            last = trained(["-m", "remanence.training.trainer", str(run.path)], run.log)
            steps = getattr(run.progress(), "step", 0)
            scores.append(base.score(run.adapter))
        means = {kind: round(statistics.mean(each[kind] for each in scores), 3) for kind in base.asked}
        found.append({name: label, **means, "steps": steps, "cpu_s": round(last.cpu_s, 1)})
        cells = " | ".join(f"{value:.2f}" for value in means.values())
        print(f"| {label} | {cells} | {steps} | {last.cpu_s:.0f} |", flush=True)
    return found


def prepared(folder: Path, recipe: Recipe, *, held_out: bool = True) -> RunFolder:
    """A run over the product's dataset of the new facts, half of the old ones being repeated."""
    repeated = learning_llama.OLD[: len(learning_llama.OLD) // 2]
    material = Material(
        current=[*NEW, *repeated], known=frozenset(each.id for each in repeated), general=read_general()
    )
    base = str(learning_llama.folder())
    build_dataset(material, recipe, folder / "dataset", base=base, created_at=0)
    assert read_questions(folder / "dataset")
    run = RunFolder(folder / "run")
    run.create(
        TrainingRun(
            base=base,
            recipe=recipe,
            stages=[str(path) for path in stage_files(folder / "dataset")],
            held_out=str(folder / "dataset" / "held_out.jsonl") if held_out else None,
        )
    )
    return run


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


if __name__ == "__main__":
    main()
