"""How far a run is, told by the training process as lines of progress."""

from __future__ import annotations

import contextlib
import sys
import time

import psutil

from remanence.training.run_folder import Progress, RunFolder, State, TrainingRun

_TELL_SECONDS = 2.0


class Telling:
    """Says nothing where it is not the `first` of several processes."""

    def __init__(self, folder: RunFolder, run: TrainingRun, *, first: bool = True) -> None:
        self.folder = folder
        self.stages = len(run.stages)
        self.stage = 0
        self.step = 0
        self.steps = 0
        self.steps_before = 0
        self.loss: float | None = None
        self.held_out_loss: float | None = None
        self.note = ""
        before = folder.progress()
        self._first = first
        self._spent = before.seconds if before is not None else 0.0
        self._began = time.monotonic()
        self._told = 0.0
        self._process = psutil.Process()
        self._peak = 0.0

    def tell(self, state: State, message: str = "") -> None:
        """Add a line. Raises OSError."""
        if not self._first:
            return
        self._told = time.monotonic()
        self._peak = max(self._peak, self._process.memory_info().rss / 2**20)
        self.folder.report(
            Progress(
                state=state,
                stage=self.stage,
                stages=self.stages,
                step=self.steps_before + self.step,
                steps=max(self.steps, self.steps_before + self.step),
                loss=self.loss,
                held_out_loss=self.held_out_loss,
                seconds=round(self._spent + time.monotonic() - self._began, 1),
                peak_mb=round(self._peak, 1),
                gpu_peak_mb=_gpu_peak_mb(),
                message=message or self.note,
            )
        )

    def tell_if_it_may(self, state: State, message: str = "") -> None:
        """The same where there is room for the line."""
        with contextlib.suppress(OSError):
            self.tell(state, message)

    def tell_now_and_then(self, state: State) -> None:
        """The same, unless that was a moment ago."""
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self.tell(state)


def _gpu_peak_mb() -> float:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_available():
        return 0.0
    return round(torch.cuda.max_memory_reserved() / 2**20, 1)
