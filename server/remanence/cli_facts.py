"""`remanence facts`, `decisions` and `consolidate`: what memories say for certain, and what became of it."""

from __future__ import annotations

import click

from remanence import terminal
from remanence.cli_calls import call
from remanence.engine import fact_messages as fm
from remanence.memory.timestamps import to_iso
from remanence.paths import Home

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@click.command()
@click.argument("text", default="")
@click.option("--exchange", help="Only what this memory says (its id).")
@click.option("--state", type=click.Choice(["current", "superseded", "all"]), default="current")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@_as_json
@click.pass_obj
def facts(
    home: Home, text: str, exchange: str | None, state: fm.FactState, limit: int, as_json: bool
) -> None:
    """List facts that hold, or those superseded; of TEXT where it is given."""
    request = fm.FactsRequest(text=text, exchange=exchange, state=state, limit=limit)
    terminal.show(call(home, lambda client: client.facts(request)), as_json, facts_in_words)


@click.command()
@click.option("--undo", type=int, help="Take this decision back.")
@click.option("--redo", type=int, help="Do this one again, after it was taken back.")
@click.option("--state", type=click.Choice(["done", "pending", "undone"]))
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@_as_json
@click.pass_obj
def decisions(
    home: Home, undo: int | None, redo: int | None, state: fm.DecisionState | None, limit: int, as_json: bool
) -> None:
    """List what was decided about older facts when newer ones came, and why; undo it, do it again."""
    request = fm.DecisionsRequest(undo=undo, redo=redo, state=state, limit=limit)
    terminal.show(call(home, lambda client: client.decisions(request)), as_json, decisions_in_words)


def facts_in_words(answer: fm.FactsResponse) -> str:
    """One fact in two lines, and below what waits."""
    lines = [line for fact in answer.facts for line in _fact(fact)] or ["No facts."]
    waits = [
        f"{count} {what}"
        for count, what in (
            (answer.unread, "memories to read"),
            (answer.undecided, "facts to compare"),
            (answer.pending, "decisions pending"),
        )
        if count
    ]
    return "\n".join([*lines, "", f"{answer.current} hold" + (f"; {', '.join(waits)}" if waits else "")])


def decisions_in_words(answer: fm.DecisionsResponse) -> str:
    """One decision in four lines."""
    if not answer.decisions:
        return "Nothing was decided."
    lines: list[str] = []
    for each in answer.decisions:
        lines += [
            click.style(f"{each.id}  {each.action} ({each.state})", bold=True)
            + f"  {_day(each.decided_at)} · {each.origin}",
            f"  older: {each.older_text}",
            f"  newer: {each.text}",
            f"  why: {each.reason}",
        ]
    return "\n".join(lines)


def _fact(fact: fm.FactItem) -> list[str]:
    until = f" until {_day(fact.valid_until)}" if fact.valid_until is not None else ""
    said = "said once" if fact.confirmations == 1 else f"said {fact.confirmations} times"
    return [
        click.style(fact.text, bold=True),
        f"  {fact.subject} · {fact.topic}: {fact.value} · since {_day(fact.valid_from)}{until} · {said}"
        f" · {fact.origin} · {fact.id}",
    ]


def _day(moment: int | None) -> str:
    return (to_iso(moment) or "")[:10] or "?"
