"""What a language model costs through Remanence, beside its library alone in the same run.

    python tests/benchmarks/language_models.py [--model FILE] [--second FILE] [--folder DIR] [--json FILE]

Two parts. Each backend: load, first token, tokens/s and unload through our worker process, in turn with a
program that uses the bare library, both loaded all the while; the ratio is of one run, its median over the
rounds. Cancelling is timed while the model writes and, half-way, while it reads a long prompt: the longest of
five. Then the whole: a real language server and engine, the memory of every process before, while and after
a model is loaded, asked, switched and unloaded, beside the five figures the user's own planning had set.

Without --model the tests' tiny Llama is taken: its tokens take microseconds, so what is seen of us is at its
worst. --folder is a Hugging Face folder, for transformers. Absolute times are noisy on a shared machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from language_model_processes import ENDS, Whole, measure_whole
from results import run_facts, write_results

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tiny_llama
from remanence.models.choosing import choose_backend
from remanence.models.language_model import ChatMessage, Generation, LanguageModelError, LoadRequest, Usage
from remanence.models.model_client import ModelProcess

_BARE = Path(__file__).with_name("bare_language_model.py")
_CONTEXT = 512
_LONG = 400  # tokens of a prompt that takes a while to read
_STORY = "Write a very long story about a lighthouse keeper and the sea, with many chapters."


@dataclass(frozen=True, slots=True)
class Written:
    """One generation."""

    first_s: float
    seconds: float
    tokens: int

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (self.tokens - 1) / (self.seconds - self.first_s) if self.tokens > 1 else 0.0


class Bare:
    """The program that uses the library alone."""

    def __init__(self, backend: str, path: Path, threads: int) -> None:
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, str(_BARE), backend, str(path), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read()
        self.load_s = time.perf_counter() - begun

    def write(self, prompt: str, tokens: int) -> Written:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"prompt": prompt, "tokens": tokens}) + "\n")
        self._process.stdin.flush()
        return Written(**self._read())

    def rss_mb(self) -> float:
        return psutil.Process(self._process.pid).memory_info().rss / 2**20

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the program with the bare library ended: run it by hand to see why")
        return json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a GGUF file; without it the tests' tiny one")
    parser.add_argument("--second", type=Path, help="another, to switch to; without it the tiny one")
    parser.add_argument("--folder", type=Path, help="a Hugging Face folder; without it the tiny one")
    parser.add_argument("--backend", nargs="+", choices=["ctransformers", "llama_cpp", "transformers"])
    parser.add_argument("--tokens", type=int, default=300, metavar="N", help="written in each round")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    given = parser.parse_args()
    is_tiny = given.model is None
    prompt = tiny_llama.ENDLESS if is_tiny else _STORY
    figures: dict[str, Any] = {}
    for backend in given.backend or ("ctransformers", "llama_cpp", "transformers"):
        path = _path(backend, given.model, given.folder)
        if path is not None:
            figures[backend] = _beside_the_library(backend, path, prompt, given)
            _print(f"{backend}, {path.name}", figures[backend])
    first = given.model or tiny_llama.gguf("Q8_0")
    second = given.second or tiny_llama.gguf("Q4_0")
    whole = asyncio.run(measure_whole(first, second, prompt, given.tokens, given.threads))
    figures["whole"] = asdict(whole)
    _print_whole(whole, first)
    if given.json:
        facts = run_facts(model=first.name, second=second.name, tokens=given.tokens, rounds=given.rounds)
        write_results(given.json, "language_models", facts, figures)


def _path(backend: str, model: Path | None, folder: Path | None) -> Path | None:
    """What this backend is measured on; None, said why, where there is nothing for it."""
    if backend == "transformers":
        return folder or (tiny_llama.folder() if model is None else None)
    path = model or tiny_llama.gguf("Q8_0")
    try:
        choose_backend(path, backend)
    except LanguageModelError as error:
        print(f"\n{backend}: {error}")
        return None
    return path


def _beside_the_library(backend: str, path: Path, prompt: str, given: argparse.Namespace) -> dict[str, float]:
    loads: list[float] = []
    unloads: list[float] = []
    bare_loads: list[float] = []
    for _ in range(3):
        model = ModelProcess(backend)
        loads.append(_load(model, path, given.threads))
        begun = time.perf_counter()
        model.close()
        unloads.append(time.perf_counter() - begun)
        bare = Bare(backend, path, given.threads)
        bare_loads.append(bare.load_s)
        bare.end()
    model, bare = ModelProcess(backend), Bare(backend, path, given.threads)
    try:
        _load(model, path, given.threads)
        ours: list[Written] = []
        theirs: list[Written] = []
        _write(model, prompt, 8)
        bare.write(prompt, 8)
        for number in range(given.rounds):
            if number % 2:
                theirs.append(bare.write(prompt, given.tokens))
            ours.append(_write(model, prompt, given.tokens))
            if not number % 2:
                theirs.append(bare.write(prompt, given.tokens))
        return {
            "load_s": statistics.median(loads),
            "bare_load_s": statistics.median(bare_loads),
            "unload_s": max(unloads),
            "first_token_ms": statistics.median(each.first_s for each in ours) * 1e3,
            "bare_first_token_ms": statistics.median(each.first_s for each in theirs) * 1e3,
            "tokens_per_s": statistics.median(each.rate for each in ours),
            "bare_tokens_per_s": statistics.median(each.rate for each in theirs),
            "rate_times_bare": statistics.median(
                our.rate / bare_one.rate for our, bare_one in zip(ours, theirs, strict=True)
            ),
            "cancel_ms": max(_cancel(model, prompt, given.tokens) for _ in range(5)) * 1e3,
            **_reading(model, bare),
            "worker_rss_mb": model.rss_mb,
            "bare_rss_mb": bare.rss_mb(),
        }
    finally:
        model.close()
        bare.end()


def _load(model: ModelProcess, path: Path, threads: int) -> float:
    begun = time.perf_counter()
    model.load(LoadRequest(path=str(path), context=_CONTEXT, threads=threads))
    return time.perf_counter() - begun


def _write(model: ModelProcess, prompt: str, tokens: int) -> Written:
    asked = Generation(messages=(ChatMessage("user", prompt),), max_tokens=tokens)
    begun = time.perf_counter()
    first_at = 0.0
    written = 0
    for part in model.generate(asked, lambda: False):
        first_at = first_at or time.perf_counter()
        if isinstance(part, Usage):
            written = part.written_tokens
    return Written(first_at - begun, time.perf_counter() - begun, written)


def _cancel(model: ModelProcess, prompt: str, tokens: int) -> float:
    """Seconds from cancelling an answer until it has ended."""
    cancelled = threading.Event()
    asked = Generation(messages=(ChatMessage("user", prompt),), max_tokens=tokens)
    parts = model.generate(asked, cancelled.is_set)
    next(parts)
    begun = time.perf_counter()
    cancelled.set()
    for _ in parts:
        pass
    return time.perf_counter() - begun


def _reading(model: ModelProcess, bare: Bare) -> dict[str, float]:
    """Milliseconds until a long prompt is read, and from cancelling that half-way until it has ended."""
    prompts = [_long_prompt(model, number) for number in range(8)]
    theirs = statistics.median(bare.write(prompt, 1).first_s for prompt in prompts[:3])
    ours = statistics.median(_write(model, prompt, 1).first_s for prompt in prompts[:3])
    ends = [_cancelled_at(model, prompt, ours / 2) for prompt in prompts[3:]]
    return {
        "reading_ms": ours * 1e3,
        "bare_reading_ms": theirs * 1e3,
        "cancel_reading_ms": max(ends) * 1e3,
    }


def _long_prompt(model: ModelProcess, number: int) -> str:
    """Of which no other number's has the beginning: that would be read already."""
    prompt = f"{number} {number * 7919}"
    while model.count_tokens(prompt) < _LONG:
        prompt += f" {_STORY}"
    return prompt


