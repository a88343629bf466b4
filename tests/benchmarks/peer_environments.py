"""The systems that recall is compared with, and an environment of its own for each.

An environment is made once, under .cache/peers/NAME, with pip; `PIP_FLAGS` reaches it. What runs the shared
embedder has the same versions everywhere: those of configs/constraints.txt.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from vector_cache import CACHE, ROOT

PLACE = CACHE / "peers"
_CONSTRAINTS = ROOT / "configs" / "constraints.txt"
_EMBEDDING = ("numpy", "onnxruntime", "tokenizers", "msgspec")
_TORCH = ("torch", "transformers")


@dataclass(frozen=True)
class System:
    """`module` is its file in peer_processes. Without `requirements` it runs in Remanence's environment."""

    name: str
    title: str
    module: str
    requirements: tuple[str, ...] = ()
    needs_torch: bool = False
    by_meaning: bool = True  # whether it needs vectors at all


REMANENCE = System("remanence", "Remanence", "remanence_over_lsp")
IN_PROCESS = System("in_process", "Remanence, in process", "remanence_in_process")
SYSTEMS = [
    REMANENCE,
    IN_PROCESS,
    System("prototype", "prototype", "prototype"),
    System("tantivy", "tantivy alone", "tantivy", ("tantivy==0.27.0",), by_meaning=False),
    System("chroma", "Chroma", "chroma", ("chromadb==1.5.9",)),
    System("lancedb", "LanceDB hybrid", "lancedb", ("lancedb==0.40.0",)),
    System("txtai", "txtai hybrid", "txtai", ("txtai==9.14.0",), needs_torch=True),
    System("mempalace", "MemPalace", "mempalace", ("mempalace==3.11.0",)),
    System("mem0", "mem0, infer=False", "mem0", ("mem0ai==2.2.1",)),
]


class NotInstalled(Exception):
    """An environment could not be made; the message says what pip said."""


def environment(system: System) -> Path:
    """The system's Python, in an environment that has all of it. Raises NotInstalled."""
    if not system.requirements:
        return Path(sys.executable)
    folder = PLACE / system.name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = _pins(_EMBEDDING + (_TORCH if system.needs_torch else ()))
    wanted = [*system.requirements, *pins]
    marker = folder / "installed.json"
    if marker.exists() and json.loads(marker.read_text()) == wanted:
        return python
    print(f"installing {system.title} into {folder} (once) …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += shlex.split(os.environ.get("PIP_FLAGS", ""))
    if system.needs_torch:  # by itself first: asked for with the rest, pip may choose another build of it
        _run([*install, *(pin for pin in pins if pin.startswith("torch=="))])
    _run([*install, *wanted])
    marker.write_text(json.dumps(wanted))
    return python


def _pins(names: tuple[str, ...]) -> list[str]:
    lines = _CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.split("==")[0] in names]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = re.findall(r"^ERROR: .*$", done.stderr, re.MULTILINE) or done.stderr.strip().splitlines()
        raise NotInstalled(said[0] if said else f"{command[2]} ended with status {done.returncode}")
