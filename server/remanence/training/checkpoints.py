"""Checkpoints that are known to be whole: a kill, or a full disk, leaves some that are not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import cast

_SEAL = "sealed.json"
_BLOCK = 1 << 20


def seal(checkpoint: Path) -> None:
    """Have every file of a checkpoint on the disk, then note what is in it. Raises OSError."""
    files = [path for path in sorted(checkpoint.iterdir()) if path.name != _SEAL]
    for path in files:
        with path.open("r+b") as file:
            os.fsync(file.fileno())
    found = {path.name: _hash(path) for path in files}
    partial = checkpoint / f"{_SEAL}.partial"
    with partial.open("w", encoding="ascii") as file:
        json.dump(found, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, checkpoint / _SEAL)


def newest_whole(stage: Path) -> Path | None:
    """The last checkpoint from which a stage goes on to the same end; None where it has to begin again."""
    for checkpoint in reversed(_checkpoints(stage)):
        best = _best_of(checkpoint)
        if is_whole(checkpoint) and (best is None or is_whole(best)):
            return checkpoint
    return None


def is_whole(checkpoint: Path) -> bool:
    """Whether everything in it is as it was when it was sealed."""
    try:
        sealed = cast(dict[str, str], json.loads((checkpoint / _SEAL).read_bytes()))
        return all(_hash(checkpoint / name) == found for name, found in sealed.items())
    except (OSError, ValueError):
        return False


def remove_half_written(stage: Path) -> None:
    """Free the room that checkpoints take from which nothing can go on."""
    for checkpoint in _checkpoints(stage):
        if not is_whole(checkpoint):
            shutil.rmtree(checkpoint, ignore_errors=True)


def remove_all(stage: Path) -> None:
    """A stage that is done needs none."""
    for checkpoint in _checkpoints(stage):
        shutil.rmtree(checkpoint, ignore_errors=True)


def _checkpoints(stage: Path) -> list[Path]:
    """The oldest first."""
    found = [path for path in stage.glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal()]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _best_of(checkpoint: Path) -> Path | None:
    """The checkpoint whose adapter is the best so far, which the stage may end with."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_bytes())
        named = state.get("best_model_checkpoint")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(named) if isinstance(named, str) else None


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
