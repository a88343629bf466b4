"""The `remanence` command: the doors' verbs, in a terminal. `--json` prints the engine's own objects."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from remanence import __version__, clipboard, terminal
from remanence.cli_ask import ask
from remanence.cli_calls import call, follow
from remanence.cli_facts import decisions, facts
from remanence.cli_learning import adapters, dataset, evaluate, train
from remanence.cli_models import models
from remanence.engine import fact_messages as fm
from remanence.engine import messages as m
from remanence.engine.client import EngineError, parse_request
from remanence.paths import Home
from remanence.proxy.command import proxy

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


class Commands(click.Group):
    """Turns the engine's errors into one line on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EngineError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="remanence")
@click.option("--home", type=click.Path(path_type=Path), help="The data directory (default: REMANENCE_HOME).")
@click.pass_context
def main(ctx: click.Context, home: Path | None) -> None:
    """A long-term, local, private memory for the coding assistants in your editor."""
    os.umask(0o077)  # whatever a door, an engine or a worker writes is its user's alone
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads take memory and gain nothing here
    ctx.obj = Home(home.expanduser().absolute()) if home else Home.default()


@main.command()
@click.option("--standalone", is_flag=True, help="Run the engine inside the language server.")
@click.pass_obj
def lsp(home: Home, standalone: bool) -> None:
    """Run the language server on stdin and stdout (for editors)."""
    usual = gc.get_threshold()
    gc.set_threshold(
        5000, 10, 1000
    )  # the protocol's types are many and stay: looking for garbage finds little
    from remanence.lsp.server import run

    gc.set_threshold(*usual)
    sys.exit(run(home, standalone=standalone))


@main.command()
@click.pass_obj
def engine(home: Home) -> None:
    """Run the engine (doors start it by themselves when they need it)."""
    from remanence.engine.lifecycle import run_engine
    from remanence.proxy.door import keep_open

    sys.exit(run_engine(home, doors=[keep_open]))


@main.command()
@click.pass_obj
def stop(home: Home) -> None:
    """End the engine once it has finished what it does."""
    from remanence.engine.starting import drain

    click.echo("The engine has ended." if asyncio.run(drain(home)) else "No engine runs.")


@main.command()
@click.argument("query")
@click.option("--limit", default=10, show_default=True)
@click.option("--workspace", help="Only memories of this project folder.")
@click.option("--tool", help="Only memories of this tool.")
@click.option("--conversation", "conversation_id", help="Only memories of this conversation.")
@click.option("--since", help="Only what was asked since (ISO date).")
@click.option("--until", help="Only what was asked until (ISO date).")
@click.option("--mode", type=click.Choice(["hybrid", "dense", "lexical"]), default="hybrid")
@_as_json
@click.pass_obj
def recall(home: Home, as_json: bool, **options: Any) -> None:
    """Find memories: `remanence recall "how did we fix the socket"`."""
    request = parse_request(_wire(options), m.RecallRequest)
    answer = call(home, lambda client: client.recall(request))
    terminal.show(answer, as_json, terminal.memories)


@main.command()
@click.option("--question", help="The question (default: the first paragraph of stdin).")
@click.option("--answer", help="The answer (default: stdin).")
@click.option("--model")
@click.option("--tool", default="manual", show_default=True)
@click.option("--conversation", "conversation_id")
@click.option("--turn", "turn_key")
@click.option("--asked-at", help="When, as ISO date or epoch milliseconds.")
@click.option("--workspace")
@click.option("--tag", "tags", multiple=True)
@_as_json
@click.pass_obj
def capture(home: Home, as_json: bool, question: str | None, answer: str | None, **options: Any) -> None:
    """Remember one exchange, from options or from stdin."""
    if question is None or answer is None:
        text = sys.stdin.read()
        if question is None:
            question, _, text = text.strip().partition("\n\n")
        answer = text if answer is None else answer
    wire = _wire({**options, "question": question, "answer": answer, "tags": list(options["tags"])})
    request = parse_request(wire, m.CaptureRequest)
    terminal.show(call(home, lambda client: client.capture(request)), as_json, terminal.captured)


