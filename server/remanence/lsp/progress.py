"""$/progress: work of the engine shown in the editor, and cancelled from there."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.messages import CancelRequest, Job, JobsRequest

if TYPE_CHECKING:
    from remanence.lsp.language_server import RemanenceLanguageServer

_POLL_SECONDS = 0.2
_REPORT_SECONDS = 0.1
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


def follow(ls: RemanenceLanguageServer, engine: EngineClient, job_id: str | None, title: str) -> None:
    """Show a job, if there is one and the client shows progress, for as long as it lasts."""
    if ls.features.progress and job_id is not None:
        ls.background.run(show_job(ls, engine, job_id, title), "show a job's progress")


class Shown:
    """A work done progress that is on show, or nothing where the client shows none."""

    def __init__(self, ls: LanguageServer, token: types.ProgressToken | None) -> None:
        self._ls = ls
        self._token = token
        self._reported_at = 0.0

    def report(self, message: str, *, at_once: bool = False) -> None:
        """Show words; ones that follow others within a tenth of a second are passed over."""
        now = time.monotonic()
        if self._token is None or (not at_once and now - self._reported_at < _REPORT_SECONDS):
            return
        self._reported_at = now
        self._ls.work_done_progress.report(self._token, types.WorkDoneProgressReport(message=message))

    def when_cancelled(self, call: Callable[[], object]) -> None:
        """Have `call` called on the loop when the user cancels the progress."""
        if self._token is None:
            return
        loop = asyncio.get_running_loop()
        tokens = cast("dict[types.ProgressToken, Future[None]]", self._ls.work_done_progress.tokens)
        tokens[self._token].add_done_callback(lambda _: loop.call_soon_threadsafe(call))


@asynccontextmanager
async def shown(
    ls: RemanenceLanguageServer, title: str, *, given: types.ProgressToken | None, wanted: bool
) -> AsyncGenerator[Shown]:
    """Show work under the client's own token, else, if `wanted`, under one that it is asked to show."""
    progress = ls.work_done_progress
    token = given
    if token is None and wanted and ls.features.progress:
        token = str(uuid.uuid4())
        try:
            await progress.create_async(token)
        except JsonRpcException:
            token = None  # the client would rather not
    if token is None:
        yield Shown(ls, None)
        return
    progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True))
    try:
        yield Shown(ls, token)
    finally:
        progress.end(token, types.WorkDoneProgressEnd())
        progress.tokens.pop(token, None)


async def _job(engine: EngineClient, job_id: str) -> Job | None:
    jobs = (await engine.jobs(JobsRequest(job_id=job_id))).jobs
    return jobs[0] if jobs else None


def _last_words(job: Job | None) -> str:
    if job is None:
        return ""
    figures = ", ".join(f"{count} {name}" for name, count in job.figures.items() if count)
    return job.error or figures or job.message or job.state
