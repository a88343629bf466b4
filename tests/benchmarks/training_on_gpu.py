"""The whole chain of an adapter on a GPU, with a model of real size and random weights.

    python tests/benchmarks/training_on_gpu.py [--size 1b|3b|7b] [--family llama|qwen2] [--facts N]
        [--processes N] [--recipe NAME] [--folder DIR] [--json FILE]

A model is made from a config (nothing is fetched), with a small tokenizer that has a chat template. Then the
product's own parts: dataset, estimate, training by the recipe (gpu-7b-qlora: 4-bit NF4, bfloat16, activations
computed again), a kill and going on from the checkpoint, ending on request, evaluation, export. Printed are
samples and tokens a second, and peak GPU memory beside the estimate. What it would learn is no measure here:
random weights know no language. --processes trains on so many GPUs through `accelerate launch`.

Needs: pip install -e '.[train,quantised]' with a torch that has CUDA; disk for two bytes a parameter.
Without a GPU it says so and ends with 2; with --cpu --size tiny it goes the same way on the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from learning_llama import made_up, tokenizer_of
from results import LEARNING, run_facts, write_results

from remanence.models.fitting import free_mb
from remanence.models.language_model import LoadRequest
from remanence.models.model_client import ModelProcess
from remanence.training import samples
from remanence.training.dataset import Material, build_dataset, read_general, read_questions, stage_files
from remanence.training.estimate import estimate, measure_gflops, size_of
from remanence.training.evaluation import ask_all
from remanence.training.export import write_lora
from remanence.training.hardware import as_it_can_be, gpu
from remanence.training.lora_weights import read_lora
from remanence.training.recipe import CareRecipe, CurriculumRecipe, Recipe, load_recipe
from remanence.training.run_folder import Progress, RunFolder, TrainingRun
from remanence.training.trainer import steps_of
from remanence.training.training_process import TrainingEnded, follow

NO_GPU = 2  # the exit status

_GPU_GFLOPS = 40_000.0
_SPEED = re.compile(r"'train_samples_per_second': '?([0-9.e+]+)")
_RUNTIME = re.compile(r"'train_runtime': '?([0-9.e+]+)")
_TOKENS = re.compile(r"'num_tokens': '?([0-9.e+]+)")
_ASKED = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """Of models that people run: Llama 3.2 and 3.1 or Qwen 2.5 of about that size."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool


SHAPES: dict[tuple[str, str], Shape] = {
    ("llama", "tiny"): Shape(64, 128, 2, 4, 2, 1024, tied=True),
    ("llama", "1b"): Shape(2048, 8192, 16, 32, 8, 128_256, tied=True),
    ("llama", "3b"): Shape(3072, 8192, 28, 24, 8, 128_256, tied=True),
    ("llama", "7b"): Shape(4096, 14_336, 32, 32, 8, 128_256, tied=False),
    ("qwen2", "tiny"): Shape(64, 128, 2, 4, 2, 1024, tied=True),
    ("qwen2", "1b"): Shape(1536, 8960, 28, 12, 2, 151_936, tied=True),
    ("qwen2", "3b"): Shape(2048, 11_008, 36, 16, 2, 151_936, tied=True),
    ("qwen2", "7b"): Shape(3584, 18_944, 28, 28, 4, 152_064, tied=False),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted({size for _, size in SHAPES}), default="7b")
    parser.add_argument("--family", choices=("llama", "qwen2"), default="llama")
    parser.add_argument("--facts", type=int, default=40, metavar="N")
    parser.add_argument("--epochs", type=int, default=1, metavar="N")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="one for each GPU")
    parser.add_argument("--recipe", default="gpu-7b-qlora", help="a shipped recipe or a file")
    parser.add_argument("--folder", type=Path, help="where to work, and to find the model again")
    parser.add_argument("--cpu", action="store_true", help="on the processor: the same code, for tests")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    import torch

    if not given.cpu and not torch.cuda.is_available():
        has = "there is a GPU, but this torch has no CUDA" if gpu() is not None else "no GPU was found"
        print(f"Nothing was measured: {has}. With --cpu --size tiny the same chain runs on the processor.")
        return NO_GPU
    if given.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # of the processes that are started, too
    with tempfile.TemporaryDirectory(prefix="remanence-gpu-") as name:
        figures = Chain(given, given.folder or Path(name)).run()
    if given.json:
        device = "processor" if given.cpu else torch.cuda.get_device_name(0)
        facts = run_facts(
            libraries=LEARNING, device=device, size=given.size, family=given.family, recipe=given.recipe
        )
        write_results(given.json, "training_on_gpu", facts, figures)
    return 0