@main.command()
@click.argument("prompt")
@click.option("--budget", "--token-budget", "token_budget", type=int, help="Tokens of the whole prompt.")
@click.option("--share", type=float, help="How much of them memories may take, of 1.")
@click.option("--workspace", help="Only memories of this project folder.")
@click.option("--tool", help="Only memories of this tool.")
@click.option("--conversation", "conversation_id", help="Only memories of this conversation.")
@click.option(
    "--copy", "to_clipboard", is_flag=True, help="Copy it to the clipboard, print only what it holds."
)
@_as_json
@click.pass_obj
def enrich(home: Home, as_json: bool, to_clipboard: bool, **options: Any) -> None:
    """Print the prompt with what memory has to say to it, or copy it; "-" reads it from stdin."""
    if options["prompt"] == "-":
        options["prompt"] = sys.stdin.read()
    request = parse_request({**_wire(options), "automatic": False}, m.EnrichPromptRequest)
    answer = call(home, lambda client: client.enrich_prompt(request))
    if to_clipboard:
        try:
            clipboard.copy(answer.prompt)
        except clipboard.ClipboardError as error:
            raise click.ClickException(str(error)) from error
    terminal.show(answer, as_json, terminal.copied if to_clipboard else lambda enriched: enriched.prompt)
    if not answer.memories and not as_json:
        click.echo("Nothing relevant is remembered, or nothing fits: this is the prompt alone.", err=True)


@main.command()
@click.argument("memory_id")
@_as_json
@click.pass_obj
def show(home: Home, as_json: bool, memory_id: str) -> None:
    """Print one memory whole."""
    answer = call(home, lambda client: client.memory(m.MemoryRequest(id=memory_id)))
    terminal.show(answer, as_json, terminal.whole_memory)


