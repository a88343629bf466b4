"""`remanence dataset`, `train`, `evaluate` and `adapters`: what is remembered, taught to the local model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from remanence import terminal
from remanence.cli_calls import call, followed
from remanence.engine import learning_messages as lm
from remanence.engine import messages as m
from remanence.engine.client import EngineClient, parse_request
from remanence.memory.timestamps import to_iso
from remanence.paths import Home

_SHOWN_FACTS = 10
_SIDE = len("adapter with recall")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


def _what_to_train(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--for",
            "purpose",
            type=click.Choice(["facts", "operations"]),
            default="facts",
            help="To answer from what is remembered, or to draw facts from it and to decide about them.",
        ),
        click.option("--afresh", is_flag=True, help="From the bare model, not on from the active adapter."),
        click.option(
            "--instead-of",
            "insteadOf",
            help="What this adapter learned, without what was forgotten.",
        ),
        click.option("--base", help="The Hugging Face folder to train on."),
        click.option("--model", help="A model of the settings (default: the one in use)."),
        click.option("--recipe", help="A shipped recipe or a .toml file (default: by the model's size)."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@_what_to_train
@_as_json
@click.pass_obj
def dataset(home: Home, as_json: bool, path: Path, **options: Any) -> None:
    """Write into the folder PATH what `train` would teach, and what `evaluate` would ask."""
    request = parse_request({**_given(options), "path": str(path.absolute())}, lm.DatasetRequest)
    terminal.show(call(home, lambda client: client.dataset(request)), as_json, dataset_in_words)


@click.command()
@_what_to_train
@click.option("--dry-run", "dryRun", is_flag=True, help="Only say what would be learned, and what it takes.")
@click.option("--no-activate", is_flag=True, help="Keep the adapter, whatever its evaluation says.")
@click.option("--detach", is_flag=True, help="Do not wait for it: `remanence jobs` tells how far it is.")
@click.option(
    "--automatic",
    type=click.Choice(["always", "never", "ask"]),
    help="Only say whether runs may begin by themselves (see automatic_after in settings.toml).",
)
@_as_json
@click.pass_obj
def train(
    home: Home,
    as_json: bool,
    no_activate: bool,
    detach: bool,
    automatic: lm.AutomaticAnswer | None,
    **options: Any,
) -> None:
    """Train an adapter from what is remembered, evaluate it, and activate it where it passed.

    It goes on from the active adapter, so that what it learns is stacked on what that learned.
    """
    if automatic is not None:
        answered = lm.AutomaticRequest(answer=automatic)
        terminal.show(call(home, lambda client: client.automatic(answered)), as_json, automatic_in_words)
        return
    request = parse_request({**_given(options), "auto": not no_activate}, lm.TrainRequest)

    async def run(client: EngineClient) -> m.Response:
        started = await client.train(request)
        if started.job_id is None or detach:
            return started
        if not as_json:
            click.echo(plan_in_words(started), err=True)
        return await followed(client, started.job_id, quiet=as_json)

    _show_end(call(home, run), as_json)


@click.command()
@click.argument("adapter", required=False)
@_as_json
@click.pass_obj
def evaluate(home: Home, as_json: bool, adapter: str | None) -> None:
    """Ask ADAPTER (the newest) and the bare model the same questions, without and with recall."""

    async def run(client: EngineClient) -> m.Response:
        started = await client.evaluate(lm.EvaluateRequest(id=adapter))
        return await followed(client, started.job_id, quiet=as_json)

    _show_end(call(home, run), as_json)


@click.command()
@click.argument(
    "action",
    type=click.Choice(["list", "activate", "deactivate", "rollback", "compare", "merge", "export", "delete"]),
    default="list",
)
@click.argument("adapter", required=False)
@click.argument("other", required=False)
@click.option("--force", is_flag=True, help="Activate one that was refused, or learned what was forgotten.")
@click.option("--path", type=click.Path(path_type=Path), help="Where to export to (default: here).")
@click.option("--format", type=click.Choice(["lora", "merged", "modelfile"]), default="lora")
@click.option("--gguf", type=click.Path(exists=True, path_type=Path), help="The base model as a GGUF file.")
@click.option("--verify", is_flag=True, help="Compare the exported with the original, in llama.cpp.")
@click.option(
    "--method",
    type=click.Choice(["svd", "linear", "cat", "ties", "dare_ties"]),
    default="svd",
    help="How to merge (PEFT's names).",
)
@click.option("--weights", type=float, nargs=2, help="How much of each to merge (default: their mean).")
@_as_json
@click.pass_obj
def adapters(
    home: Home,
    as_json: bool,
    action: lm.AdapterAction,
    adapter: str | None,
    other: str | None,
    path: Path | None,
    gguf: Path | None,
    weights: tuple[float, float] | None,
    **options: Any,
) -> None:
    """List the adapters, put one on or take it off, compare two, merge two, export one for other programs.

    `merge A B` makes a new adapter of two of one model and evaluates it. The two get in each other's way: it
    knows less than both, mostly. `remanence train` goes on from the active one without that loss.
    """
    if action not in ("list", "rollback") and adapter is None:
        raise click.UsageError(f"Say which adapter to {action}: `remanence adapters {action} ID`.")
    if action in ("compare", "merge") and other is None:
        raise click.UsageError(f"Say which two to {action}: `remanence adapters {action} ID OTHER`.")
    request = lm.AdaptersRequest(
        action=action,
        id=adapter,
        other=other,
        path=str((path or Path.cwd()).absolute()),
        gguf=str(gguf.absolute()) if gguf else None,
        weights=list(weights) if weights is not None else None,
        **options,
    )

    async def run(client: EngineClient) -> m.Response:
        answer = await client.adapters(request)
        if answer.job_id is None:
            return answer
        if not as_json:
            click.echo(adapters_in_words(answer))
        return await followed(client, answer.job_id, quiet=as_json)

    _show_end(call(home, run), as_json)


def dataset_in_words(answer: lm.DatasetResponse) -> str:
    """What was written, by form."""
    lines = [
        f"{answer.facts} new facts of {answer.exchanges} memories, {answer.known} known ones repeated:"
        f" {answer.rows} rows in {answer.stages} stages, in {answer.path}",
        *_counted("learned", answer.by_form),
        *_counted("asked", answer.questions),
        *_counted("left out", answer.left_out),
        *_counted("from", answer.by_origin),
        f"drawn in {Path(answer.path, 'statistics.svg')}",
    ]
    return "\n".join(lines)


def plan_in_words(answer: lm.TrainResponse) -> str:
    """What a run learns, and what it takes."""
    plan = answer.plan
    lines = [answer.note] if answer.note else []
    if plan.purpose == "operations":
        lines += [f"learns to draw facts and to decide about them, from {len(plan.facts)} facts:"]
        lines += _counted("from", plan.by_origin)
    else:
        lines += [f"learns {len(plan.facts)} facts, repeats {plan.known}:"]
    lines += [f"  {fact}" for fact in plan.facts[:_SHOWN_FACTS]]
    if len(plan.facts) > _SHOWN_FACTS:
        lines.append(f"  … and {len(plan.facts) - _SHOWN_FACTS} more")
    lines += [
        f"on {plan.base}" + (f", on from {plan.parent}" if plan.parent else ""),
        f"by the recipe {plan.recipe}: {plan.rows} rows in {plan.stages} stages, {plan.steps} steps",
        f"at most about {_duration(plan.seconds)} and {plan.memory_mb:,} MB",
    ]
    if plan.note:
        lines.append(plan.note)
    if plan.refusal:
        lines.append(click.style(plan.refusal, bold=True))
    return "\n".join(lines)


def automatic_in_words(answer: lm.AutomaticResponse) -> str:
    """What holds from now on, and what began."""
    if not answer.after:
        return "Kept. It is off until settings.toml has automatic_after above 0 under [training]."
    said = {
        "always": f"Runs begin by themselves after {answer.after} new facts, while an editor is open.",
        "never": "No run begins by itself, and nothing asks.",
    }.get(answer.answer or "", f"The editor asks once there are {answer.after} new facts.")
    return said + (
        f" One has begun: job {answer.job_id}." if answer.job_id else f" There are {answer.new} now."
    )


def adapters_in_words(answer: lm.AdaptersResponse) -> str:
    """Each with its evaluation, and what was done."""
    lines = [line for each in answer.adapters for line in _adapter(each)]
    if not lines:
        lines = ["There are no adapters: `remanence train` makes one."]
    lines += [f"written: {file}" for file in answer.files]
    return "\n".join([*lines, *([answer.note] if answer.note else [])])


def _adapter(adapter: lm.AdapterFigures) -> list[str]:
    made = (to_iso(adapter.created_at) or "")[:16].replace("T", " ")
    lines = [
        f"{'*' if adapter.state == 'active' else ' '} {click.style(adapter.id, bold=True)} {adapter.state:9}"
        f" {adapter.facts} facts, {adapter.recipe}, {made}, for {adapter.base}"
        + (", for operations" if adapter.purpose == "operations" else "")
        + (f", on from {adapter.parent}" if adapter.parent and not adapter.merged_with else "")
    ]
    kinds = sorted({kind for scores in adapter.evaluation.values() for kind in scores})
    if kinds:
        lines.append("    " + " " * _SIDE + "".join(f"{kind:>20}" for kind in kinds))
    for side, scores in adapter.evaluation.items():
        cells = "".join(f"{_cell(scores.get(kind)):>20}" for kind in kinds)
        lines.append(f"    {side:{_SIDE}}{cells}")
    return [*lines, *(f"    {reason}" for reason in adapter.reasons)]


def _cell(score: lm.ScoreFigures | None) -> str:
    if score is None:
        return "-"
    if score.decision_f1 is not None and score.valid is not None:
        return f"F1 {score.decision_f1:.0%}, {score.valid:.0%} JSON"
    if score.precision is not None and score.recall is not None:
        return f"P {score.precision:.0%}, R {score.recall:.0%}"
    return f"{score.exact:.0%} ({score.low:.0%}-{score.high:.0%})"


def _counted(what: str, counts: dict[str, int]) -> list[str]:
    most = max(counts.values(), default=0)
    return [
        f"  {what:9} {name:11} {count:6} {'█' * max(1, round(24 * count / most))}"
        for name, count in counts.items()
    ]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _show_end(answer: m.Response, as_json: bool) -> None:
    """Print what came of it; exit status 1 where a job did not get done."""
    match answer:
        case m.Job():
            took = ((answer.finished_at or 0) - answer.created_at) / 1000
            said = f"{answer.message}\n" if answer.message and answer.state == "done" else ""
            terminal.show(answer, as_json, lambda done: said + terminal.job_result(done, max(took, 0)))
            if answer.state != "done":
                sys.exit(1)
        case lm.TrainResponse():
            terminal.show(answer, as_json, plan_in_words)
            if answer.plan.refusal:
                sys.exit(1)
        case lm.AdaptersResponse():
            terminal.show(answer, as_json, adapters_in_words)
        case _:
            raise AssertionError(type(answer).__name__)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options that were given; a file is named from here, where the engine is somewhere else."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in ("recipe", "base"):
        if name in given and Path(given[name]).exists():
            given[name] = str(Path(given[name]).absolute())
    return given
