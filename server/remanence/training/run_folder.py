"""What the engine and a training process say to each other: files in the run's folder.

Not pipes: a run outlives the editor and the engine that began it, and goes on where it was after a kill.

    run.json            what is to be done (TrainingRun)
    progress.jsonl      how far it is, a line at a time (Progress)
    cancel              there once it should end
    process             the process id, while one runs
    stage-000/          each stage's checkpoints, and its adapter once it is done
    adapter/            what was trained, once everything is done
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import psutil
from msgspec import Struct

from remanence.training.recipe import Recipe

State = Literal["starting", "training", "waiting", "done", "cancelled", "failed"]
_TAIL = 64 * 1024


class TrainingRun(Struct, frozen=True, kw_only=True):
    """`base` is a Hugging Face folder; `stages` are files of rows, one stage each, in order; `held_out` one
    of rows that are only asked. A row is {"messages": [{"role", "content"}, …]}: its last turn is learned.

    `parent` is the folder of an adapter to go on from.
    """

    base: str
    recipe: Recipe
    stages: list[str]
    held_out: str | None = None
    parent: str | None = None


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Steps count over all stages. Losses are in nats a token; `message` says in words why it waits or
    failed, or what is done otherwise than the recipe says."""

    state: State
    stage: int = 0
    stages: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    held_out_loss: float | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    gpu_peak_mb: float = 0.0
    message: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in ("done", "cancelled", "failed")


_RUN = msgspec.json.Decoder(TrainingRun)
_PROGRESS = msgspec.json.Decoder(Progress)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one training run."""

    path: Path

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def log(self) -> Path:
        return self.path / "training.log"

    def stage(self, number: int) -> Path:
        """Where a stage keeps its checkpoints and, once done, its adapter."""
        return self.path / f"stage-{number:03}"

    def create(self, run: TrainingRun) -> None:
        """Write down what is to be done. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.path / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(run)))

    def read_run(self) -> TrainingRun:
        """Raises OSError, or msgspec.DecodeError where the file is no run."""
        return _RUN.decode((self.path / "run.json").read_bytes())

    def report(self, progress: Progress) -> None:
        """Add a line of progress, durable once this returns where it is the last."""
        with (self.path / "progress.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(progress) + b"\n")
            if progress.has_ended:
                file.flush()
                os.fsync(file.fileno())

    def progress(self) -> Progress | None:
        """The newest whole line; None before the first."""
        for line in reversed(self._last_lines()):
            try:
                return _PROGRESS.decode(line)
            except msgspec.DecodeError:  # a line that is being written
                continue
        return None

    def history(self) -> Sequence[Progress]:
        """Every line, oldest first."""
        found: list[Progress] = []
        try:
            lines = (self.path / "progress.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return found
        for line in lines:
            try:
                found.append(_PROGRESS.decode(line))
            except msgspec.DecodeError:
                continue
        return found

    def ask_to_end(self) -> None:
        """The process ends after its step, with a checkpoint."""
        (self.path / "cancel").touch(mode=0o600)

    def take_back_ending(self) -> None:
        """A cancelled run may go on again."""
        (self.path / "cancel").unlink(missing_ok=True)

    @property
    def should_end(self) -> bool:
        return (self.path / "cancel").exists()

    def claim(self, process: psutil.Process) -> None:
        """Note the process that works on the run."""
        (self.path / "process").write_text(f"{process.pid} {process.create_time()}")

    def process(self) -> psutil.Process | None:
        """The process that works on the run, while it lives."""
        try:
            pid, created = (self.path / "process").read_text().split()
            process = psutil.Process(int(pid))
            # a process id is given again to others
            lives = abs(process.create_time() - float(created)) < 1 and process.is_running()
            return process if lives and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _last_lines(self) -> list[bytes]:
        try:
            with (self.path / "progress.jsonl").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                return file.read().splitlines()
        except FileNotFoundError:
            return []
