"""Whether training may go on now: mains power, a processor that nobody else needs, room on the disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import psutil

from remanence.training.recipe import CareRecipe

_BUSY = 50.0  # percent of the whole processor, used by others
_LOOK_SECONDS = 1.0  # of less, what the system counts tells nothing


def is_allowed_to_run(care: CareRecipe) -> str | None:
    """None when training may go on; else in words what it waits for. Cheap enough for every step."""
    if care.only_on_mains and _on_battery():
        return "waiting for mains power"
    if care.only_when_idle and _OTHERS.used() > _BUSY:
        return "waiting until the processor is idle"
    return None


def has_room(folder: Path, wanted_bytes: int) -> str | None:
    """None when so much can be written; else in words that it cannot. Cheap enough for every step."""
    if shutil.disk_usage(folder).free >= wanted_bytes:
        return None
    return f"waiting for room on the disk: it is full, and {-(-wanted_bytes // 2**20)} MB are needed"


def _on_battery() -> bool:
    sensors = getattr(psutil, "sensors_battery", None)
    battery = sensors() if sensors is not None else None
    return battery is not None and battery.power_plugged is False


class _Others:
    """What other programs use of the whole processor, in percent, over the last second or more."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._looked = 0.0
        self._used = 0.0

    def used(self) -> float:
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            own = self._process.cpu_percent() / (psutil.cpu_count() or 1)
            self._used = max(0.0, psutil.cpu_percent() - own)
            self._looked = time.monotonic()
        return self._used


_OTHERS = _Others()
