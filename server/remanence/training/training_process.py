"""The engine's side of a training process: begun apart from the engine, watched, ended, begun again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import psutil

from remanence.training.care import has_room
from remanence.training.run_folder import Progress, RunFolder

_TRAINER = "remanence.training.trainer"
_POLL_SECONDS = 0.5
_END_SECONDS = 20.0  # a step and a checkpoint; then it is killed, and has the checkpoint before
_MOST_STARTS = 3  # without a step in between: something ends it each time
_LITTLE_ROOM = 2**20


class TrainingError(Exception):
    """Training ended without an adapter; the message says why, in words."""


class TrainingEnded(Exception):
    """Training was ended on request; it can go on later."""


def start(folder: RunFolder) -> None:
    """Begin, or go on after a kill, in a process that outlives this one."""
    folder.take_back_ending()
    run = folder.read_run()
    command = [sys.executable, "-m", _TRAINER, str(folder.path)]
    if run.recipe.processes > 1:
        command = [
            *(sys.executable, "-m", "accelerate.commands.launch"),
            *("--multi_gpu", "--num_machines", "1", "--num_processes", str(run.recipe.processes)),
            *("--mixed_precision", "no", "--dynamo_backend", "no"),  # the trainer sets what there is to set
            *("--main_process_port", "0"),  # any that is free
            *("-m", _TRAINER, str(folder.path)),
        ]
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with open(folder.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
        begun = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **offline},
            start_new_session=True,
        )
    folder.claim(psutil.Process(begun.pid))  # it will do so itself, but is not to be begun twice until then


def follow(folder: RunFolder, report: Callable[[Progress], None], should_end: Callable[[], bool]) -> Progress:
    """Watch a run until it is done, begin it where nobody works on it; gives its last progress.

    `report` may raise to stop watching: the run goes on. Raises TrainingEnded once `should_end` holds and
    it has ended, TrainingError where it failed.
    """
    starts, step = 0, -1
    while True:
        progress = folder.progress()
        if should_end():
            _end(folder)
            raise TrainingEnded
        if folder.process() is None:
            progress = folder.progress()  # it may have told its end since
            if progress is not None and progress.state == "done":
                return progress
            if progress is not None and progress.state == "failed" and starts:
                raise TrainingError(progress.message)
            starts = 1 if progress is not None and progress.step > step else starts + 1
            step = progress.step if progress is not None else step
            if starts > _MOST_STARTS:
                if reason := has_room(folder.path, _LITTLE_ROOM):
                    raise TrainingError(f"Training cannot write: {reason}. Train again once there is room.")
                raise TrainingError(f"Training ended by itself {_MOST_STARTS} times: see {folder.log}.")
            start(folder)
        elif progress is not None:
            report(progress)
        time.sleep(_POLL_SECONDS)


def _end(folder: RunFolder) -> None:
    process = folder.process()
    if process is None:
        return
    try:
        folder.ask_to_end()
        process.wait(_END_SECONDS)
    except (OSError, psutil.TimeoutExpired):  # a full disk has no room for the word either
        for each in [*process.children(recursive=True), process]:
            each.kill()
    except psutil.NoSuchProcess:
        return
