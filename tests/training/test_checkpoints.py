"""Half-written checkpoints: a run goes on from the one before, or from the start, to the same end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_runs import LEARNED, never, quietly, run_of, weights

from remanence.training import checkpoints, training_process
from remanence.training.run_folder import Progress, RunFolder
from remanence.training.training_process import follow
from small_disk import mounted

HELD_OUT = LEARNED[:2]


def sealed(stage: Path, step: int) -> Path:
    checkpoint = stage / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "adapter_model.safetensors").write_bytes(os.urandom(5000))
    (checkpoint / "trainer_state.json").write_text("{}")
    checkpoints.seal(checkpoint)
    return checkpoint


def test_the_newest_is_taken_by_its_number(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        sealed(tmp_path, step)
    assert checkpoints.newest_whole(tmp_path) == tmp_path / "checkpoint-100"


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "trainer_state.json", "sealed.json"])
@pytest.mark.parametrize("harm", ["cut off", "changed", "gone"])
def test_one_that_is_not_as_it_was_written_is_passed_over(tmp_path: Path, name: str, harm: str) -> None:
    before, newest = sealed(tmp_path, 1), sealed(tmp_path, 2)
    path = newest / name
    if harm == "gone":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-1] if harm == "cut off" else b"\0" * len(content))
    assert checkpoints.newest_whole(tmp_path) == before
    checkpoints.remove_half_written(tmp_path)
    assert list(tmp_path.iterdir()) == [before]


def test_one_whose_best_adapter_is_gone_is_passed_over(tmp_path: Path) -> None:
    best, newest = sealed(tmp_path, 1), sealed(tmp_path, 2)
    (newest / "trainer_state.json").write_text(f'{{"best_model_checkpoint": "{best.as_posix()}"}}')
    checkpoints.seal(newest)
    assert checkpoints.newest_whole(tmp_path) == newest
    (best / "adapter_model.safetensors").unlink()
    assert checkpoints.newest_whole(tmp_path) is None


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """What a run ends with that nothing happened to."""
    run = run_in(tmp_path_factory.mktemp("undisturbed"))
    assert follow(run, quietly, never).state == "done"
    return weights(run.adapter)


def run_in(folder: Path) -> RunFolder:
    """Its checkpoints lie within epochs, which go through their batches in orders of their own."""
    train = {"batch_size": 2, "evaluate_every": 16, "patience": 3}
    return run_of(folder, LEARNED[:3], LEARNED, epochs=36, held_out=HELD_OUT, **train)


def harmed_once(run: RunFolder, harm: Callable[[list[Path]], None]) -> list[Path]:
    """Kill the run in its second stage, harm its checkpoints, and have it go on to its end."""
    found: list[Path] = []

    def kill(progress: Progress) -> None:
        process = run.process()
        there = sorted(run.stage(1).glob("checkpoint-*/sealed.json"), key=os.path.getmtime)
        if not found and len(there) >= 2 and process is not None:
            process.kill()
            process.wait(10)
            found.extend(path.parent for path in there)
            harm(found)

    assert follow(run, kill, never).state == "done"
    return found


@pytest.mark.e2e
def test_a_run_killed_while_it_wrote_a_checkpoint_goes_on_from_the_one_before(
    tmp_path: Path, undisturbed: dict[str, list[float]]
) -> None:
    def cut_off_the_newest(there: list[Path]) -> None:
        for path in there[-1].iterdir():
            os.truncate(path, path.stat().st_size // 2)

    run = run_in(tmp_path)
    assert harmed_once(run, cut_off_the_newest)
    assert weights(run.adapter) == undisturbed


@pytest.mark.e2e
def test_without_a_whole_checkpoint_the_stage_begins_again(
    tmp_path: Path, undisturbed: dict[str, list[float]]
) -> None:
    def cut_off_all(there: list[Path]) -> None:
        for checkpoint in there:
            for path in checkpoint.iterdir():
                os.truncate(path, path.stat().st_size // 2)

    run = run_in(tmp_path)
    assert harmed_once(run, cut_off_all)
    assert weights(run.adapter) == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=40m,nr_inodes=200") as place:
        yield place


def told_to_wait(progress: Progress) -> bool:
    return progress.state == "waiting" and "room on the disk" in progress.message


@pytest.mark.e2e
def test_a_run_waits_while_the_disk_is_full_and_goes_on_to_the_same_end(
    small_disk: Path, undisturbed: dict[str, list[float]]
) -> None:
    run = run_in(small_disk)
    filler, waited = small_disk / "filler", list[str]()

    def fill_then_free(progress: Progress) -> None:
        if progress.step >= 5 and not waited and not filler.exists():
            with open(filler, "wb", buffering=0) as file:
                fill(file.write)
        if told_to_wait(progress) and filler.exists():
            waited.append(progress.message)
            filler.unlink()

    assert follow(run, fill_then_free, never).state == "done"
    assert waited
    assert weights(run.adapter) == undisturbed


def fill(write: Callable[[bytes], int | None]) -> None:
    for size in (1 << 20, 1 << 12):
        try:
            while True:
                write(b"x" * size)
        except OSError:
            continue


@pytest.mark.e2e
def test_a_checkpoint_that_cannot_be_written_is_removed_and_the_run_goes_on_once_it_can(
    small_disk: Path, undisturbed: dict[str, list[float]]
) -> None:
    run = run_in(small_disk)
    files, waited = small_disk / "files", list[str]()

    def use_up_then_free(progress: Progress) -> None:
        # no room for another file's name, though there is for its bytes: only writing tells
        if progress.stage >= 1 and not waited and not files.exists():
            files.mkdir()
            use_up_names(files)
        if told_to_wait(progress) and files.exists():
            waited.append(progress.message)
            for path in files.iterdir():
                path.unlink()
            files.rmdir()

    assert follow(run, use_up_then_free, never).state == "done"
    assert waited
    assert weights(run.adapter) == undisturbed


def use_up_names(folder: Path) -> None:
    for number in range(1000):
        try:
            (folder / str(number)).touch()
        except OSError:
            return


@pytest.mark.e2e
def test_what_ends_by_itself_each_time_on_a_full_disk_is_told_as_that(small_disk: Path) -> None:
    run = run_in(small_disk)
    training_process.start(run)
    process = run.process()
    while process is None:
        process = run.process()
    process.kill()
    process.wait(10)
    with open(small_disk / "filler", "wb", buffering=0) as file:
        fill(file.write)
    with pytest.raises(training_process.TrainingError, match="room on the disk"):
        follow(run, quietly, never)
