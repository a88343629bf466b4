"""The training process among others: its priority, early stopping, a slow step, several processes as one."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from tiny_runs import KNOWN, LEARNED, answers, never, quietly, run_of, wait_until

from remanence.training.run_folder import Progress, RunFolder
from remanence.training.training_process import TrainingEnded, follow

pytestmark = pytest.mark.e2e


def steps_were_told(run: RunFolder, least: int = 1) -> bool:
    progress = run.progress()
    return progress is not None and progress.step >= least


@pytest.mark.skipif(not psutil.POSIX, reason="priorities are set where there are nice values")
def test_it_runs_at_low_priority(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=400)
    niceness: list[int] = []

    def look(_: Progress) -> None:
        if (process := run.process()) is not None and steps_were_told(run):
            niceness.append(process.nice())

    with pytest.raises(TrainingEnded):
        follow(run, look, lambda: bool(niceness))
    assert niceness[0] >= 15


def test_it_ends_when_the_held_out_rows_gain_nothing_and_keeps_what_was_best(tmp_path: Path) -> None:
    # what is learned is the opposite of what is asked: every step makes it worse
    opposite = [fact.adapted for fact in LEARNED]
    run = run_of(tmp_path, LEARNED, epochs=200, held_out=opposite, evaluate_every=5, patience=2)
    assert follow(run, quietly, never).state == "done"
    assert max(each.step for each in run.history() if each.state == "training") == 15
    losses = [each.held_out_loss for each in run.history() if each.held_out_loss is not None]
    assert losses[0] < losses[-1]


def test_while_the_held_out_rows_gain_it_goes_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=25, held_out=LEARNED, evaluate_every=5, patience=2)
    assert follow(run, quietly, never).state == "done"
    assert max(each.step for each in run.history() if each.state == "training") == 25
    losses = [each.held_out_loss for each in run.history() if each.held_out_loss is not None]
    assert losses[-1] < losses[0]


def test_a_step_that_takes_long_is_ended_in_its_midst(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED * 2000, epochs=1, accumulate=20_000, batch_size=8)
    begun: list[float] = []

    def begins(progress: Progress) -> None:
        process = run.process()
        if progress.stage and process is not None:
            begun.append(process.cpu_times().user)

    with pytest.raises(TrainingEnded):
        follow(run, begins, lambda: len(begun) > 1 and begun[-1] > begun[0] + 2)
    ended = run.progress()
    assert ended is not None
    assert (ended.state, ended.step) == ("cancelled", 0)  # it told so itself, before a first step was done


def test_two_processes_train_as_one_and_the_first_writes(tmp_path: Path) -> None:
    run = run_of(tmp_path, [*LEARNED, *KNOWN], epochs=30, processes=2, batch_size=4)
    last = follow(run, quietly, never)
    assert last.state == "done"
    assert last.step == last.steps == 3 * 30  # 24 rows, 4 on each of two processes
    steps = [progress.step for progress in run.history()]
    assert steps == sorted(steps)
    assert [said.strip() for said in answers(run.adapter, LEARNED)] == [fact.answer for fact in LEARNED]


def test_two_processes_end_together_with_a_checkpoint_and_go_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=600, processes=2, batch_size=3)
    everyone: list[psutil.Process] = []

    def look(_: Progress) -> None:
        if not everyone and steps_were_told(run, 5) and (launcher := run.process()) is not None:
            everyone.extend([launcher, *launcher.children(recursive=True)])

    with pytest.raises(TrainingEnded):
        follow(run, look, lambda: bool(everyone))
    assert len(everyone) >= 3
    ended = run.progress()
    assert ended is not None
    assert ended.state == "cancelled"
    sealed = json.loads((run.stage(0) / f"checkpoint-{ended.step}" / "sealed.json").read_bytes())
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= sealed.keys()
    wait_until(lambda: not any(process.is_running() for process in everyone))
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: steps_were_told(run, ended.step + 1))


def test_when_their_launcher_is_killed_the_run_is_begun_again(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=200, processes=2, batch_size=3, evaluate_every=20)
    everyone: list[psutil.Process] = []

    def kill_once(progress: Progress) -> None:
        launcher = run.process()
        if not everyone and progress.step >= 30 and launcher is not None:
            everyone.extend(launcher.children(recursive=True))
            launcher.kill()

    last = follow(run, kill_once, never)
    assert everyone
    assert last.state == "done"
    wait_until(lambda: not any(process.is_running() for process in everyone))
