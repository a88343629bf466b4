"""What this machine has for training: said without torch, which takes seconds to import."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass

import msgspec

from remanence.training.recipe import BaseRecipe

_HAS_BFLOAT16 = 8.0  # NVIDIA's compute capability from which a GPU computes it
_ASK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Gpu:
    """The memory that is free of the GPU which has most, and what it can compute."""

    free_mb: int
    capability: float


def gpu() -> Gpu | None:
    """What the driver's own program says; None where there is no such GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    asked = [program, "--query-gpu=memory.free,compute_cap", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False).stdout
        found = [Gpu(int(free), float(can)) for free, can in (line.split(",") for line in said.splitlines())]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return max(found, key=lambda each: each.free_mb, default=None)


def as_it_can_be(
    wanted: BaseRecipe, found: Gpu | None, *, has_bitsandbytes: bool | None = None
) -> tuple[BaseRecipe, str]:
    """How a base can be loaded here, and in words what is otherwise than wanted; empty where nothing is.

    Look at the memory again where it is otherwise.
    """
    if has_bitsandbytes is None:
        has_bitsandbytes = importlib.util.find_spec("bitsandbytes") is not None
    notes: list[str] = []
    bits, dtype = wanted.bits, wanted.dtype
    if bits and not has_bitsandbytes:
        notes.append(
            f"bitsandbytes is not installed (pip install 'remanence[quantised]'): the model is loaded whole,"
            f" not in {bits} bits"
        )
        bits = 0
    if dtype == "bfloat16" and found is not None and found.capability < _HAS_BFLOAT16:
        notes.append("this GPU does not compute bfloat16: float32 is taken, which needs twice the memory")
        dtype = "float32"
    return msgspec.structs.replace(wanted, bits=bits, dtype=dtype), "; ".join(notes)
