"""A model is prepared in a child process, which alone imports torch."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from remanence.engine.verbs import EngineError

_POLL_SECONDS = 0.1


class _Line(msgspec.Struct):
    progress: float
    message: str


_DECODER = msgspec.json.Decoder(_Line)


def export_in_child(
    module: str, kind: str, model: str, folder: Path, report: Callable[[float, str], None]
) -> None:
    """Run an export module on a model and follow it. `report` may raise, which ends the child.

    Raises EngineError with the child's last words.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module, model, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    noise: list[str] = []
    said: list[str] = []
    drains = [
        threading.Thread(target=lambda: noise.extend(child.stderr or ()), daemon=True),
        threading.Thread(target=lambda: said.extend(child.stdout or ()), daemon=True),
    ]
    for drain in drains:
        drain.start()
    try:
        while child.poll() is None:
            latest = _DECODER.decode(said[-1]) if said else _Line(0.0, "starting")
            report(latest.progress, latest.message)  # also learns here that it was cancelled
            time.sleep(_POLL_SECONDS)
    finally:
        child.kill()
        code = child.wait()
        for drain in drains:
            drain.join(timeout=5)
    if code != 0:
        last = next((line.strip() for line in reversed(noise) if line.strip()), "no reason given")
        raise EngineError("unavailable", f"The {kind} {model} could not be prepared: {last}")
