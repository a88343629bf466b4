"""Claude Code: `projects/<folder>/<session>.jsonl`, appended line by line, a tree by `parentUuid`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from remanence.memory.timestamps import to_ms
from remanence.sources.claude_code_branch import Branch, branch_of
from remanence.sources.claude_code_prompts import is_interruption, is_local_output, prompt_of
from remanence.sources.json_values import mapping, mappings, optional, string
from remanence.sources.recognising import head_records, head_text
from remanence.sources.source import Failure, Item, Source, files_under
from remanence.sources.text_files import records
from remanence.sources.turns import Occurrences, Turn, exchange_of

_NAME = "claude_code"
_SYNTHETIC = "<synthetic>"


def locate(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The sessions of every project, without those of subagents."""
    named = environ.get("CLAUDE_CONFIG_DIR")
    folders = [Path(named)] if named else [home / ".claude", home / ".config" / "claude"]
    found = [path for folder in folders for path in files_under(folder / "projects", "*/*.jsonl")]
    return [path for path in found if not _is_subagent(path)]


def read(path: Path) -> Iterator[Item]:
    """The exchanges on the active branch of one session file.

    Reads the file twice, for the branch and for the texts, and so holds neither's text in memory.
    A resumed session copies earlier lines into a new file: their uuid names the turn in both.
    """
    branch = branch_of(path)
    reading = _Reading(branch, path.stem)
    seen: set[str] = set()
    for record in records(path):
        if isinstance(record, Failure):
            yield record
            continue
        line = record.fields
        uuid = string(line.get("uuid"))
        if line.get("type") not in ("user", "assistant") or line.get("isSidechain") is True:
            continue
        if not isinstance(line.get("message"), dict) or "content" not in mapping(line["message"]):
            yield Failure(f"line {record.number}", "A message without content.")
            continue
        if uuid in seen or not branch.holds(uuid, line):
            continue
        seen.update([uuid] if uuid else [])
        yield from _user(reading, line) if line["type"] == "user" else _assistant(reading, line)
    yield from _finish(reading)


def recognises(path: Path, head: bytes) -> bool:
    if _is_subagent(path):
        return False
    return '"parentUuid"' in head_text(head) or any(
        "leafUuid" in record
        or ("sessionId" in record and "type" in record)
        or record.get("type") == "file-history-snapshot"
        for record in head_records(head)
    )


@dataclass(slots=True)
class _Reading:
    """Where the reading of one file stands: the turn under way, and a command not yet answered."""

    branch: Branch
    session: str
    turn: Turn | None = None
    turn_session: str = ""
    command: Turn | None = None
    occurrences: Occurrences = field(default_factory=Occurrences)


def _user(reading: _Reading, line: dict[str, object]) -> Iterator[Item]:
    """A line of the user's side: a question, a command, a tool's result or something injected."""
    content = mapping(line["message"])["content"]
    if is_interruption(content):
        if reading.turn is not None:
            reading.turn.interrupted = True
        return
    if is_local_output(content):
        reading.command = None  # it ran here and asked the model nothing
        return
    prompt = prompt_of(line)
    if prompt is None:
        return
    asked_at = to_ms(line.get("timestamp"))
    turn = Turn(
        prompt.text,
        turn_key=optional(line.get("uuid")),
        asked_at=asked_at,
        workspace=optional(line.get("cwd")),
        tags=prompt.tags,
    )
    if prompt.is_command:
        reading.command = turn
        return
    if reading.turn is not None and reading.turn.join(prompt.text, asked_at):
        return
    yield from _start(reading, turn, line)


def _start(reading: _Reading, turn: Turn | None, line: dict[str, object]) -> Iterator[Item]:
    yield from _finish(reading)
    reading.turn = turn
    reading.turn_session = optional(line.get("sessionId")) or reading.session
    reading.command = None


def _assistant(reading: _Reading, line: dict[str, object]) -> Iterator[Item]:
    """A line of the model's: one block of a reply, mostly."""
    message = mapping(line["message"])
    if message.get("model") == _SYNTHETIC or line.get("isApiErrorMessage") is True:
        return
    if (command := reading.command) is not None:
        yield from _start(reading, command, line)
    if (turn := reading.turn) is None:
        return
    at, model = to_ms(line.get("timestamp")), optional(message.get("model"))
    turn.interrupted = False
    content = message["content"]
    if isinstance(content, str):
        turn.say(content, at, model)
    for block in mappings(content):
        if block.get("type") == "text":
            turn.say(string(block.get("text")), at, model)
        elif block.get("type") in ("tool_use", "server_tool_use"):
            turn.use_tool(_file(mapping(block.get("input")), turn.workspace))


def _finish(reading: _Reading) -> Iterator[Item]:
    turn, reading.turn = reading.turn, None
    if turn is None or not turn.question:
        return
    yield exchange_of(
        turn,
        tool=_NAME,
        conversation_id=reading.turn_session,
        title=reading.branch.title,
        occurrences=reading.occurrences,
    )


def _file(arguments: dict[str, object], workspace: str | None) -> str | None:
    """The file a tool was called on, relative to the workspace where it is inside."""
    named = optional(arguments.get("file_path"))
    if named is None or workspace is None:
        return named
    try:
        return str(PurePath(named).relative_to(workspace))
    except ValueError:
        return named


def _is_subagent(path: Path) -> bool:
    return path.name.startswith("agent-") or path.parent.name == "subagents"


CLAUDE_CODE = Source(_NAME, "Claude Code", locate, read, recognises)
