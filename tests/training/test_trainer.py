"""The training process on a real tiny model: it learns, ends when asked, goes on after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_runs import KNOWN, LEARNED, answers, never, quietly, recipe, rows_of, run_of, wait_until

from remanence.training import training_process
from remanence.training.run_folder import Progress, RunFolder, TrainingRun
from remanence.training.training_process import TrainingEnded, TrainingError, follow

pytestmark = pytest.mark.e2e


def test_what_was_trained_is_answered_and_progress_was_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, [*LEARNED, *KNOWN], epochs=25)
    told: list[Progress] = []
    last = follow(run, told.append, never)
    assert last.state == "done"
    assert last.step == last.steps > 0
    assert last.loss is not None
    assert any(progress.state == "training" for progress in told)
    assert [said.strip() for said in answers(run.adapter, LEARNED)] == [fact.answer for fact in LEARNED]


def test_stages_follow_each_other_and_the_first_is_not_lost(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED[:3], LEARNED, epochs=40)
    last = follow(run, quietly, never)
    assert (last.stage, last.stages) == (2, 2)
    assert [said.strip() for said in answers(run.adapter, LEARNED)] == [fact.answer for fact in LEARNED]


def test_a_run_that_was_ended_keeps_a_checkpoint_and_goes_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=400)
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: (run.progress() or Progress(state="starting")).step >= 5)
    ended = run.progress()
    assert ended is not None
    assert ended.state == "cancelled"
    assert list(run.stage(0).glob("checkpoint-*"))
    training_process.start(run)
    wait_until(lambda: (run.progress() or ended).step > ended.step)
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: True)


def test_a_killed_run_is_begun_again_where_it_was(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=60)
    killed: list[int] = []

    def kill_once(progress: Progress) -> None:
        process = run.process()
        if progress.step >= 35 and not killed and process is not None:
            killed.append(progress.step)
            process.kill()
            process.wait(10)

    last = follow(run, kill_once, never)
    assert killed
    assert last.state == "done"
    steps = [progress.step for progress in run.history()]
    after_kill = steps[steps.index(killed[0]) + 1 :]
    assert min(step for step in after_kill if step) > 1  # not from the beginning


def test_whoever_stops_watching_does_not_end_the_run(tmp_path: Path) -> None:
    run = run_of(tmp_path, LEARNED, epochs=400)

    def stop_watching(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(run, stop_watching, never)
    process = run.process()
    assert process is not None
    with pytest.raises(TrainingEnded):
        follow(run, quietly, lambda: True)
    assert not process.is_running()


def test_a_base_that_is_no_model_is_told_in_words(tmp_path: Path) -> None:
    stage = tmp_path / "stage.jsonl"
    stage.write_text(rows_of(LEARNED))
    run = RunFolder(tmp_path / "run")
    run.create(TrainingRun(base=str(tmp_path), recipe=recipe(), stages=[str(stage)]))
    with pytest.raises(TrainingError, match=r"config\.json"):
        follow(run, quietly, never)
