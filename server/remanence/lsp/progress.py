"""$/progress: jobs of the engine shown in the editor, and cancelled from there."""

from __future__ import annotations

import asyncio
import uuid

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.messages import CancelRequest, Job, JobsRequest

_POLL_SECONDS = 0.2
_RUNNING = ("queued", "running")


async def show_job(ls: LanguageServer, engine: EngineClient, job_id: str, title: str) -> None:
    """Report a job until it ends. Only for clients that announced `window.workDoneProgress`."""
    token = str(uuid.uuid4())
    progress = ls.work_done_progress
    try:
        await progress.create_async(token)
    except JsonRpcException:
        return  # the client would rather not
    progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0))
    said = ""
    asked_to_cancel = False
    try:
        while True:
            job = await _job(engine, job_id)
            if job is None or job.state not in _RUNNING:
                said = _last_words(job)
                return
            if progress.tokens[token].cancelled() and not asked_to_cancel:
                asked_to_cancel = True
                await engine.cancel(CancelRequest(job_id=job_id))
            progress.report(
                token,
                types.WorkDoneProgressReport(
                    message=job.message or None, percentage=round(min(max(job.progress, 0), 1) * 100)
                ),
            )
            await asyncio.sleep(_POLL_SECONDS)
    except EngineError as error:
        said = error.message
    finally:
        progress.end(token, types.WorkDoneProgressEnd(message=said or None))
        progress.tokens.pop(token, None)


async def _job(engine: EngineClient, job_id: str) -> Job | None:
    jobs = (await engine.jobs(JobsRequest(job_id=job_id))).jobs
    return jobs[0] if jobs else None


def _last_words(job: Job | None) -> str:
    if job is None:
        return ""
    figures = ", ".join(f"{count} {name}" for name, count in job.figures.items() if count)
    return job.error or figures or job.message or job.state
