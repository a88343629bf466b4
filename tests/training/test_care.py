"""Whether training may go on: asked of the machine as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tiny_runs import LEARNED, quietly, run_of

from remanence.training.care import has_room, is_allowed_to_run
from remanence.training.recipe import CareRecipe
from remanence.training.training_process import TrainingEnded, follow

ALWAYS = CareRecipe(only_on_mains=False)
WHEN_IDLE = CareRecipe(only_on_mains=False, only_when_idle=True, threads=1)


@pytest.fixture
def busy() -> Iterator[None]:
    """Somebody else needs the whole processor."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def soon(holds: Callable[[], bool]) -> bool:
    for _ in range(300):
        if holds():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.usefixtures("busy")
def test_it_waits_while_others_need_the_processor_where_that_is_asked() -> None:
    assert soon(lambda: "idle" in (is_allowed_to_run(WHEN_IDLE) or ""))
    assert is_allowed_to_run(ALWAYS) is None


@pytest.mark.e2e
@pytest.mark.usefixtures("busy")
def test_a_run_that_waits_says_so_and_can_be_ended(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=400)
    written = run.read_run()
    recipe = msgspec.structs.replace(written.recipe, care=WHEN_IDLE)
    run.create(msgspec.structs.replace(written, recipe=recipe))
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: any("idle" in each.message for each in run.history()))
    waited = [each for each in run.history() if each.state == "waiting"]
    assert waited
    assert run.process() is None


def test_room_is_what_the_disk_has(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert has_room(tmp_path, free // 2) is None
    assert "MB are needed" in (has_room(tmp_path, 2 * free) or "")
