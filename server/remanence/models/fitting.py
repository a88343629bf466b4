"""Whether a language model fits into memory beside what is there, and in words what would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from remanence.models.choosing import Chosen
from remanence.models.gguf_header import GGUFHeader, read_header
from remanence.models.profiles import largest_within

_SHARE = 1.3  # a loaded model against its file: the rest is its window and what it works with
_WORK_SHARE = 0.05  # what it works with
_WINDOW_SHARE = 0.25  # of the file's size is what a window that nobody asked for may take,
_LEAST_WINDOW = 2048  # but no smaller than so many tokens
_WITH_HEADER = ("ctransformers", "llama_cpp")
_WORKER_MB = 60.0  # the worker with a small library, before it loads anything
_HEAVY_WORKER_MB = {"transformers": 450.0}
_MB = 2**20


@dataclass(frozen=True, slots=True)
class Demand:
    """What a model is expected to take, in MB: its worker, a file or folder of `size_mb`, its window."""

    id: str
    size_mb: float
    worker_mb: float
    window_mb: float = 0.0

    @property
    def mb(self) -> float:
        """All of it."""
        with_window = self.size_mb * (1 + _WORK_SHARE) + self.window_mb
        return max(self.size_mb * _SHARE, with_window) + self.worker_mb


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many models, at most so many MB of them, and so many MB that the machine has free."""

    models: int
    models_mb: float
    free_mb: float


def demand_of(id: str, size_bytes: int, backend: str, window_mb: float = 0.0) -> Demand:
    """Of a file or folder of so many bytes."""
    return Demand(id, size_bytes / _MB, _HEAVY_WORKER_MB.get(backend, _WORKER_MB), window_mb)


def window_of(path: Path, chosen: Chosen, wanted: int, most: int) -> tuple[int, float]:
    """How many tokens a model gets in view, and what they take in MB as far as that is taken at once.

    `wanted` where the settings say it, else at most `most`, less where they would take much beside the model.
    """
    own = chosen.context or most
    if chosen.backend not in _WITH_HEADER:
        return wanted or min(own, most), 0.0
    each = _token_bytes(read_header(path))
    room = max(int(chosen.size_bytes * _WINDOW_SHARE / each) // 256 * 256, _LEAST_WINDOW)
    tokens = min(wanted or min(most, room), own)
    return tokens, tokens * each / _MB


def _token_bytes(header: GGUFHeader) -> int:
    """The keys and values of one token, in 16 bits."""
    name = header.architecture
    layers = header.number(f"{name}.block_count", 32)
    heads = max(1, header.number(f"{name}.attention.head_count", 1))
    width = header.number(f"{name}.embedding_length", 4096) // heads
    keys = header.number(f"{name}.attention.key_length", width)
    values = header.number(f"{name}.attention.value_length", width)
    shared = header.number(f"{name}.attention.head_count_kv", heads)
    return max(2 * layers * shared * (keys + values), 1)


def free_mb() -> float:
    """What the machine could give now without swapping."""
    return psutil.virtual_memory().available / _MB


def fits(new: Demand, beside: Sequence[Demand], limits: Limits) -> bool:
    """Whether the new one may be loaded beside those that stay. What these take is no longer free."""
    return (
        len(beside) < limits.models
        and sum(each.mb for each in beside) + new.mb <= limits.models_mb
        and new.mb <= limits.free_mb
    )


def refusal(new: Demand, beside: Sequence[Demand], limits: Limits) -> str:
    """Why it does not fit beside these, which are in use, and what would."""
    taken = sum(each.mb for each in beside)
    busy = " and ".join(each.id for each in beside)
    if len(beside) >= limits.models:
        are = "are" if len(beside) > 1 else "is"
        return (
            f"{new.id} cannot be loaded while {busy} {are} in use: at most {limits.models} at a time"
            " (`most_loaded`). Ask again when the answer is there."
        )
    if limits.free_mb < limits.models_mb - taken:
        room, remedy = limits.free_mb, "close other programs"
        why = f"{max(limits.free_mb, 0):,.0f} MB of memory are free"
    else:
        room, remedy = limits.models_mb - taken, "raise `most_mb`"
        why = f"models may take {limits.models_mb:,.0f} MB" + (
            f", of which {taken:,.0f} are in use ({busy})" if busy else ""
        )
    needs = f"{new.id} needs about {new.mb:,.0f} MB (its file has {new.size_mb:,.0f})"
    return f"{needs}, and {why}. {_what_would_fit(room - new.worker_mb)}, or {remedy}."


def _what_would_fit(room_mb: float) -> str:
    size = room_mb / _SHARE
    if size < 1:
        return "None would fit now: unload a model"
    known = largest_within(size)
    example = f", such as {known.name} {known.quantisation} ({known.size_mb:,} MB)" if known else ""
    return f"A file of up to {size:,.0f} MB would fit{example}"
