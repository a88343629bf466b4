"""LM Studio: `conversations/**/<epoch ms>.conversation.json`, one JSON file a conversation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from remanence.memory.timestamps import to_ms
from remanence.sources.cleaning import drop_thinking
from remanence.sources.json_values import integer, mapping, mappings, optional, sequence, string
from remanence.sources.recognising import head_text
from remanence.sources.source import Failure, Item, Source, files_under
from remanence.sources.text_files import BEING_WRITTEN, parse_json, whole
from remanence.sources.turns import Occurrences, Turn, exchange_of

_NAME = "lmstudio"
_SUFFIX = ".conversation.json"
_FILE_TIME = re.compile(r"[0-9]{13}")
_STEP_TIME = re.compile(r"([0-9]{13})-")
_CUT_OFF = {"userStopped", "modelUnloaded", "failed"}


def locate(environ: Mapping[str, str], home: Path) -> list[Path]:
    """LM Studio's home: named, pointed to, the older cache folder, or the newer one."""
    return files_under(_home(environ, home) / "conversations", f"**/*{_SUFFIX}")


def read(path: Path) -> Iterator[Item]:
    """The exchanges of one conversation, along the versions the user has selected."""
    text = whole(path)
    if isinstance(text, Failure):
        yield text
        return
    try:
        conversation = mapping(parse_json(text))
    except ValueError:
        yield Failure("the file", BEING_WRITTEN)
        return
    if not isinstance(conversation.get("messages"), list):
        yield Failure("the file", "It has no list of messages.")
        return
    stem = path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".conversation")
    occurrences = Occurrences()
    for turn in _turns(conversation, _stem_time(stem) or to_ms(conversation.get("createdAt"))):
        turn.tags = _folders(path)
        yield exchange_of(
            turn,
            tool=_NAME,
            conversation_id=stem,
            title=optional(conversation.get("name")),
            occurrences=occurrences,
        )


def recognises(path: Path, head: bytes) -> bool:
    text = head_text(head).lstrip()
    if not text.startswith("{"):
        return False
    return path.name.endswith(_SUFFIX) or ('"versions"' in text and '"currentlySelected"' in text)


def _turns(conversation: dict[str, object], started: int | None) -> Iterator[Turn]:
    turn: Turn | None = None
    asked_at = started
    for message in mappings(conversation.get("messages")):
        version = _selected(message)
        role = version.get("role")
        if role == "user":
            if turn is not None:
                yield turn
            text = _text(version.get("content"))
            turn = Turn(text, asked_at=asked_at) if text else None
            asked_at = None
        elif role == "assistant" and turn is not None:
            _answer(turn, version, conversation)
    if turn is not None:
        yield turn


def _selected(message: dict[str, object]) -> dict[str, object]:
    """The version on display; an index out of range means the nearest there is."""
    versions = sequence(message.get("versions"))
    if not versions:
        return message if "role" in message else {}
    index = integer(message.get("currentlySelected")) or 0
    return mapping(versions[min(max(index, 0), len(versions) - 1)])


def _answer(turn: Turn, version: dict[str, object], conversation: dict[str, object]) -> None:
    """Add what one assistant message says: its text blocks, without thinking."""
    sender = optional(mapping(version.get("senderInfo")).get("senderName"))
    model = sender or optional(mapping(conversation.get("lastUsedModel")).get("identifier"))
    steps = mappings(version.get("steps"))
    if not steps:
        turn.say(drop_thinking(_text(version.get("content"))), None, model)
        return
    for step in steps:
        if step.get("type") == "toolStatus":
            turn.use_tool()
        if step.get("type") != "contentBlock" or _is_thinking(step):
            continue
        if any(item.get("type") == "toolCallRequest" for item in mappings(step.get("content"))):
            turn.use_tool()
        generation = mapping(step.get("genInfo"))
        stats = mapping(generation.get("stats"))
        answered_at = _step_time(step)
        if turn.answered_at is None and answered_at is not None:
            seconds = stats.get("totalTimeSec")
            took = seconds * 1000 if isinstance(seconds, int | float) else 0
            turn.asked_at = turn.asked_at or to_ms(answered_at - took)
        first = turn.answered_at  # the first block's time: later ones only follow tools
        turn.say(
            drop_thinking(_text(step.get("content"))),
            first or answered_at,
            optional(generation.get("identifier")) or model,
        )
        turn.interrupted = string(stats.get("stopReason")) in _CUT_OFF


def _is_thinking(step: dict[str, object]) -> bool:
    prefix = string(step.get("prefix"))
    return mapping(step.get("style")).get("type") == "thinking" or "<think" in prefix or "Thought" in prefix


def _text(content: object) -> str:
    """What content items say; structural glue, tool calls and their results say nothing."""
    if isinstance(content, str):
        return content.strip()
    parts: list[str] = []
    for item in mappings(content):
        if item.get("type") == "text" and item.get("isStructural") is not True:
            parts.append(string(item.get("text")))
        elif item.get("type") == "file":
            kind = "image" if item.get("fileType") == "image" else "file"
            parts.append(f"[{kind}]")
    return "\n".join(part for part in parts if part.strip()).strip()


def _step_time(step: dict[str, object]) -> int | None:
    match = _STEP_TIME.match(string(step.get("stepIdentifier")))
    return to_ms(int(match[1])) if match else None


def _stem_time(stem: str) -> int | None:
    match = _FILE_TIME.search(stem)
    return to_ms(int(match[0])) if match else None


def _folders(path: Path) -> tuple[str, ...]:
    """The user's own folders below `conversations`, as tags."""
    parts = path.parent.parts
    if "conversations" not in parts:
        return ()
    at = len(parts) - 1 - parts[::-1].index("conversations")
    return tuple(f"folder:{part}" for part in parts[at + 1 :])


def _home(environ: Mapping[str, str], home: Path) -> Path:
    if named := environ.get("LMSTUDIO_HOME"):
        return Path(named)
    try:
        pointed = (home / ".lmstudio-home-pointer").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        pointed = ""
    if pointed:
        return Path(pointed)
    older = home / ".cache" / "lm-studio"
    return older if older.is_dir() else home / ".lmstudio"


LMSTUDIO = Source(_NAME, "LM Studio", locate, read, recognises)