@main.command()
@click.argument("ids", nargs=-1)
@click.option("--tool")
@click.option("--conversation", "conversation_id")
@click.option("--workspace")
@click.option("--since")
@click.option("--until")
@click.option("--tag")
@click.option("--all", "all_", is_flag=True, help="Everything.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_as_json
@click.pass_obj
def forget(home: Home, as_json: bool, ids: tuple[str, ...], yes: bool, all_: bool, **options: Any) -> None:
    """Forget memories for good, by id or by what they have in common."""
    chosen = _wire(options)
    wanted: dict[str, Any] = {"ids": list(ids)} if ids else {}
    if chosen or all_:
        wanted["filter"] = {**chosen, "all": all_}
    request = parse_request(wanted, m.ForgetRequest)
    if not yes:
        count = call(home, lambda client: client.forget(msgspec.structs.replace(request, dry_run=True)))
        click.confirm(f"Forget {count.forgotten} memories for good?", abort=True, err=True)
    terminal.show(call(home, lambda client: client.forget(request)), as_json, terminal.forgotten)


@main.command(name="import")
@click.argument("path", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--source", help="The tool that wrote it (default: recognised).")
@_as_json
@click.pass_obj
def import_(home: Home, as_json: bool, path: Path | None, source: str | None) -> None:
    """Import a file or folder of conversations, or all that a source has on this machine."""
    request = m.ImportRequest(source=source, path=str(path.absolute()) if path else None)
    follow(home, lambda client: client.import_(request), as_json)


@main.command()
@click.argument("sources", nargs=-1)
@click.option("--yes", is_flag=True, help="Turn on what is found without asking.")
@_as_json
@click.pass_obj
def sync(home: Home, as_json: bool, sources: tuple[str, ...], yes: bool) -> None:
    """Import what is new from the tools on this machine; asks before a source's first import."""
    known = call(home, lambda client: client.sources(m.SourcesRequest()))
    chosen = list(sources)
    for source in known.sources:
        if sources or source.enabled or not source.found:
            continue
        question = f"{source.title}: {source.found} conversation files found. Import them, now and later?"
        if yes or click.confirm(question, err=True):
            chosen.append(source.name)
    if not chosen and not any(source.enabled for source in known.sources) and not as_json:
        click.echo("No source is turned on. `remanence import PATH` reads a file or folder once.")
        return
    follow(home, lambda client: client.sync(m.SyncRequest(sources=chosen)), as_json)


@main.command()
@click.option("--enable", multiple=True, help="Turn a source on.")
@click.option("--disable", multiple=True, help="Turn a source off; what was imported stays.")
@_as_json
@click.pass_obj
def sources(home: Home, as_json: bool, enable: tuple[str, ...], disable: tuple[str, ...]) -> None:
    """List the tools whose conversations can be imported."""
    request = m.SourcesRequest(enable=list(enable), disable=list(disable))
    terminal.show(call(home, lambda client: client.sources(request)), as_json, terminal.sources)


@main.command()
@click.argument("job_id", required=False)
@_as_json
@click.pass_obj
def jobs(home: Home, as_json: bool, job_id: str | None) -> None:
    """List jobs, or tell of one."""
    answer = call(home, lambda client: client.jobs(m.JobsRequest(job_id=job_id)))
    terminal.show(answer, as_json, terminal.jobs)


@main.command()
@click.argument("job_id")
@_as_json
@click.pass_obj
def cancel(home: Home, as_json: bool, job_id: str) -> None:
    """Cancel a job; what it has stored stays."""
    answer = call(home, lambda client: client.cancel(m.CancelRequest(job_id=job_id)))
    terminal.show(answer, as_json, terminal.jobs)


@main.command()
@_as_json
@click.pass_obj
def status(home: Home, as_json: bool) -> None:
    """Tell what is stored, what waits, what runs, and what is wrong."""
    terminal.show(call(home, lambda client: client.status()), as_json, terminal.status)


@main.command()
@click.option("--force", is_flag=True, help="Again, even if it is there.")
@_as_json
@click.pass_obj
def prepare(home: Home, as_json: bool, force: bool) -> None:
    """Prepare the embedder, and the reranker if one is set: export, quantise, check against the original."""
    request = m.PrepareRequest(force=force)
    follow(home, lambda client: client.prepare(request), as_json)


@main.command()
@click.option("--model", is_flag=True, help="By the language model too, not by rules alone.")
@click.option("--again", is_flag=True, help="Compare every fact anew.")
@_as_json
@click.pass_obj
def consolidate(home: Home, as_json: bool, model: bool, again: bool) -> None:
    """Draw the facts of every memory that was not read yet, and settle which still hold."""
    request = fm.ConsolidateRequest(model=model, again=again)
    follow(home, lambda client: client.consolidate(request), as_json)


@main.command()
@click.option("--repair", is_flag=True, help="Mend what is found.")
@click.option("--rebuild", is_flag=True, help="Make the indexes again from the database.")
@click.option("--reembed", is_flag=True, help="Embed every memory again.")
@click.option("--vacuum", is_flag=True, help="Give free space back.")
@_as_json
@click.pass_obj
def doctor(home: Home, as_json: bool, **options: bool) -> None:
    """Check the memory, and say what was found and done."""
    answer = call(home, lambda client: client.doctor(m.DoctorRequest(**options)))
    terminal.show(answer, as_json, terminal.findings)
    if any(not finding.ok and finding.done is None for finding in answer.findings):
        sys.exit(1)


main.add_command(proxy)
main.add_command(models)
main.add_command(facts)
main.add_command(decisions)
main.add_command(ask)
for command in (dataset, train, evaluate, adapters):
    main.add_command(command)


def _wire(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the wire names them, those not given left out."""
    wire: dict[str, Any] = {}
    for name, value in options.items():
        if value is not None:
            head, *rest = name.split("_")
            wire[head + "".join(part.title() for part in rest)] = value
    return wire