def _cancelled_at(model: ModelProcess, prompt: str, seconds: float) -> float:
    """Seconds from cancelling, so many seconds after asking, until the request has ended."""
    cancelled = threading.Event()
    at = time.perf_counter() + seconds
    timer = threading.Timer(seconds, cancelled.set)
    timer.start()
    asked = Generation(messages=(ChatMessage("user", prompt),), max_tokens=1)
    for _ in model.generate(asked, cancelled.is_set):
        pass
    ended = time.perf_counter()
    timer.cancel()
    return max(0.0, ended - at)


def _print(title: str, figures: dict[str, float]) -> None:
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name:<24}{value:12.3f}" if value < 10 else f"  {name:<24}{value:12.1f}")


def _print_whole(whole: Whole, model: Path) -> None:
    print(f"\nevery process, in MB, with {model.name} ({model.stat().st_size / 2**20:,.1f} MB)")
    print(f"  {'':<28}{'door':>8}{'engine':>8}{'worker':>8}{'all':>8}")
    for moment in whole.moments:
        parts = (moment.door_mb, moment.engine_mb, moment.worker_mb, moment.all_mb)
        print(f"  {moment.name:<28}" + "".join(f"{part:8.0f}" for part in parts))
    print(f"\n  {'':<46}{'planned':>12}{'here':>12}")
    for name, planned, here, unit in (
        ("memory at start", f"< {ENDS.start_mb}", whole.start_mb, "MB"),
        ("memory in normal use", f"< {ENDS.normal_mb}", whole.normal_mb, "MB"),
        ("peak while a model loads", f"< {ENDS.peak_mb}", whole.peak_mb, "MB"),
        ("… of it without the model's own process", "", whole.peak_without_worker_mb, "MB"),
        ("unload", f"< {ENDS.unload_s:g}", whole.unload_s, "s"),
        ("switch, to the other's first token", f"< {ENDS.switch_s:g}", whole.switch_s, "s"),
    ):
        print(f"  {name:<46}{planned:>12}{here:12.2f} {unit}")
    print(f"  first token, model loaded, through the engine: {whole.first_token_s * 1e3:.0f} ms")
    print(f"  load, by the verb: {whole.load_s:.2f} s")


if __name__ == "__main__":
    main()
