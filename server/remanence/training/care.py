"""Whether training may use the machine now: mains power and a processor that nobody else needs."""

from __future__ import annotations

import psutil

from remanence.training.recipe import CareRecipe

_BUSY = 50.0  # percent of the whole processor, used by others


def is_allowed_to_run(care: CareRecipe) -> str | None:
    """None when training may go on; else in words what it waits for. Cheap enough for every step."""
    if care.only_on_mains and _on_battery():
        return "waiting for mains power"
    if care.only_when_idle and _used_by_others() > _BUSY:
        return "waiting until the processor is idle"
    return None


def _on_battery() -> bool:
    sensors = getattr(psutil, "sensors_battery", None)
    battery = sensors() if sensors is not None else None
    return battery is not None and battery.power_plugged is False


def _used_by_others() -> float:
    """Percent of the whole processor since the last call, this process's own part left out."""
    own = _PROCESS.cpu_percent() / (psutil.cpu_count() or 1)
    return max(0.0, psutil.cpu_percent() - own)


_PROCESS = psutil.Process()
