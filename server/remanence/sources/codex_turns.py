"""From the entries of one Codex rollout to its exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from remanence.memory.exchange import Exchange
from remanence.sources.codex_lines import Entry, Voice
from remanence.sources.turns import SHORTEST_ANSWER, Occurrences, Turn, exchange_of


@dataclass(slots=True)
class _Told:
    """A turn, and what voices other than the believed one say was its answer."""

    turn: Turn
    outputs: list[str] = field(default_factory=list[str])
    final: str = ""


@dataclass(slots=True)
class Rollout:
    """Where the reading of one rollout stands. `session` is its id, until its header tells better."""

    voice: Voice
    session: str
    workspace: str | None = None
    model: str | None = None
    started: int | None = None
    has_header: bool = False
    is_subagent: bool = False
    told: list[_Told] = field(default_factory=list[_Told])


def take(rollout: Rollout, entry: Entry) -> None:
    """Add one entry to the rollout."""
    told = rollout.told[-1] if rollout.told else None
    match entry.kind:
        case "session":
            _header(rollout, entry)
        case "context":
            rollout.model = entry.model or rollout.model
            rollout.workspace = entry.workspace or rollout.workspace
        case "user" if entry.voice == rollout.voice and entry.text:
            _ask(rollout, told, entry)
        case "rollback":
            del rollout.told[max(0, len(rollout.told) - entry.turns) :]
        case _ if told is not None:
            _answer(rollout, told, entry)
        case _:
            pass


def exchanges(rollout: Rollout, tool: str) -> Iterator[Exchange]:
    """The exchanges of a rollout read to its end."""
    occurrences = Occurrences()
    for told in [] if rollout.is_subagent else rollout.told:
        turn = told.turn
        if not any(turn.groups) and told.outputs:
            turn.groups = [told.outputs]
        yield exchange_of(
            turn,
            tool=tool,
            conversation_id=rollout.session,
            title=None,
            occurrences=occurrences,
            answer=told.final if len(told.final) >= SHORTEST_ANSWER else None,
        )


def _header(rollout: Rollout, entry: Entry) -> None:
    """The first header is this session's; a fork repeats its parent's after it."""
    if rollout.has_header:
        return
    rollout.has_header = True
    rollout.session = entry.key or rollout.session
    rollout.workspace = entry.workspace or rollout.workspace
    rollout.is_subagent = entry.is_subagent
    rollout.started = entry.at


def _ask(rollout: Rollout, told: _Told | None, entry: Entry) -> None:
    if told is not None and not told.outputs and told.turn.join(entry.text, entry.at):
        return
    asked_at = entry.at or rollout.started
    rollout.told.append(
        _Told(
            Turn(
                entry.text,
                turn_key=entry.key,
                asked_at=asked_at,
                model=rollout.model,
                workspace=rollout.workspace,
            )
        )
    )


def _answer(rollout: Rollout, told: _Told, entry: Entry) -> None:
    turn = told.turn
    if entry.kind == "tool":
        turn.use_tool()
    elif entry.kind == "aborted":
        turn.interrupted = True
    elif entry.kind == "final" and entry.text.strip():
        told.final = entry.text.strip()
        if not turn.groups[-1]:
            turn.say(told.final, entry.at)
    elif entry.kind in ("answer", "commentary") and entry.voice == rollout.voice:
        turn.say(entry.text, entry.at, rollout.model)
        if entry.kind == "commentary":
            turn.use_tool()  # what it says between its steps is not its answer
    elif entry.kind == "answer" and entry.voice == "responses" and entry.text:
        told.outputs.append(entry.text)
