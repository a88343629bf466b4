"""A real service in the test's own process: what it is asked with, and what is waited for."""

from __future__ import annotations

import time

from remanence.engine import messages as m
from remanence.engine.service import Service


def never() -> bool:
    """Nobody cancels."""
    return False


def finished(service: Service, job_id: str) -> m.Job:
    """The job once it has ended, however."""
    for _ in range(6000):
        (job,) = service.jobs.jobs(m.JobsRequest(job_id=job_id), never).jobs
        if job.state not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def indexed(service: Service, *, keywords: bool = False) -> m.StatusResponse:
    """The status once nothing waits for a vector or a place in an index (or for keywords)."""
    for _ in range(1200):
        status = service.status(m.Empty(), never)
        by = status.pending_by
        if not by.embedding and not by.indexing and not (keywords and by.keywords):
            return status
        time.sleep(0.05)
    raise AssertionError("indexing did not end")
