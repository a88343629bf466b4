"""`remanence ask`: the language model's answer as it is written, with what memory added."""

from __future__ import annotations

import sys

import click

from remanence import terminal
from remanence.cli_calls import call
from remanence.engine import model_messages as mm
from remanence.engine.client import EngineClient, EngineError
from remanence.paths import Home

_OVER_THE_LINE = "\x1b[A\x1b[K"  # a terminal's: up, and empty it


@click.command()
@click.argument("prompt")
@click.option("--model", help="Its name in the settings (default: the one they use).")
@click.option("--budget", "token_budget", type=click.IntRange(64), help="Tokens of the enriched prompt.")
@click.option("--max-tokens", default=1024, show_default=True, help="Tokens of the answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), default=0.0, help="0 is repeatable.")
@click.option("--workspace", help="The project folder that is asked about.")
@click.option("--no-memory", is_flag=True, help="Ask without memories.")
@click.option("--forget", is_flag=True, help="Do not remember the answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@click.pass_obj
def ask(
    home: Home,
    prompt: str,
    model: str | None,
    token_budget: int | None,
    max_tokens: int,
    temperature: float,
    workspace: str | None,
    no_memory: bool,
    forget: bool,
    as_json: bool,
) -> None:
    """Ask the language model with memory: `remanence ask "how do we deploy?"`; "-" reads the prompt from
    stdin. Ctrl-C stops it."""
    if prompt == "-":
        prompt = sys.stdin.read()
    request = mm.AskRequest(
        prompt=prompt,
        model=model,
        token_budget=token_budget,
        max_tokens=max_tokens,
        temperature=temperature,
        workspace=workspace,
        with_memory=not no_memory,
        remember=not forget,
    )
    answer = call(home, lambda client: _asked(client, request, quiet=as_json))
    terminal.show(answer, as_json, _told)


async def _asked(client: EngineClient, request: mm.AskRequest, *, quiet: bool) -> mm.AskResponse:
    """Print the answer as it comes; gives the whole. Raises EngineError."""
    is_told = False
    async for event in client.ask(request):
        if event.state is not None and not quiet:
            over = _OVER_THE_LINE if is_told and sys.stderr.isatty() else ""
            click.echo(click.style(f"{over}{event.state} …", dim=True), err=True)
            is_told = True
        if event.text and not quiet:
            click.echo(event.text, nl=False)
        if event.end is not None:
            if not quiet and event.end.model is None:
                click.echo(event.end.answer, nl=False)
            return event.end
    raise EngineError("unavailable", "The answer broke off.")


def _told(answer: mm.AskResponse) -> str:
    """What follows the streamed answer."""
    parts = [f"{len(answer.memories)} memories" if len(answer.memories) != 1 else "1 memory"]
    if answer.model is not None:
        parts.append(f"{answer.answer_tokens} tokens by {answer.model}")
    if answer.finish == "length":
        parts.append("cut off at --max-tokens")
    if answer.degraded:
        parts.append(answer.degraded)
    return "\n" + click.style(" · ".join(parts), dim=True)
