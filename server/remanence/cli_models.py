"""`remanence models`: which language models are in memory, and which would suit this machine."""

from __future__ import annotations

import click

from remanence import terminal
from remanence.cli_calls import call
from remanence.engine import model_messages as mm
from remanence.paths import Home

_SETTINGS = """\
[language_models]
use = "mine"

[language_models.models.mine]
path = "~/models/a-model.gguf"   # or url = "http://127.0.0.1:11434/v1"
"""


@click.command()
@click.argument("action", type=click.Choice(["list", "load", "unload"]), default="list")
@click.argument("id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_obj
def models(home: Home, action: mm.ModelAction, id: str | None, as_json: bool) -> None:
    """List the language models with what each takes in memory; load or unload one by its ID."""
    if action != "list" and id is None:
        raise click.UsageError(f"Say which model to {action}: `remanence models {action} ID`.")
    request = mm.ModelsRequest(action=action, id=id)

    answer = call(home, lambda client: client.models(request))
    terminal.show(answer, as_json, lambda told: in_words(told, str(home.settings)))


def in_words(answer: mm.ModelsResponse, settings: str) -> str:
    """As a table, and below it what suits this machine."""
    lines = [line for model in answer.models for line in _model(model)]
    if not lines:
        lines = [f"No language model is set. In {settings}:", "", *_SETTINGS.splitlines()]
    taken = sum(model.rss_mb for model in answer.models)
    lines += [
        "",
        f"in memory: {taken:,.0f} MB of at most {answer.limit_mb:,} MB"
        f" (this machine has {answer.total_mb:,} MB: {answer.profile})",
    ]
    if answer.warning:
        lines.append(click.style(answer.warning, bold=True))
    lines.append("suits this machine, as GGUF:")
    lines += [
        f"  {advice.name} {advice.quantisation}, {advice.size_mb:,} MB: {advice.note}"
        for advice in answer.recommended
    ]
    return "\n".join(lines)


def _model(model: mm.ModelState) -> list[str]:
    mark = "*" if model.is_default else " "
    figures = [
        *([f"{model.rss_mb:,.0f} MB"] if model.pid is not None else []),
        *([f"pid {model.pid}"] if model.pid is not None else []),
        *([f"idle {_duration(model.idle_seconds)}"] if model.idle_seconds is not None else []),
        *([f"window {model.context:,}"] if model.context else []),
        *([f"adapter {model.adapter}"] if model.adapter else []),
    ]
    size = f" ({model.size_mb:,.0f} MB)" if model.size_mb else ""
    origin = " · ".join(part for part in (model.backend, f"{model.place}{size}") if part)
    return [
        f"{mark} {click.style(f'{model.id:16}', bold=True)} {model.state:9} {', '.join(figures)}".rstrip(),
        f"    {origin}",
        *([f"    {model.problem}"] if model.problem else []),
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
