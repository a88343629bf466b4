"""Answers of the engine as a person reads them in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import click

from remanence.engine import messages as m
from remanence.memory.timestamps import to_iso

T = TypeVar("T", bound=m.Response)

_BAR = 24
_MB = 2**20


def show(answer: T, as_json: bool, render: Callable[[T], str]) -> None:
    """Print an answer, as JSON or in words."""
    click.echo(m.to_json(answer).decode() if as_json else render(answer))


def memories(answer: m.RecallResponse) -> str:
    if not answer.memories:
        lines = ["Nothing relevant is remembered."]
    else:
        lines = [line for memory in answer.memories for line in _memory(memory)]
    if answer.degraded:
        lines.append(f"({answer.degraded})")
    return "\n".join(lines)


def _memory(memory: m.Memory) -> list[str]:
    when = (to_iso(memory.asked_at) or "")[:10]
    origin = " · ".join(part for part in (when, memory.tool, memory.model) if part)
    return [
        click.style(" ".join(memory.question.split())[:100], bold=True),
        f"  {origin} · {memory.score:.2f} · {memory.id}",
        f"  {' '.join(memory.excerpt.split())}",
        *([f"  why: {', '.join(memory.why)}"] if memory.why else []),
        "",
    ]


def whole_memory(memory: m.Memory) -> str:
    when = (to_iso(memory.asked_at) or "")[:16].replace("T", " ")
    origin = " · ".join(part for part in (when, memory.tool, memory.model, memory.workspace) if part)
    keywords = f"keywords: {', '.join(memory.keywords)}\n" if memory.keywords else ""
    return f"{origin}\n{keywords}\nQuestion\n{memory.question}\n\nAnswer\n{memory.answer}"


def copied(answer: m.EnrichPromptResponse) -> str:
    count = len(answer.memories)
    memories = "1 memory" if count == 1 else f"{count} memories"
    return f"Copied: the prompt with {memories}, about {answer.tokens} tokens."


def captured(answer: m.CaptureResponse) -> str:
    taken = f"; taken out: {', '.join(answer.redactions)}" if answer.redactions else ""
    reason = f" ({answer.reason})" if answer.reason else ""
    return f"{answer.status}{reason}: {answer.id}{taken}"


def forgotten(answer: m.ForgetResponse) -> str:
    return f"Forgotten: {answer.forgotten}." + (f"\n{answer.note}" if answer.note else "")


def sources(answer: m.SourcesResponse) -> str:
    return "\n".join(
        f"{'on ' if source.enabled else 'off'}  {source.name:12} {source.title:16} "
        f"{source.found} files found{_synced(source)}"
        for source in answer.sources
    )


def _synced(source: m.SourceState) -> str:
    when = to_iso(source.last_synced_at)
    return f", last read {when[:16].replace('T', ' ')}" if when else ""


def jobs(answer: m.JobsResponse) -> str:
    if not answer.jobs:
        return "There are no jobs."
    return "\n".join(
        f"{job.job_id}  {job.kind:8} {job.state:9} {job.progress:4.0%}  {job.error or _figures(job)}"
        for job in answer.jobs
    )


def job_result(job: m.Job, seconds: float) -> str:
    lines = [f"{job.kind} {job.state} in {seconds:.1f} s. {_figures(job)}".rstrip()]
    if job.error:
        lines.append(job.error)
    return "\n".join([*lines, *(f"  {reason}" for reason in job.reasons)])


def _figures(job: m.Job) -> str:
    return ", ".join(f"{name} {count}" for name, count in job.figures.items())


def status(answer: m.StatusResponse) -> str:
    by = answer.pending_by
    lines = [
        f"{answer.exchanges} exchanges, {answer.facts} facts, {answer.forgotten} forgotten, "
        f"{answer.database_bytes / _MB:.1f} MB in {answer.home}",
        f"pending: {by.indexing} to index, {by.embedding} to embed, {by.keywords} to keyword",
        f"embedder: {answer.embedder}",
        *([f"reranker: {answer.reranker}"] if answer.reranker else []),
        *(f"{index.name} index: {index.state}, {index.items} items" for index in answer.indexes),
        *(f"{process.name} (pid {process.pid}): {process.rss_mb:.0f} MB" for process in answer.processes),
        "versions: " + ", ".join(f"{name} {version}" for name, version in answer.versions.items()),
    ]
    running = [job for job in answer.jobs if job.state in ("queued", "running")]
    lines += [f"job {job.job_id}: {job.kind} {job.progress:.0%} {job.message}" for job in running]
    if answer.learning:
        lines.append(f"learning: {answer.learning}")
    if answer.degraded:
        lines.append(f"degraded: {answer.degraded}")
    return "\n".join(lines)


def findings(answer: m.DoctorResponse) -> str:
    lines = [
        f"{'ok  ' if finding.ok else 'BAD '} {finding.check}: {finding.detail}"
        + (f" → {finding.done}" if finding.done else "")
        for finding in answer.findings
    ]
    return "\n".join(lines)


class Progress:
    """One line on stderr that follows a job; a line a change where stderr is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._last = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._last:
            click.echo("\r\x1b[K", nl=False, err=True)

    def show(self, job: m.Job) -> None:
        """Draw the job as it is now."""
        if self._quiet:
            return
        filled = round(job.progress * _BAR)
        line = f"{job.kind} [{'█' * filled}{'·' * (_BAR - filled)}] {job.progress:4.0%} {job.message}"
        if line == self._last:
            return
        self._last = line
        click.echo(f"\r\x1b[K{line[:110]}" if self._live else line, nl=not self._live, err=True)
