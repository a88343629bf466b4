"""One session with the real language server, over stdio, as an editor would have it.

    python configs/demo/session.py

Memory goes to REMANENCE_HOME, or to a demo home inside the repository: never to the user's own.
Every step checks what it shows; the exit status is 1 with a sentence when something is missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import platformdirs
from editor import DemoError, Editor
from lsprotocol import types
from terminal import Terminal, duration

from remanence.engine import messages as m
from remanence.paths import Home

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CONVERSATIONS = HERE / "conversations.jsonl"
SOURCE = HERE / "ledgerline" / "retry.py"

PREPARE_S = 900.0  # the first time, PyTorch loads the model and exports it
INDEX_S = 600.0
POLL_S = 0.2

T = TypeVar("T")


@dataclass
class Session:
    editor: Editor
    terminal: Terminal
    home: Home
    timings: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    async def timed(self, what: str, work: Awaitable[T]) -> T:
        """Await `work` and note its wall time for the table at the end."""
        start = time.perf_counter()
        result = await work
        self.timings.append((what, time.perf_counter() - start))
        return result

    @property
    def last(self) -> float:
        return self.timings[-1][1]

    async def status(self) -> m.StatusResponse:
        return await self.editor.run("remanence.status", m.Empty(), m.StatusResponse)

    async def recall(self, what: str, query: str, limit: int = 5) -> m.RecallResponse:
        request = m.RecallRequest(query=query, limit=limit)
        return await self.timed(what, self.editor.run("remanence.recall", request, m.RecallResponse))


def expect(condition: object, sentence: str) -> None:
    """What is shown must be there: a demo that prints nothing and succeeds would prove nothing."""
    if not condition:
        raise DemoError(sentence)


async def initialize(session: Session, environment: dict[str, str]) -> None:
    session.terminal.step(1, "An editor starts the language server")
    answer = await session.timed("initialize", session.editor.start(environment, SOURCE.parent))
    announced = answer.capabilities
    commands = list(announced.execute_command_provider.commands) if announced.execute_command_provider else []
    expect(announced.hover_provider, "the server does not announce hover")
    expect(announced.completion_provider, "the server does not announce completion")
    expect("remanence.recall" in commands, "the server does not announce remanence.recall")
    name = f"{answer.server_info.name} {answer.server_info.version}" if answer.server_info else "the server"
    session.terminal.done(f"{name}: hover, completion, {len(commands)} commands", session.last)


async def wait_for_embedder(session: Session) -> None:
    session.terminal.step(2, "The embedder is prepared once: exported to ONNX, quantised, checked")
    start = time.perf_counter()
    while (status := await session.status()).degraded:
        job = next((job for job in status.jobs if job.kind == "prepare"), None)
        if job is not None and job.state in ("failed", "cancelled"):
            raise DemoError(f"the embedder could not be prepared: {job.error or status.degraded}")
        expect(
            time.perf_counter() - start < PREPARE_S,
            f"still degraded after {PREPARE_S:.0f} s: {status.degraded}",
        )
        session.terminal.progress(job.progress if job else 0.0, (job and job.message) or status.degraded)
        await asyncio.sleep(POLL_S)
    session.terminal.end_progress()
    session.timings.append(("embedder ready", time.perf_counter() - start))
    session.terminal.done(f"{status.embedder} is ready", session.last)


async def import_conversations(session: Session) -> None:
    lines = [json.loads(line) for line in CONVERSATIONS.read_text(encoding="utf-8").splitlines()]
    tools = len({line["source"] for line in lines})
    session.terminal.step(3, f"Import {len(lines)} exchanges that {tools} assistants left behind")
    start = time.perf_counter()
    request = m.ImportRequest(source="jsonl", path=str(CONVERSATIONS))
    started = await session.editor.run("remanence.import", request, m.ImportResponse)
    job = await finished(session, started.job_id)
    kept = {
        name: job.figures.get(name, 0) for name in ("stored", "duplicates", "updated", "ignored", "failed")
    }
    expect(kept["failed"] == 0, f"{kept['failed']} exchanges could not be imported: {'; '.join(job.reasons)}")
    known = kept["stored"] + kept["duplicates"] + kept["updated"]
    expect(known == len(lines), f"{len(lines)} exchanges were handed in, {known} are known: {kept}")
    session.timings.append(("import", time.perf_counter() - start))
    said = ", ".join(f"{count} {name}" for name, count in kept.items() if count)
    session.terminal.done(f"job {job.job_id}: {said}", session.last)
    await indexed(session)


async def finished(session: Session, job_id: str) -> m.Job:
    """The job once it is done; raises DemoError when it fails."""
    start = time.perf_counter()
    while True:
        answer = await session.editor.run("remanence.jobs", m.JobsRequest(job_id=job_id), m.JobsResponse)
        expect(answer.jobs, f"job {job_id} is not known to the engine")
        job = answer.jobs[0]
        if job.state == "done":
            session.terminal.end_progress()
            return job
        expect(job.state in ("queued", "running"), f"the {job.kind} job {job.state}: {job.error}")
        expect(time.perf_counter() - start < INDEX_S, f"the {job.kind} job still runs after {INDEX_S:.0f} s")
        session.terminal.progress(job.progress, job.message or f"{job.kind} {job.state}")
        await asyncio.sleep(POLL_S)


async def indexed(session: Session) -> None:
    """Wait until every exchange has its vector and its place in the indexes; keywords may follow."""
    start = time.perf_counter()
    most = 1
    while True:
        status = await session.status()
        waiting = status.pending_by.embedding + status.pending_by.indexing
        most = max(most, waiting)
        if waiting == 0:
            break
        expect(
            time.perf_counter() - start < INDEX_S, f"{waiting} exchanges not indexed after {INDEX_S:.0f} s"
        )
        unembedded, unindexed = status.pending_by.embedding, status.pending_by.indexing
        session.terminal.progress(
            1 - waiting / most, f"{unembedded} wait for a vector, {unindexed} for a place in an index"
        )
        await asyncio.sleep(POLL_S)
    session.terminal.end_progress()
    session.timings.append(("every exchange indexed", time.perf_counter() - start))
    keywords = status.pending_by.keywords
    rest = f"; keywords of {keywords} follow in the background" if keywords else ""
    session.terminal.done(f"{status.exchanges} exchanges indexed by meaning and by words{rest}", session.last)


async def hover(session: Session, uri: str) -> None:
    session.terminal.step(4, f"Hover `retry_with_backoff` in {SOURCE.name}")
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    line = next(at for at, text in enumerate(lines) if "def retry_with_backoff" in text)
    position = types.Position(line, lines[line].index("retry_with_backoff") + 3)
    await session.timed("hover, the first", session.editor.hover(uri, position))
    markdown = await session.timed("hover", session.editor.hover(uri, position))
    expect(markdown.strip(), "the hover over retry_with_backoff is empty")
    expect("retry" in markdown, "the hover over retry_with_backoff is about something else")
    session.terminal.markdown("hover", markdown)
    session.terminal.done("what was said about this symbol before", session.last)


async def complete(session: Session, uri: str) -> None:
    session.terminal.step(5, "Type a prompt in a comment")
    typed = "#? how do we stop the cache stampede"
    end = types.Position(len(SOURCE.read_text(encoding="utf-8").splitlines()), 0)
    cursor = session.editor.type(uri, end, typed)
    session.terminal.line(typed + "▏", "cyan")
    items = await session.timed("completion", session.editor.complete(uri, cursor))
    expect(items, f"nothing completes {typed!r}")
    for item in items:
        kind = types.CompletionItemKind(item.kind).name.lower() if item.kind else "item"
        detail = item.label_details.description if item.label_details else item.detail
        session.terminal.line(f"  {kind:<9} {item.label}" + (f"  ({detail})" if detail else ""))
    session.terminal.done(f"{len(items)} suggestions", session.last)
    question = next((item for item in items if item.kind == types.CompletionItemKind.Text), None)
    enriched = next((item for item in items if item.label == "Prompt with memory"), None)
    if question is None or enriched is None:
        raise DemoError("the menu lacks an earlier question or the prompt with memory")
    resolved = await session.timed("resolve", session.editor.resolve(question))
    documentation = resolved.documentation
    shown = documentation.value if isinstance(documentation, types.MarkupContent) else documentation or ""
    expect(shown.strip(), f"{question.label!r} resolves to nothing")
    session.terminal.markdown("the choice rests on the first question", shown, limit=12)
    session.terminal.done("resolved", session.last)
    edit = (await session.editor.resolve(enriched)).text_edit
    expect(edit is not None and typed in edit.new_text, "the prompt with memory lost the prompt")
    session.terminal.framed(enriched.label, edit.new_text if edit else "", limit=12)


async def enrich(session: Session) -> None:
    session.terminal.step(6, "remanence.enrichPrompt: a prompt with what it should have known")
    prompt = "On which port do I reach the Ledgerline API from a container?"
    request = m.EnrichPromptRequest(prompt=prompt, token_budget=700)
    answer = await session.timed(
        "enrichPrompt", session.editor.run("remanence.enrichPrompt", request, m.EnrichPromptResponse)
    )
    expect(answer.memories, f"no memory was found for {prompt!r}")
    expect(prompt in answer.prompt, "the enriched prompt lost the prompt")
    expect("9000" in answer.prompt, "the enriched prompt does not know that the API moved to port 9000")
    session.terminal.framed("enriched prompt", answer.prompt, limit=24)
    session.terminal.done(f"{len(answer.memories)} memories, {answer.tokens} of 700 tokens", session.last)


async def capture(session: Session) -> str:
    """Remember an exchange with a password in it; its id."""
    session.terminal.step(7, "remanence.capture: what was just said, without the secrets in it")
    password = "-".join(("correct", "horse", "staple", "41"))  # not a secret: made up here, at run time
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    question = f"How do I open psql on the Ledgerline staging replica? ({moment})"
    answer = (
        f"Through the bastion: `psql postgresql://reader:{password}@staging-replica:5432/ledgerline`. "
        "The replica lags by about two seconds and refuses writes."
    )
    request = m.CaptureRequest(
        question=question, answer=answer, tool="demo", conversation_id=f"demo {moment}"
    )
    kept = await session.timed("capture", session.editor.run("remanence.capture", request, m.CaptureResponse))
    expect(kept.status == "stored", f"the exchange was not stored: {kept.status} {kept.reason or ''}")
    expect(kept.redactions, "the password was not taken out")
    session.terminal.done(f"stored as {kept.id}, taken out: {', '.join(kept.redactions)}", session.last)

    found = await session.recall("recall", "psql on the staging replica")
    expect(found.memories and found.memories[0].id == kept.id, "recall does not find the new exchange first")
    first = found.memories[0]
    expect(password not in first.question + first.answer, "the password is still in the memory")
    session.terminal.framed("recall: psql on the staging replica", f"{first.question}\n\n{first.answer}")
    session.terminal.line(f"score {first.score:.2f}: {'; '.join(first.why)}", "dim")
    session.terminal.done(f"found first of {len(found.memories)}", session.last)
    return kept.id


async def forget(session: Session, memory_id: str) -> None:
    session.terminal.step(8, "remanence.forget: really")
    request = m.ForgetRequest(ids=[memory_id])
    answer = await session.timed("forget", session.editor.run("remanence.forget", request, m.ForgetResponse))
    expect(answer.forgotten == 1, f"{answer.forgotten} memories were forgotten instead of 1")
    session.terminal.done("1 memory forgotten", session.last)
    found = await session.recall("recall after forget", "psql on the staging replica")
    expect(all(memory.id != memory_id for memory in found.memories), "recall still finds it")
    session.terminal.done("recall does not find it any more", session.last)


async def report(session: Session) -> None:
    session.terminal.step(9, "remanence.status")
    status = await session.timed("status", session.status())
    expect(status.processes, "the status names no process")
    terminal = session.terminal
    indexes = ", ".join(f"{index.name} {index.items} ({index.state})" for index in status.indexes)
    terminal.line(f"{status.exchanges} exchanges, {status.database_bytes / 1e6:.1f} MB, indexes: {indexes}")
    terminal.line("")
    rows = [(process.name, str(process.pid), f"{process.rss_mb:.0f}") for process in status.processes]
    terminal.table(("process", "pid", "RSS MB"), rows)
    terminal.line("")
    terminal.table(
        ("round trip over LSP", "time"), [(what, duration(took)) for what, took in session.timings]
    )


def print_next_steps(terminal: Terminal, home: Home) -> None:
    """The lines to paste into an editor, for this checkout's server and the user's own memory."""
    program = Path(sys.executable).with_name("remanence")
    command = json.dumps([str(program), "lsp"])
    own = platformdirs.user_data_path("remanence")
    print(f"\n{terminal.styled('Use it in your editor', 'bold')}")
    terminal.line("VS Code, settings.json (with the extension from vscode-extension/):", "dim")
    terminal.line(f'"remanence.server.command": {command}')
    terminal.line("Neovim 0.11 or later, init.lua:", "dim")
    terminal.line(f"vim.opt.runtimepath:append('{REPOSITORY / 'configs' / 'neovim'}')")
    terminal.line(f"vim.lsp.config('remanence', {{ cmd = {{ '{program}', 'lsp' }} }})")
    terminal.line("vim.lsp.enable('remanence')")
    terminal.line(f"Your memory will live in {own}; the demo's is in {home.root}.", "dim")


def demo_home() -> Home:
    """REMANENCE_HOME, or a home of the demo's own whose engine ends a minute after the last use."""
    if os.environ.get("REMANENCE_HOME"):
        return Home.default()
    home = Home(REPOSITORY / ".cache" / "demo-home").create()
    if not home.settings.exists():
        home.settings.write_text("[engine]\nidle_minutes = 1.0\n", encoding="utf-8")
    return home


async def play(session: Session) -> None:
    await initialize(session, {**os.environ, "REMANENCE_HOME": str(session.home.root)})
    await wait_for_embedder(session)
    await import_conversations(session)
    uri = session.editor.open(SOURCE, "python")
    await hover(session, uri)
    await complete(session, uri)
    await enrich(session)
    await forget(session, await capture(session))
    await report(session)
    code = await session.timed("shutdown", session.editor.close())
    expect(code == 0, f"the server ended with status {code} instead of 0")
    session.terminal.done("the server ended cleanly", session.last)


async def main() -> int:
    session = Session(Editor(), Terminal(), demo_home())
    try:
        await play(session)
    except DemoError as error:
        session.terminal.end_progress()
        sentence = str(error).rstrip(".")
        print(f"\nThe demo stopped: {sentence}.", file=sys.stderr)
        return 1
    finally:
        await session.editor.kill()
    print_next_steps(session.terminal, session.home)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