class Chain:
    """One after the other, each told when it is done."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self._given = given
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._figures: dict[str, Any] = {}
        self._model = folder / f"{given.family}-{given.size}"
        self._facts = made_up(given.facts, 2)
        recipe = load_recipe(given.recipe)
        replace = msgspec.structs.replace
        base, self._note = as_it_can_be(recipe.base, None if given.cpu else gpu())
        self._recipe = replace(
            recipe,
            base=base,
            processes=given.processes,
            train=replace(recipe.train, epochs=given.epochs, patience=1000),
            care=CareRecipe(only_on_mains=False, threads=1 if given.cpu else 0),
            curriculum=CurriculumRecipe(facts_per_stage=given.facts, facts_per_run=given.facts),
        )

    def run(self) -> dict[str, Any]:
        if self._note:
            self._tell("otherwise than the recipe says", self._note)
        self._timed("model made, s", self._make_model)
        self._timed("dataset made, s", self._make_dataset)
        self._estimate()
        adapter = self._train()
        self._kill_and_go_on()
        self._end()
        self._evaluate(adapter)
        self._export(adapter)
        return self._figures

    def _make_model(self) -> None:
        if (self._model / "config.json").is_file():
            return
        import torch
        import transformers

        shape = SHAPES[self._given.family, self._given.size]
        kind, own = {
            "llama": (transformers.LlamaConfig, {"rope_theta": 500_000.0}),
            "qwen2": (transformers.Qwen2Config, {"rope_theta": 1_000_000.0}),
        }[self._given.family]
        tokenizer = tokenizer_of(
            [(s.question, s.answer) for fact in self._facts for s in samples.samples_of(fact)]
        )
        config: Any = kind(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=4096,
            tie_word_embeddings=shape.tied,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **own,
        )
        torch.manual_seed(0)
        with torch.device("cpu" if self._given.cpu else "cuda"):
            network: Any = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        partial = self._model.with_name(self._model.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        network.save_pretrained(partial, max_shard_size="4GB")
        tokenizer.save_pretrained(partial)
        partial.rename(self._model)
        del network
        if not self._given.cpu:
            torch.cuda.empty_cache()

    def _make_dataset(self) -> None:
        out = self._folder / "dataset"
        shutil.rmtree(out, ignore_errors=True)
        material = Material(current=self._facts, general=read_general())
        build_dataset(material, self._recipe, out, base=str(self._model), created_at=0)

    def _estimate(self) -> None:
        from tokenizers import Tokenizer

        (stage,) = stage_files(self._folder / "dataset")
        rows = [json.loads(line)["messages"] for line in stage.read_text(encoding="utf-8").splitlines()]
        count = Tokenizer.from_file(str(self._model / "tokenizer.json")).encode
        longest = max(len(count("\n".join(each["content"] for each in row)).ids) for row in rows)
        found = None if self._given.cpu else gpu()
        told = estimate(
            size_of(self._model),
            self._recipe,
            rows=len(rows),
            tokens=longest + 32,
            steps=steps_of(len(rows), self._recipe),
            free_mb=found.free_mb if found is not None else int(free_mb()),
            gflops=_GPU_GFLOPS if found is not None else measure_gflops(),
        )
        size = size_of(self._model)
        self._tell("parameters, millions", round(size.parameters / 1e6, 1))
        self._tell("rows", len(rows))
        self._tell("tokens of the longest row", longest)
        self._tell("estimated memory, MB", told.memory_mb)
        self._tell("estimated time, s", told.seconds)
        if told.refusal is not None:
            raise SystemExit(told.refusal)

    def _train(self) -> Path:
        run = self._run_of("whole", self._recipe)
        begun = time.perf_counter()
        last = follow(run, lambda _: None, lambda: False)
        seconds = time.perf_counter() - begun
        log = run.log.read_text(errors="replace")
        runtime = float(_RUNTIME.findall(log)[-1])
        tokens = [float(each) for each in _TOKENS.findall(log)]
        self._tell("trained, with loading and saving, s", round(seconds, 1))
        self._tell("steps", last.step)
        self._tell("samples/s", float(_SPEED.findall(log)[-1]))
        self._tell("tokens/s", round(max(tokens, default=0.0) / runtime, 1))
        self._tell("peak memory of the process, MB", last.peak_mb)
        if last.gpu_peak_mb:
            estimated = self._figures["estimated memory, MB"]
            self._tell("peak GPU memory, MB", last.gpu_peak_mb)
            self._tell("… of the estimate", round(last.gpu_peak_mb / estimated, 2))
        return run.adapter

    def _kill_and_go_on(self) -> None:
        """Kill it behind its first checkpoint; where it went on, and whether it was done."""
        run = self._run_of("killed", self._with_checkpoints())
        killed: list[int] = []

        def kill(progress: Progress) -> None:
            process = run.process()
            if not killed and process is not None and list(run.stage(0).glob("checkpoint-*/sealed.json")):
                killed.append(progress.step)
                for each in [*process.children(recursive=True), process]:
                    each.kill()
                process.wait(30)

        last = follow(run, kill, lambda: False)
        if not killed:
            self._tell("killed", "no: it was done before")
            return
        after = [each.step for each in run.history() if each.step][run_index(run, killed[0]) :]
        self._tell("killed at step", killed[0])
        self._tell("went on behind step", min(after, default=last.step) - 1)
        self._tell("state at the end", last.state)

    def _end(self) -> None:
        run = self._run_of("ended", self._with_checkpoints())
        asked: list[float] = []

        def should_end() -> bool:
            progress = run.progress()
            if progress is not None and progress.step >= 1:
                asked.append(time.perf_counter())
            return bool(asked)

        try:
            follow(run, lambda _: None, should_end)
        except TrainingEnded:
            self._tell("ended on request within, s", round(time.perf_counter() - asked[0], 2))

    def _evaluate(self, adapter: Path) -> None:
        questions = read_questions(self._folder / "dataset")[:_ASKED]
        process = ModelProcess("transformers")
        try:
            self._timed(
                "loaded for evaluation, s",
                lambda: process.load(
                    LoadRequest(
                        path=str(self._model),
                        bits=self._recipe.base.bits,
                        threads=self._recipe.care.threads,
                    )
                ),
            )
            for name, path in (("base", None), ("adapter", str(adapter))):
                process.use_adapter(path)
                begun = time.perf_counter()
                ask_all(process, questions, with_recall=False, cancelled=lambda: False)
                seconds = time.perf_counter() - begun
                self._tell(f"evaluation of the {name}, questions/s", round(len(questions) / seconds, 2))
        finally:
            process.close()

    def _export(self, adapter: Path) -> None:
        import gguf

        out = self._folder / "adapter.gguf"
        self._timed("exported, s", lambda: write_lora(read_lora(adapter, self._model), out, "benchmark"))
        self._tell("matrices in the GGUF", len(gguf.GGUFReader(out).tensors))
        self._tell("size of the GGUF, MB", round(out.stat().st_size / 2**20, 1))

    def _with_checkpoints(self) -> Recipe:
        train = msgspec.structs.replace(self._recipe.train, evaluate_every=2, epochs=2)
        return msgspec.structs.replace(self._recipe, train=train)

    def _run_of(self, name: str, recipe: Recipe) -> RunFolder:
        run = RunFolder(self._folder / f"run-{name}")
        shutil.rmtree(run.path, ignore_errors=True)
        run.create(
            TrainingRun(
                base=str(self._model),
                recipe=recipe,
                stages=[str(path) for path in stage_files(self._folder / "dataset")],
            )
        )
        return run

    def _timed(self, name: str, do: Callable[[], object]) -> None:
        begun = time.perf_counter()
        do()
        self._tell(name, round(time.perf_counter() - begun, 2))

    def _tell(self, name: str, value: float | str) -> None:
        self._figures[name] = value
        print(f"{name:<40} {value}", flush=True)


def run_index(run: RunFolder, killed_at: int) -> int:
    """Where the told steps go on after a kill."""
    steps = [each.step for each in run.history() if each.step]
    return steps.index(killed_at) + 1 if killed_at in steps else 0


if __name__ == "__main__":
    sys.exit(main())
