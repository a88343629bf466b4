"""A benchmark's figures as JSON: what was measured, when, on how large a machine, with which versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import remanence

LEARNING = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")

_LIBRARIES = ("faiss-cpu", "numpy", "onnxruntime", "tantivy", "tokenizers")


def run_facts(*, libraries: Sequence[str] = (), **more: object) -> dict[str, object]:
    """What a reader needs to know of a run to compare it with another; nothing that names the machine.

    `libraries` are told beside the ones that every run needs, where they are installed.
    """
    installed = [name for name in libraries if importlib.util.find_spec(name) is not None]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "cores": cores,
            "ram_gb": round(psutil.virtual_memory().total / 2**30),
            "system": platform.system(),
        },
        "versions": {
            "python": platform.python_version(),
            "remanence": remanence.__version__,
            **{name: importlib.metadata.version(name) for name in (*_LIBRARIES, *installed)},
        },
        **more,
    }


def write_results(path: Path, benchmark: str, facts: dict[str, object], figures: dict[str, Any]) -> None:
    """Write {benchmark, run, figures}, which `compare_runs.py` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": benchmark, "run": facts, "figures": figures}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    beside = path.with_suffix(".part")
    beside.write_text(text + "\n", encoding="utf-8")
    os.replace(beside, path)
    print(f"\nwritten: {path}")
