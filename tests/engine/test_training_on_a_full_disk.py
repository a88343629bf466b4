"""A disk that fills while a model learns: it is said, memory stays as it was, and with room it goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from learning_in_process import FACTS, FIRST, adapters, recipe, remember, set_models, train
from service_in_process import finished, indexed, never

from remanence.engine import messages as m
from remanence.engine.service import Service, open_service
from remanence.memory.fact_store import FactStore
from remanence.paths import Home
from remanence.training.run_folder import RunFolder
from small_disk import mounted

pytestmark = pytest.mark.e2e


@pytest.fixture
def learner(tmp_path: Path, embedder_folder: Path) -> Iterator[Service]:
    with mounted(tmp_path, "size=24m") as place:
        home = Home(place / "home").create()
        (home.models / embedder_folder.name).symlink_to(embedder_folder, target_is_directory=True)
        set_models(home)
        service = open_service(home)
        yield service
        service.close()


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within two minutes")


def fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue


def test_a_run_waits_for_room_memory_stays_as_it_was_and_the_run_goes_on(learner: Service) -> None:
    remember(learner, FACTS)
    indexed(learner)
    facts = FactStore(learner.store.database)
    before = facts.current()
    started = train(learner, recipe=recipe(learner, 60), auto=False)
    assert started.job_id is not None
    assert started.adapter is not None
    run = RunFolder(learner.home.training / started.adapter)
    wait_until(lambda: (progress := run.progress()) is not None and progress.step > 0)

    filler = learner.home.root / "filler"
    fill(filler)
    wait_until(lambda: (progress := run.progress()) is not None and progress.state == "waiting")
    assert "room on the disk" in getattr(run.progress(), "message", "")
    (job,) = learner.jobs.jobs(m.JobsRequest(job_id=started.job_id), never).jobs
    assert job.state == "running"
    assert facts.current() == before
    found = learner.recall(m.RecallRequest(query=f"which port does {FIRST.service} run on"), never)
    assert any(FIRST.port in each.question for each in found.memories)

    filler.unlink()
    ended = finished(learner, started.job_id)
    assert (ended.state, ended.error) == ("done", None)
    assert [each.state for each in adapters(learner).adapters] == ["trained"]
    assert facts.current() == before


def test_a_run_that_waits_for_room_can_be_cancelled(learner: Service) -> None:
    remember(learner, FACTS)
    started = train(learner, recipe=recipe(learner, 900))
    assert started.job_id is not None
    assert started.adapter is not None
    run = RunFolder(learner.home.training / started.adapter)
    wait_until(lambda: (progress := run.progress()) is not None and progress.step > 0)
    process = run.process()
    assert process is not None
    filler = learner.home.root / "filler"
    fill(filler)
    learner.jobs.cancel(m.CancelRequest(job_id=started.job_id), never)
    wait_until(lambda: not process.is_running() or process.status() == "zombie")
    filler.unlink()
    assert finished(learner, started.job_id).state == "cancelled"
    assert not (run.path / "dataset").exists()
