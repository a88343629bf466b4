"""Jobs when the database refuses, and jobs that are asked to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from service_in_process import never

from remanence.engine.jobs import Control, Jobs
from remanence.engine.messages import CancelRequest, Job, PrepareRequest
from remanence.engine.service import Service
from remanence.memory.database import Database, StoreError
from remanence.memory.progress_records import JobRecord, ProgressRecords
from remanence.memory.store import Store
from remanence.paths import Home
from remanence.settings import Settings


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "memory.db")
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> Iterator[Jobs]:
    jobs = Jobs(ProgressRecords(database))
    yield jobs
    jobs.close()


def ended(jobs: Jobs, job_id: str) -> Job:
    for _ in range(600):
        (job,) = jobs.list(job_id)
        if job.state not in ("queued", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError("the job did not end")


def limit_pages(database: Database, pages: str) -> None:
    """SQLite finds its disk full where the file would have more pages."""
    with database.transaction() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")


def test_jobs_that_end_on_a_full_disk_are_told_of_and_the_next_ones_run(
    database: Database, jobs: Jobs
) -> None:
    begun, full = threading.Barrier(3), threading.Event()

    def work(control: Control) -> None:
        begun.wait(10)
        full.wait(10)
        for number in range(20):
            control.fail_one(f"{number} " * 1000)
        raise StoreError("The disk is full.")

    started = [jobs.start("import", "{}", work) for _ in range(2)]  # as many as there are threads
    begun.wait(10)
    limit_pages(database, "1")  # SQLite takes the number of pages there are as the least
    full.set()
    assert [ended(jobs, job.job_id).state for job in started] == ["failed", "failed"]
    assert [ended(jobs, job.job_id).error for job in started] == ["The disk is full."] * 2
    limit_pages(database, "100000")
    assert ended(jobs, jobs.start("import", "{}", lambda control: None).job_id).state == "done"
    assert not jobs.busy()


def test_what_a_job_would_have_worked_on_is_discarded_where_it_is_cancelled_before_its_turn(
    jobs: Jobs,
) -> None:
    discarded: list[str] = []
    jobs.when_unbegun("train", discarded.append)
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def work(control: Control) -> None:
        begun.release()
        go_on.wait(10)
        control.report()

    running = [jobs.start("train", f"running {number}", work) for number in range(2)]
    assert begun.acquire(timeout=10)
    assert begun.acquire(timeout=10)
    waiting = jobs.start("train", "waiting", work)
    jobs.cancel(waiting.job_id)
    assert ended(jobs, waiting.job_id).state == "cancelled"
    assert discarded == ["waiting"]
    for job in running:
        jobs.cancel(job.job_id)
    go_on.set()
    assert [ended(jobs, job.job_id).state for job in running] == ["cancelled"] * 2
    assert discarded == ["waiting"]  # who has begun tidies up


def test_a_job_can_be_asked_for_though_many_came_after_it(jobs: Jobs) -> None:
    first = jobs.start("import", "{}", lambda control: None)
    for _ in range(60):
        jobs.start("import", "{}", lambda control: None)
    assert ended(jobs, first.job_id).state == "done"


def test_an_interrupted_job_in_another_versions_words_is_failed_and_no_obstacle(home: Home) -> None:
    store = Store.open(home.database)
    ProgressRecords(store.database).put_job(
        JobRecord(id="old", kind="import", state="running", request='{"path": 3}', created_at=1)
    )
    service = Service(home, store, Settings())
    service.start()
    try:
        assert ended(service.jobs_queue, "old").state == "failed"
    finally:
        service.close()


def test_cancelling_the_preparation_ends_its_process_though_it_says_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    service = Service(home, Store.open(home.database), Settings())

    def exports() -> list[psutil.Process]:
        children = psutil.Process().children()
        return [child for child in children if "remanence.models.embedder_export" in child.cmdline()]

    job_id = service.jobs.prepare(PrepareRequest(), never).job_id
    while not exports():
        time.sleep(0.01)
    exports()[0].suspend()
    service.jobs.cancel(CancelRequest(job_id=job_id), never)
    assert ended(service.jobs_queue, job_id).state == "cancelled"
    assert exports() == []
    service.close()


def test_a_job_that_never_survives_its_engine_is_given_up(database: Database) -> None:
    records = ProgressRecords(database)
    records.put_job(JobRecord(id="poison", kind="import", state="running", request="{}", created_at=1))
    for taken_up in range(1, 7):
        engine = Jobs(records)
        begun = threading.Event()
        engine.take_up(lambda _kind, _request, begun=begun: lambda control: _last(control, begun))
        if taken_up < 6:
            assert begun.wait(10)
        engine.close()  # leaves it unfinished, as a killed engine would
    job = records.job("poison")
    assert job is not None
    assert (job.state, job.interruptions) == ("failed", 6)
    assert records.unfinished_jobs() == []


def _last(control: Control, begun: threading.Event) -> None:
    begun.set()
    while True:
        control.report()
        time.sleep(0.01)
